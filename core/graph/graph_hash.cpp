// The graph as canonical text, hashed. The text lists every attribute by value, so that a change that alters what is
// computed alters the hash.
#include <fmt/format.h>

#include <type_traits>

#include "core/graph/graph.h"
#include "core/random/sha256.h"

namespace convoy {
namespace {

std::string text(const PerAxis& axes) { return fmt::format("({},{},{})", axes[0], axes[1], axes[2]); }

struct AttributeText {
  std::string operator()(const std::monostate&) const { return ""; }
  std::string operator()(const PrepareAttributes& a) const {
    return fmt::format("{} {} {} {} {} {}", a.axes, text(a.size), a.pad_value, fmt::join(a.mean, ","),
                       fmt::join(a.deviation, ","), name_of(a.output));
  }
  std::string operator()(const ConvAttributes& a) const {
    return fmt::format("{} {} {} {} {} {} {} {} {} {} {}", a.axes, a.channels, text(a.kernel), text(a.stride),
                       text(a.dilation), a.groups, static_cast<int>(a.pad_mode), text(a.pad_low),
                       text(a.pad_high), a.bias, static_cast<int>(a.activation));
  }
  std::string operator()(const ConvBackwardAttributes& a) const { return (*this)(a.conv) + a.input.str(); }
  std::string operator()(const DenseAttributes& a) const {
    return fmt::format("{} {} {}", a.units, a.bias, static_cast<int>(a.activation));
  }
  std::string operator()(const PoolAttributes& a) const {
    return fmt::format("{} {} {} {} {} {} {} {} {} {}", static_cast<int>(a.kind), a.axes, a.global, text(a.kernel),
                       text(a.stride), text(a.pad_low), text(a.pad_high), a.ceil, a.count_padding, a.input.str());
  }
  std::string operator()(const ActivationAttributes& a) const {
    return a.slope == 0 ? fmt::format("{}", static_cast<int>(a.kind))
                        : fmt::format("{} {}", static_cast<int>(a.kind), a.slope);
  }
  std::string operator()(const BatchNormAttributes& a) const {
    return fmt::format("{} {}{}", a.epsilon, static_cast<int>(a.activation), a.residual ? " residual" : "");
  }
  std::string operator()(const GlobalBatchNormAttributes& a) const {
    return fmt::format("{} {} {}", a.epsilon, a.micro_batches, static_cast<int>(a.activation));
  }
  std::string operator()(const BatchSumAttributes& a) const { return fmt::format("{}", a.index); }
  std::string operator()(const DropoutAttributes& a) const {
    return fmt::format("{} {} {}", a.rate, a.seed, a.name);
  }
  std::string operator()(const LocalResponseAttributes& a) const {
    return fmt::format("{} {} {} {}", a.size, a.alpha, a.beta, a.k);
  }
  std::string operator()(const LayerNormAttributes& a) const { return fmt::format("{}", a.epsilon); }
  std::string operator()(const ResampleAttributes& a) const {
    return fmt::format("{} {} {} {}", a.axes, a.linear, text(a.size), a.input.str());
  }
  std::string operator()(const PathsAttributes& a) const {
    return fmt::format("{} {} {} {} {} {} {} {}", a.paths, a.rate, a.keeps_one, a.global, a.columns, a.seed, a.name, a.network);
  }
  std::string operator()(const ChannelsAttributes& a) const { return fmt::format("{} {}", a.begin, a.count); }
  std::string operator()(const ReshapeAttributes& a) const { return a.shape.str(); }
  std::string operator()(const LossAttributes& a) const {
    return a.smoothing == 0 ? fmt::format("{}", a.scale) : fmt::format("{} smoothing {}", a.scale, a.smoothing);
  }
  std::string operator()(const TopKAttributes& a) const { return fmt::format("{}", a.k); }
  std::string operator()(const ConnectionsAttributes& a) const {
    std::string links = fmt::format("{} {}", a.outputs, a.inputs);
    for (const auto& [output, input] : a.links) links += fmt::format(" {}-{}", output, input);
    return links;
  }
  std::string operator()(const ExternalAttributes& a) const { return fmt::format("{} {}", a.name, a.index); }
  std::string operator()(const UpdateAttributes& a) const {
    return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {}", static_cast<int>(a.rule), a.momentum, a.nesterov, a.decay,
                       a.decoupled, a.rate_factor, a.beta1, a.beta2, a.rho, a.epsilon, a.trust, a.clip_value, a.gradient_norm,
                       a.weight_norm);
  }
  std::string operator()(const ClipAttributes& a) const { return fmt::format("{} {}", a.limit, a.tensors); }
  std::string operator()(const AverageAttributes& a) const { return fmt::format("{} {}", a.decay, a.from); }
  std::string operator()(const CastAttributes& a) const { return std::string(name_of(a.to)); }
  std::string operator()(const ChainAttributes& a) const {
    std::string steps;
    for (const ChainStep& step : a.steps)
      steps += fmt::format("{}[{}] {} {} {}; ", static_cast<int>(step.function), (*this)(step.activation), step.a, step.b,
                           name_of(step.type));
    return steps + fmt::format("{}", fmt::join(a.outputs, ","));
  }
  std::string operator()(const GuardAttributes& a) const {
    return fmt::format("{} {} {} {}", a.scaling, a.most, a.growth_every, a.halts);
  }
  std::string operator()(const RunningAttributes& a) const {
    return fmt::format("{} {}", a.factor, a.micro_batches);
  }
};

}  // namespace

std::string graph_hash(const Graph& graph) {
  Sha256 hash;
  for (const ValueInfo& value : graph.values()) {
    const Initializer& initializer = value.parameter.initializer;
    hash.update(fmt::format("value {} {} {} {} {} {} {} {} {}\n", value.name, value.desc.shape.str(),
                            name_of(value.desc.dtype), static_cast<int>(value.role),
                            static_cast<int>(initializer.kind), initializer.value, value.parameter.fan_in,
                            value.parameter.fan_out, value.parameter.decay));
  }
  for (const Op& op : graph.ops()) {
    if (op.kind == OpKind::external) continue;  // where communication is placed changes nothing that is computed
    std::string line = fmt::format("op {} {}", op_def(op.kind).name, std::visit(AttributeText{}, op.attributes));
    for (Value input : op.inputs) line += fmt::format(" <{}", input.id);
    for (Value output : op.outputs) line += fmt::format(" >{}", output.id);
    hash.update(line + "\n");
  }
  return hex(hash.finish());
}

}  // namespace convoy
