#include "core/graph/program_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/ops/chain.h"

namespace convoy {
namespace {

std::string value_name(const Graph& graph, Value value) {
  const ValueInfo& info = graph.info(value);
  if (info.role == Role::copy) return fmt::format("{} as {}", info.name, name_of(info.desc.dtype));
  return info.name.empty() ? fmt::format("%{}", value.id) : info.name;
}

std::string place_name(const Program& program, Value value) {
  const MemoryPlan::Place& place = program.plan().places[static_cast<std::size_t>(value.id)];
  if (!place.in_arena) return "bucket";
  if (place.alias_of >= 0) return fmt::format("{} (as %{})", place.offset, place.alias_of);
  return fmt::format("{}", place.offset);
}

std::string op_name(const Op& op) {
  if (op.kind == OpKind::external)
    return fmt::format("{}({})", op.as<ExternalAttributes>().name, op.as<ExternalAttributes>().index);
  std::string name(op_def(op.kind).name);
  if (op.kind == OpKind::conv && op.as<ConvAttributes>().activation == ActivationKind::relu) name += "+relu";
  if (op.kind == OpKind::dense && op.as<DenseAttributes>().activation == ActivationKind::relu) name += "+relu";
  if (op.kind == OpKind::batch_norm_global && op.as<GlobalBatchNormAttributes>().activation == ActivationKind::relu) name += "+relu";
  if (const auto* norm = std::get_if<BatchNormAttributes>(&op.attributes)) {
    if (norm->residual) name += "+add";
    if (norm->activation == ActivationKind::relu) name += "+relu";
  }
  if (const auto* chain = std::get_if<ChainAttributes>(&op.attributes)) {
    name = "chain:";
    for (const ChainStep& step : chain->steps)
      name += fmt::format("{}{}", name.back() == ':' ? "" : "+", name_of(step.function));
  }
  return name;
}

}  // namespace

std::string program_text(const Program& program) {
  const Graph& graph = program.graph();
  std::string text = fmt::format("  {} ops, arena {} bytes, scratch {} bytes; a value: shape @ offset, bytes, [first, last op]\n",
                                 graph.ops().size(), program.arena_bytes(), program.scratch_bytes());
  for (std::size_t index = 0; index < graph.ops().size(); ++index) {
    const Op& op = graph.ops()[index];
    std::string inputs;
    for (Value input : op.inputs) inputs += fmt::format("{}{}", inputs.empty() ? "" : ", ", value_name(graph, input));
    text += fmt::format("  {:>4}  {:<24} {:<28} {:<16} ({})\n", index, op_name(op), op.layer,
                        program.implementation(static_cast<int>(index)), inputs);
    for (Value output : op.outputs) {
      const MemoryPlan::Place& place = program.plan().places[static_cast<std::size_t>(output.id)];
      text += fmt::format("          -> %{} {} {} @ {}, {}, [{}, {}]\n", output.id, name_of(graph.info(output).desc.dtype),
                          graph.shape(output).str(), place_name(program, output), place.size, place.first_op,
                          place.last_op);
    }
  }
  return text;
}

nlohmann::ordered_json program_json(const Program& program) {
  const Graph& graph = program.graph();
  auto ops = nlohmann::ordered_json::array();
  for (std::size_t index = 0; index < graph.ops().size(); ++index) {
    const Op& op = graph.ops()[index];
    nlohmann::ordered_json entry{{"op", op_name(op)},
                                 {"layer", op.layer},
                                 {"kernel", program.implementation(static_cast<int>(index))},
                                 {"inputs", nlohmann::ordered_json::array()},
                                 {"outputs", nlohmann::ordered_json::array()}};
    for (Value input : op.inputs) entry["inputs"].push_back(value_name(graph, input));
    for (Value output : op.outputs) {
      const MemoryPlan::Place& place = program.plan().places[static_cast<std::size_t>(output.id)];
      const auto extents = graph.shape(output).extents();
      entry["outputs"].push_back({{"value", fmt::format("%{}", output.id)},
                                  {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                                  {"dtype", name_of(graph.info(output).desc.dtype)},
                                  {"in_arena", place.in_arena},
                                  {"offset", place.offset},
                                  {"bytes", place.size},
                                  {"first_op", place.first_op},
                                  {"last_op", place.last_op},
                                  {"alias_of", place.alias_of}});
    }
    ops.push_back(std::move(entry));
  }
  return {{"arena_bytes", program.arena_bytes()}, {"scratch_bytes", program.scratch_bytes()}, {"ops", ops}};
}

}  // namespace convoy
