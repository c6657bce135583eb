#include "launch/train/async/lane.h"

#include <algorithm>
#include <cstring>

#include "distributed/server/slice_math.h"
#include "launch/train/check_labels.h"
#include "launch/train/engine_parts.h"
#include "launch/train/not_finite.h"

namespace convoy {
namespace {

std::vector<Value> inputs_of(const TaskInputs& inputs) {
  std::vector<Value> all{inputs.images, inputs.transforms, inputs.labels, inputs.weights};
  for (const Value value : {inputs.keys, inputs.partner_labels, inputs.partner_weights})
    if (value.exists()) all.push_back(value);
  return all;
}

}  // namespace

ModelState copy_for_lane(const Graph& graph, std::uint64_t seed, const ModelState& state) {
  ModelState copy = state_for_inference(graph, seed);
  const auto fill = [](TensorMap& to, const TensorMap& from) {
    for (auto& [name, tensor] : to) std::memcpy(tensor.bytes(), from.at(name).bytes(), tensor.size_bytes());
  };
  fill(copy.parameters, state.parameters);
  fill(copy.state, state.state);
  fill(copy.constants, state.constants);
  refresh_copies(copy);
  return copy;
}

Lane::Lane(const TrainingGraph& training, const FlatLayout& layout, const Backend& backend, const ModelState& state,
           const LaneOptions& options)
    : training_(training),
      layout_(layout),
      options_(options),
      state_(copy_for_lane(training.graph, 0, state)),
      memory_(std::make_unique<StateMemory>(state_, backend.device())),
      program_(std::make_unique<Program>(training.graph, backend,
                                         ProgramOptions{.threads = options.threads_per_micro_batch,
                                                        .outside = {},
                                                        .keep = training.leaves})) {
  bind_state(*program_, *memory_);
  io_ = std::make_unique<ProgramIo>(*program_, backend.device(), inputs_of(training.inputs), training.leaves);
  program_->set_external([](const ExternalAttributes&) {});
  for (int server = 0; server < options.servers; ++server) ranges_.push_back(slice_range(layout, server, options.servers));
  observe();
}

void Lane::observe() {
  if (!options_.poison) return;
  program_->set_observer([this](int index, std::span<const Value> written) {
    if (program_->graph().ops()[static_cast<std::size_t>(index)].kind != OpKind::prepare) return true;
    const Value prepared = written.front();
    const TensorDesc& desc = program_->graph().info(prepared).desc;
    const std::int64_t each = desc.shape.elements() / desc.shape[0];
    const auto keys = batch_->keys.values<std::uint64_t>();
    for (std::int64_t row = 0; row < desc.shape[0]; ++row)
      if (options_.poison(static_cast<std::int64_t>(keys[2 * static_cast<std::size_t>(row) + 1])))
        fill_with_nan(program_->data<std::byte>(prepared) + static_cast<std::size_t>(row * each) * size_of(desc.dtype), each,
                      desc.dtype);
    return true;
  });
}

void Lane::take(int server, const Payload& slice) {
  const SliceRange& range = ranges_.at(static_cast<std::size_t>(server));
  scatter(layout_.parameters, state_.parameters, "", range.begin, range.end, slice.as<float>());
}

void Lane::took_all() {
  refresh_copies(state_);
  memory_->upload();
}

void Lane::put_inputs(const MicroBatch& batch) {
  const TaskInputs& inputs = training_.inputs;
  io_->put(inputs.images, batch.images.bytes());
  io_->put(inputs.transforms, batch.transforms.bytes());
  io_->put(inputs.labels, batch.labels.bytes());
  io_->put(inputs.weights, batch.weights.bytes());
  if (inputs.partner_labels.exists()) {
    io_->put(inputs.partner_labels, batch.partner_labels.bytes());
    io_->put(inputs.partner_weights, batch.partner_weights.bytes());
  }
  if (inputs.keys.exists()) io_->put(inputs.keys, batch.keys.bytes());
}

void Lane::compute(const MicroBatch& batch, PushedUnit unit) {
  check_labels(batch, options_.classes);
  batch_ = &batch;
  put_inputs(batch);
  io_->run(options_.deadline);
  collect();
  units_.push_back(unit);
  note_samples(batch);
}

/// The leaves of the micro-batch are added to the slices.
void Lane::collect() {
  const bool first = sums_.empty();
  if (first)
    for (const SliceRange& range : ranges_) {
      const std::size_t bytes = static_cast<std::size_t>(range.leaf()) * sizeof(float);
      sums_.push_back(pool_.take(bytes));
    }
  const auto add = [&](const float* values, float* sum, std::int64_t count) {
    if (first)
      std::memcpy(sum, values, static_cast<std::size_t>(count) * sizeof(float));
    else
      accumulate(values, sum, static_cast<std::size_t>(count));
  };
  const float scalars[kPushScalars] = {*io_->get<float>(training_.weight), *io_->get<float>(training_.loss),
                                       *io_->get<float>(training_.top1), *io_->get<float>(training_.top5)};
  for (std::size_t server = 0; server < ranges_.size(); ++server) {
    const SliceRange& range = ranges_[server];
    float* sum = sums_[server].as<float>();
    for (const FlatLayout::Part& part : layout_.parameters) {
      const std::int64_t begin = std::max(range.begin, part.begin), end = std::min(range.end, part.end);
      if (begin < end) add(io_->get<float>(part.leaf) + (begin - part.begin), sum + (begin - range.begin), end - begin);
    }
    if (range.statistics > 0)
      for (const FlatLayout::Part& part : layout_.statistics)
        add(io_->get<float>(part.leaf), sum + range.parameters() + part.begin, part.end - part.begin);
    add(scalars, sum + range.parameters() + range.statistics, kPushScalars);
  }
}

void Lane::note_samples(const MicroBatch& batch) {
  std::vector<EpochLedger> ledgers;
  convoy::note_samples(batch, ledgers);
  for (const EpochLedger& ledger : ledgers) {
    auto entry = std::ranges::find(seen_, ledger.epoch, &SeenSamples::epoch);
    if (entry == seen_.end()) entry = seen_.insert(seen_.end(), SeenSamples{.epoch = ledger.epoch});
    entry->count += ledger.count;
    entry->sum += ledger.sum;
    entry->exclusive_or ^= ledger.exclusive_or;
  }
}

void Lane::descend(double rate) {
  const auto step = static_cast<float>(rate / static_cast<double>(*io_->get<float>(training_.weight)));
  for (const FlatLayout::Part& part : layout_.parameters)
    convoy::descend(step, io_->get<float>(part.leaf), state_.parameters.at(part.name).values<float>().data(),
                    static_cast<std::size_t>(part.end - part.begin));
  took_all();
}

std::vector<Payload> Lane::push(Push& description) {
  std::vector<Payload> slices = std::exchange(sums_, {});
  description.units = std::exchange(units_, {});
  description.seen = std::exchange(seen_, {});
  description.finite = true;
  for (std::size_t server = 0; server < slices.size(); ++server)
    description.finite = description.finite &&
                         all_finite(slices[server].as<float>(), static_cast<std::size_t>(ranges_[server].leaf()));
  const SliceRange& first = ranges_.front();
  const float* scalars = slices.front().as<float>() + first.parameters() + first.statistics;
  description.weight = scalars[kPushWeight];
  description.loss = scalars[kPushLoss];
  description.top1 = scalars[kPushTop1];
  description.top5 = scalars[kPushTop5];
  return slices;
}

std::size_t Lane::memory_bytes() const {
  std::size_t pushes = 0;
  for (const SliceRange& range : ranges_) pushes += 2 * static_cast<std::size_t>(range.leaf()) * sizeof(float);
  return memory_->bytes() + program_->arena_bytes() + program_->scratch_bytes() + pushes;
}

}  // namespace convoy
