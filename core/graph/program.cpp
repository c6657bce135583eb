#include "core/graph/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "core/tensor/error.h"

namespace convoy {
namespace {

bool needs_kernel(OpKind kind) { return kind != OpKind::reshape && kind != OpKind::external; }

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
  return fmt::format("gradient bucket {}", call.index);
}

trace::Activity activity_of(OpKind kind) {
  switch (kind) {
    case OpKind::external: return trace::Activity::exchange;
    case OpKind::sgd_update:
    case OpKind::running_update: return trace::Activity::update;
    default: return trace::Activity::compute;
  }
}

}  // namespace

Program::Program(const Graph& graph, const Backend& backend, const ProgramOptions& options) : graph_(graph) {
  const std::set<int> read = values_read(graph_, options);
  std::vector<std::vector<std::pair<int, int>>> in_place;
  for (const Op& op : graph_.ops()) {
    std::unique_ptr<Kernel> kernel;
    if (needs_kernel(op.kind)) {
      const OpDesc desc = describe(graph_, op, read);
      if (const std::string reason = backend.declines(desc); !reason.empty())
        throw UsageError(fmt::format("the {} backend cannot run the op {} of layer \"{}\": {}", backend.name(),
                                     op_def(op.kind).name, op.layer, reason));
      kernel = backend.bind(desc, options.threads);
      scratch_bytes_ = std::max(scratch_bytes_, kernel->scratch_bytes());
    }
    in_place.push_back(in_place_pairs(op, kernel.get()));
    written_.emplace_back();
    for (Value output : op.outputs)
      if (read.contains(output.id)) written_.back().push_back(output);
    kernels_.push_back(std::move(kernel));
    notes_.push_back(note_of(op));
    activities_.push_back(activity_of(op.kind));
  }
  plan_ = plan_memory(graph_, options.outside, options.keep, in_place);
  arena_ = Tensor({static_cast<std::int64_t>(plan_.arena_bytes)}, DType::u8);
  scratch_ = Tensor({static_cast<std::int64_t>(scratch_bytes_)}, DType::u8);
  memory_.assign(graph_.values().size(), nullptr);
  for (std::size_t id = 0; id < memory_.size(); ++id)
    if (plan_.places[id].in_arena) memory_[id] = arena_.bytes() + plan_.places[id].offset;
  for (const Op& op : graph_.ops()) {
    inputs_.emplace_back(op.inputs.size());
    outputs_.emplace_back(op.outputs.size());
  }
  op_seconds.assign(graph_.ops().size(), 0.0);
}

void Program::bind_memory(Value value, void* data) {
  if (plan_.places.at(static_cast<std::size_t>(value.id)).in_arena)
    throw Error("value " + std::to_string(value.id) + " lies in the arena and cannot be bound to other memory");
  memory_[static_cast<std::size_t>(value.id)] = data;
  stale_ = true;
}

void Program::refresh() {
  for (std::size_t index = 0; index < graph_.ops().size(); ++index) {
    const Op& op = graph_.ops()[index];
    if (op.kind == OpKind::reshape) {  // a view of memory that the caller bound
      void*& target = memory_[static_cast<std::size_t>(op.outputs.front().id)];
      const bool bound = !plan_.places[static_cast<std::size_t>(op.outputs.front().id)].in_arena;
      if (bound) target = memory_[static_cast<std::size_t>(op.inputs.front().id)];
    }
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      inputs_[index][i] = memory_[static_cast<std::size_t>(op.inputs[i].id)];
      if (!inputs_[index][i] && op.kind != OpKind::external)
        throw Error(fmt::format("value \"{}\" (number {}) that the op {} of layer \"{}\" reads was never bound",
                                graph_.info(op.inputs[i]).name, op.inputs[i].id, op_def(op.kind).name, op.layer));
    }
    for (std::size_t i = 0; i < op.outputs.size(); ++i)
      outputs_[index][i] = memory_[static_cast<std::size_t>(op.outputs[i].id)];
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
      kernels_[index]->run({inputs_[index], outputs_[index], scratch_.bytes()});
    else if (graph_.ops()[index].kind == OpKind::external && external_)
      external_(graph_.ops()[index].as<ExternalAttributes>());
    if (observer_ && kernels_[index] && !observer_(static_cast<int>(index), written_[index])) return;
    if (profile) op_seconds[index] += std::chrono::duration<double>(Clock::now() - begin).count();
  }
}

std::string Program::implementation(int op) const {
  const auto& kernel = kernels_.at(static_cast<std::size_t>(op));
  return kernel ? kernel->implementation() : "";
}

}  // namespace convoy
