#include "launch/train/async/flat_layout.h"

#include <algorithm>
#include <cstring>

namespace convoy {
namespace {

/// Calls `copy(tensor's floats, flat's, count)` for every part that [begin, end) touches.
template <typename Tensors, typename Copy>
void for_overlaps(const std::vector<FlatLayout::Part>& parts, Tensors& tensors, const std::string& prefix, std::int64_t begin,
                  std::int64_t end, const Copy& copy) {
  for (const FlatLayout::Part& part : parts) {
    const std::int64_t first = std::max(begin, part.begin), last = std::min(end, part.end);
    if (first < last)
      copy(tensors.at(prefix + part.name).template values<float>().data() + (first - part.begin), first - begin, last - first);
  }
}

}  // namespace

FlatLayout flat_layout(const TrainingGraph& training, const UpdateGraph& update) {
  FlatLayout layout;
  const auto append = [&](std::vector<FlatLayout::Part>& parts, std::int64_t& count, const std::string& name, Value leaf) {
    const std::int64_t elements = training.graph.shape(leaf).elements();
    parts.push_back({name, leaf, count, count + elements});
    count += elements;
  };
  for (const UpdateGraph::Parameter& parameter : update.parameters)
    append(layout.parameters, layout.parameter_count, parameter.name, parameter.source_gradient);
  for (const UpdateGraph::Statistic& statistic : update.statistics)
    append(layout.statistics, layout.statistic_count, statistic.name, statistic.source_sample);
  return layout;
}

SliceRange slice_range(const FlatLayout& layout, int server, int servers) {
  return {layout.parameter_count * server / servers, layout.parameter_count * (server + 1) / servers,
          server == 0 ? layout.statistic_count : 0};
}

void gather(const std::vector<FlatLayout::Part>& parts, const TensorMap& tensors, const std::string& prefix, std::int64_t begin,
            std::int64_t end, float* flat) {
  for_overlaps(parts, tensors, prefix, begin, end, [&](const float* values, std::int64_t at, std::int64_t count) {
    std::memcpy(flat + at, values, static_cast<std::size_t>(count) * sizeof(float));
  });
}

void scatter(const std::vector<FlatLayout::Part>& parts, TensorMap& tensors, const std::string& prefix, std::int64_t begin,
             std::int64_t end, const float* flat) {
  for_overlaps(parts, tensors, prefix, begin, end, [&](float* values, std::int64_t at, std::int64_t count) {
    std::memcpy(values, flat + at, static_cast<std::size_t>(count) * sizeof(float));
  });
}

TensorMap clone(const TensorMap& tensors) {
  TensorMap copy;
  for (const auto& [name, tensor] : tensors) copy.emplace(name, tensor.clone());
  return copy;
}

}  // namespace convoy
