#include "core/graph/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>

#include "core/graph/place_towers.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

/// The op as a backend sees it; outputs that nobody reads are marked as not wanted.
OpDesc describe(const Graph& graph, const Op& op, const std::set<int>& read) {
  OpDesc desc{op.kind, op.attributes, {}, {}, {}};
  for (Value input : op.inputs) desc.inputs.push_back(graph.info(input).desc);
  for (Value output : op.outputs) {
    desc.outputs.push_back(graph.info(output).desc);
    desc.wanted.push_back(read.contains(output.id));
  }
  return desc;
}

std::set<int> values_read(const Graph& graph, const ProgramOptions& options) {
  std::set<int> read;
  for (const Op& op : graph.ops())
    for (Value input : op.inputs) read.insert(input.id);
  for (Value value : options.outside) read.insert(value.id);
  for (Value value : options.keep) read.insert(value.id);
  return read;
}

std::vector<std::pair<int, int>> in_place_pairs(const Op& op, const Kernel* kernel) {
  std::vector<std::pair<int, int>> pairs;
  if (!kernel) return pairs;
  for (std::size_t output = 0; output < op.outputs.size(); ++output)
    for (std::size_t input = 0; input < op.inputs.size(); ++input)
      if (kernel->runs_in_place(static_cast<int>(input), static_cast<int>(output)))
        pairs.emplace_back(static_cast<int>(input), static_cast<int>(output));
  return pairs;
}

std::string note_of(const Op& op) {
  if (op.kind != OpKind::external) return fmt::format("{} {}", op.layer, op_def(op.kind).name);
  const auto& call = op.as<ExternalAttributes>();
  return fmt::format("{} {}", call.name == kTowerExchange ? "exchange of towers" : "gradient bucket", call.index);
}

trace::Activity activity_of(OpKind kind) {
  switch (kind) {
    case OpKind::batch_sum:
    case OpKind::external: return trace::Activity::exchange;
    case OpKind::step_guard:
    case OpKind::squared_norms:
    case OpKind::clip_norm:
    case OpKind::weight_update:
    case OpKind::running_update:
    case OpKind::average_update: return trace::Activity::update;
    default: return trace::Activity::compute;
  }
}

}  // namespace

bool needs_kernel(OpKind kind) { return kind != OpKind::reshape && kind != OpKind::external && kind != OpKind::batch_sum; }

// Updates read and change memory of the caller's alone.
bool may_share_kernel(OpKind kind) {
  return kind == OpKind::weight_update || kind == OpKind::running_update || kind == OpKind::average_update;
}

std::vector<OpDesc> describe_ops(const Graph& graph, const ProgramOptions& options) {
  const std::set<int> read = values_read(graph, options);
  std::vector<OpDesc> descs;
  for (const Op& op : graph.ops()) descs.push_back(describe(graph, op, read));
  return descs;
}

Program::Program(const Graph& graph, const Backend& backend, const ProgramOptions& options)
    : graph_(graph), device_(backend.device()) {
  const std::set<int> read = values_read(graph_, options);
  const std::vector<OpDesc> descs = describe_ops(graph_, options);
  for (const Op& op : graph_.ops()) {
    written_.emplace_back();
    for (Value output : op.outputs)
      if (read.contains(output.id)) written_.back().push_back(output);
    notes_.push_back(note_of(op));
    activities_.push_back(activity_of(op.kind));
    inputs_.emplace_back();
    outputs_.emplace_back();
  }
  kernels_.resize(descs.size());
  members_.assign(descs.size(), 1);
  for (std::size_t index = 0; index < descs.size();) {
    if (needs_kernel(descs[index].kind)) {
      index += bind_neighbours(backend, descs, index, options.threads);
    } else {
      ++index;
    }
  }
  std::vector<std::vector<std::pair<int, int>>> in_place;
  for (std::size_t index = 0; index < descs.size(); ++index) {
    const Kernel* kernel = members_[index] == 1 ? kernels_[index].get() : nullptr;
    if (kernels_[index]) scratch_bytes_ = std::max(scratch_bytes_, kernels_[index]->scratch_bytes());
    in_place.push_back(in_place_pairs(graph_.ops()[index], kernel));
  }
  plan_ = plan_memory(graph_, options.outside, options.keep, in_place);
  arena_ = backend.device().allocate(plan_.arena_bytes);
  scratch_ = backend.device().allocate(scratch_bytes_);
  memory_.assign(graph_.values().size(), nullptr);
  for (std::size_t id = 0; id < memory_.size(); ++id)
    if (plan_.places[id].in_arena) memory_[id] = arena_.get() + plan_.places[id].offset;
  op_seconds.assign(graph_.ops().size(), 0.0);
}

