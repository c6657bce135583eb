#include <algorithm>

#include "core/graph/passes.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {
constexpr std::int64_t kAlignElements = 16;  // slots begin at multiples of 64 bytes (f32)
}

const LeafSlot& BucketLayout::slot_of(Value value) const {
  for (const LeafSlot& slot : slots)
    if (slot.value == value) return slot;
  throw Error("value " + std::to_string(value.id) + " is in no bucket");
}

BucketLayout place_communication(Graph& graph, const std::vector<Value>& leaves, std::size_t bucket_bytes,
                                 const std::vector<Value>& rounded) {
  std::vector<Value> ordered = leaves;
  std::stable_sort(ordered.begin(), ordered.end(),
                   [&](Value a, Value b) { return graph.info(a).producer < graph.info(b).producer; });
  // one value may be the gradient of two parameters (a sum of both): it travels once
  std::vector<bool> seen(graph.values().size(), false);
  std::erase_if(ordered, [&](Value leaf) {
    const bool again = seen[static_cast<std::size_t>(leaf.id)];
    seen[static_cast<std::size_t>(leaf.id)] = true;
    return again;
  });
  BucketLayout layout;
  std::vector<int> completed_by;  // per bucket, the op after which it is complete
  const auto element_bytes = static_cast<std::int64_t>(size_of(graph.real()));
  bool open = false;
  for (Value leaf : ordered) {
    if (graph.info(leaf).desc.dtype != graph.real())
      throw Error("leaf " + std::to_string(leaf.id) + " is " + std::string(name_of(graph.info(leaf).desc.dtype)) +
                  ", but buckets hold " + std::string(name_of(graph.real())));
    const bool is_rounded = std::find(rounded.begin(), rounded.end(), leaf) != rounded.end();
    const SumRounding rounding = is_rounded ? SumRounding::bf16 : SumRounding::none;
    if (!open || layout.rounding.back() != rounding) {
      layout.elements.push_back(0);
      layout.rounding.push_back(rounding);
      completed_by.push_back(-1);
      open = true;
    }
    std::int64_t& elements = layout.elements.back();
    layout.slots.push_back({leaf, layout.buckets() - 1, elements});
    const std::int64_t size = graph.shape(leaf).elements();
    elements += (size + kAlignElements - 1) / kAlignElements * kAlignElements;
    completed_by.back() = graph.info(leaf).producer;
    open = elements * element_bytes < static_cast<std::int64_t>(bucket_bytes);
  }
  // Insert from the back, so that the earlier positions stay valid; producers are renumbered at the end.
  auto& ops = graph.ops();
  for (int bucket = layout.buckets() - 1; bucket >= 0; --bucket) {
    Op op{OpKind::external, ExternalAttributes{kBucketReady, bucket}, {}, {}, ""};
    for (const LeafSlot& slot : layout.slots)
      if (slot.bucket == bucket) op.inputs.push_back(slot.value);
    ops.insert(ops.begin() + completed_by[static_cast<std::size_t>(bucket)] + 1, std::move(op));
  }
  for (std::size_t index = 0; index < ops.size(); ++index)
    for (Value output : ops[index].outputs) graph.info(output).producer = static_cast<int>(index);
  return layout;
}

}  // namespace convoy