/// Binds the op `first`, with as many of its neighbours of one kind as the backend takes together. Returns how many.
std::size_t Program::bind_neighbours(const Backend& backend, const std::vector<OpDesc>& descs, std::size_t first,
                                     int threads) {
  const OpDesc& desc = descs[first];
  std::size_t end = first + 1;
  if (may_share_kernel(desc.kind))
    while (end < descs.size() && descs[end].kind == desc.kind) ++end;
  if (end - first > 1) {
    kernels_[first] = backend.bind_together(std::span(descs).subspan(first, end - first));
    if (kernels_[first]) {
      members_[first] = static_cast<int>(end - first);
      std::fill(members_.begin() + static_cast<std::ptrdiff_t>(first) + 1,
                members_.begin() + static_cast<std::ptrdiff_t>(end), 0);
      return end - first;
    }
  }
  std::string reasons;
  kernels_[first] = backend.try_bind(desc, threads, &reasons);
  if (!kernels_[first])
    throw UsageError(fmt::format("the {} backend cannot run the op {} of layer \"{}\": {}", backend.name(),
                                 op_def(desc.kind).name, graph_.ops()[first].layer, reasons));
  return 1;
}

void Program::bind_memory(Value value, void* data) {
  if (plan_.places.at(static_cast<std::size_t>(value.id)).in_arena)
    throw Error("value " + std::to_string(value.id) + " lies in the arena and cannot be bound to other memory");
  memory_[static_cast<std::size_t>(value.id)] = data;
  stale_ = true;
}

/// The memory of what an op reads and writes, behind that of the ops before it which share its kernel.
void Program::gather(const Op& op, std::vector<void*>& inputs, std::vector<void*>& outputs) const {
  for (Value input : op.inputs) {
    inputs.push_back(memory_[static_cast<std::size_t>(input.id)]);
    if (!inputs.back() && op.kind != OpKind::external)
      throw Error(fmt::format("value \"{}\" (number {}) that the op {} of layer \"{}\" reads was never bound",
                              graph_.info(input).name, input.id, op_def(op.kind).name, op.layer));
  }
  for (Value output : op.outputs) outputs.push_back(memory_[static_cast<std::size_t>(output.id)]);
}

void Program::refresh() {
  for (std::size_t index = 0; index < graph_.ops().size(); ++index) {
    const Op& op = graph_.ops()[index];
    if (op.kind == OpKind::reshape) {  // a view of memory that the caller bound
      void*& target = memory_[static_cast<std::size_t>(op.outputs.front().id)];
      const bool bound = !plan_.places[static_cast<std::size_t>(op.outputs.front().id)].in_arena;
      if (bound) target = memory_[static_cast<std::size_t>(op.inputs.front().id)];
    }
    inputs_[index].clear();
    outputs_[index].clear();
    for (int member = 0; member < members_[index]; ++member)
      gather(graph_.ops()[index + static_cast<std::size_t>(member)], inputs_[index], outputs_[index]);
  }
  stale_ = false;
}

void Program::run() {
  if (stale_) refresh();
  using Clock = std::chrono::steady_clock;
  const trace::Doing program(trace::Activity::compute, "beginning");  // and at the end again what was done before
  for (std::size_t index = 0; index < kernels_.size(); ++index) {
    const auto begin = profile ? Clock::now() : Clock::time_point{};
    trace::doing(activities_[index], notes_[index]);
    if (kernels_[index])
      kernels_[index]->run({inputs_[index], outputs_[index], scratch_.get()});
    else if (graph_.ops()[index].kind == OpKind::external && external_)
      external_(graph_.ops()[index].as<ExternalAttributes>());
    else if (graph_.ops()[index].kind == OpKind::batch_sum)
      sum_over_batch(index);
    if (observer_ && kernels_[index] && !observer_(static_cast<int>(index), written_[index])) return;
    if (profile) device_.synchronize(Stream::compute);
    if (profile) op_seconds[index] += std::chrono::duration<double>(Clock::now() - begin).count();
  }
}

void Program::sum_over_batch(std::size_t index) {
  const Op& op = graph_.ops()[index];
  const TensorDesc& desc = graph_.info(op.inputs.front()).desc;
  const void* part = inputs_[index].front();
  void* sum = outputs_[index].front();
  if (batch_sum_)
    batch_sum_(op.as<BatchSumAttributes>().index, part, sum, desc.shape.elements());
  else
    std::memcpy(sum, part, static_cast<std::size_t>(desc.shape.elements()) * size_of(desc.dtype));
}

std::string Program::implementation(int op) const {
  const auto& kernel = kernels_.at(static_cast<std::size_t>(op));
  return kernel ? kernel->implementation() : "";
}

}  // namespace convoy
