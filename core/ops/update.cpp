// Ops of the update program: callbacks, norms, and the updates that change the memory of their inputs.
// Attributes: ExternalAttributes, GuardAttributes, ClipAttributes, UpdateAttributes, RunningAttributes, AverageAttributes.
// Cost: bytes. No gradients.
#include "core/ops/families.h"
#include "core/ops/update_operands.h"
#include "core/optim/scalars.h"

namespace convoy::ops {
namespace {

void require_scalars(std::string_view op, const TensorDesc& scalars) {
  require_type(op, "scalars", scalars, DType::f64);
  require_shape(op, "scalars", scalars.shape, {kStepScalars});
}

}  // namespace

/// Any values, which must exist when the callback runs -> nothing.
Outputs infer_external(const Attributes& attributes, Inputs) {
  const auto& a = as<ExternalAttributes>("external", attributes);
  require(!a.name.empty(), "external", "needs the name of its callback");
  return {};
}

/// weight [1], scalars f64 [kStepScalars], buckets -> nothing; changes scalars.
Outputs infer_step_guard(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "step_guard";
  const auto& a = as<GuardAttributes>(kOp, attributes);
  require(in.size() >= 3, kOp, "takes weight, scalars and one bucket or more, but {} inputs were given", in.size());
  require_shape(kOp, "weight", in[0].shape, {1});
  require_scalars(kOp, in[1]);
  require_wide(kOp, "weight", in[0]);
  for (int i = 2; i < static_cast<int>(in.size()); ++i) require_reals(kOp, in, {0, i});
  require(a.most >= 1, kOp, "the largest loss scale must be at least 1, but is {}", a.most);
  require(a.growth_every >= 1, kOp, "the loss scale must grow after 1 step or more, but after {}", a.growth_every);
  return {};
}

/// Tensors of any shapes -> f64 [tensors]: the sums of their squares.
Outputs infer_squared_norms(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "squared_norms";
  as<std::monostate>(kOp, attributes);
  require(!in.empty(), kOp, "needs one tensor or more");
  for (int i = 0; i < static_cast<int>(in.size()); ++i) {
    require_reals(kOp, in, {0, i});
    require_wide(kOp, "a tensor", in[static_cast<std::size_t>(i)]);
  }
  return {{{static_cast<std::int64_t>(in.size())}, DType::f64}};
}

/// norms f64 [n], scalars f64 [kStepScalars] -> nothing; changes scalars.
Outputs infer_clip_norm(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "clip_norm";
  const auto& a = as<ClipAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"norms", "scalars"});
  require_type(kOp, "norms", in[0], DType::f64);
  require_scalars(kOp, in[1]);
  require(a.limit > 0, kOp, "the limit of the norm must be above 0, but is {}", a.limit);
  require(a.tensors >= 1 && a.tensors <= in[0].shape.elements(), kOp, "clips by {} norms, but has {}", a.tensors,
          in[0].shape.elements());
  return {};
}

namespace {

void require_factors(std::string_view op, const UpdateAttributes& a) {
  const auto below_one = [&](std::string_view name, double value) {
    require(value >= 0 && value < 1, op, "{} must be in [0, 1), but is {}", name, value);
  };
  below_one("momentum", a.momentum);
  below_one("beta1", a.beta1);
  below_one("beta2", a.beta2);
  below_one("rho", a.rho);
  require(a.epsilon >= 0, op, "epsilon must not be negative, but is {}", a.epsilon);
  require(a.trust > 0, op, "the trust coefficient must be above 0, but is {}", a.trust);
  require(a.clip_value >= 0, op, "the largest gradient must not be negative, but is {}", a.clip_value);
  require(a.decay >= 0, op, "weight decay must not be negative, but is {}", a.decay);
  require(a.rate_factor >= 0, op, "the factor on the learning rate must not be negative, but is {}", a.rate_factor);
}

}  // namespace

/// w, slots, gradient of one shape, scalars f64 [kStepScalars], perhaps norms f64 [n], perhaps w in a narrow type -> nothing;
/// changes w, slots and that.
Outputs infer_weight_update(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "weight_update";
  const auto& a = as<UpdateAttributes>(kOp, attributes);
  const UpdateOperands at = operands_of(a);
  const auto operands = static_cast<int>(in.size());
  require(operands == at.copy || operands == at.copy + 1, kOp, "takes {} operands, or {} with a copy, but {} were given", at.copy,
          at.copy + 1, operands);
  for (int i = 1; i <= at.gradient; ++i) {
    require_reals(kOp, in, {0, i});
    require_shape(kOp, i < at.gradient ? "a slot" : "gradient", in[static_cast<std::size_t>(i)].shape, in[0].shape);
  }
  require_wide(kOp, "w", in[0]);
  require_scalars(kOp, in[static_cast<std::size_t>(at.scalars)]);
  if (takes_norms(a)) {
    const TensorDesc& norms = in[static_cast<std::size_t>(at.norms)];
    require_type(kOp, "norms", norms, DType::f64);
    require(a.weight_norm >= 0 && a.gradient_norm < norms.shape.elements() && a.weight_norm < norms.shape.elements(), kOp,
            "reads the norms {} and {}, but there are {}", a.gradient_norm, a.weight_norm, norms.shape.elements());
  }
  if (at.has_copy(in.size())) {
    const TensorDesc& copy = in[static_cast<std::size_t>(at.copy)];
    require(is_floating(copy.dtype), kOp, "the copy must hold real numbers, but its type is {}", name_of(copy.dtype));
    require_shape(kOp, "the copy", copy.shape, in[0].shape);
  }
  require_factors(kOp, a);
  return {};
}

/// average, value of one shape, scalars f64 [kStepScalars] -> nothing; changes average.
Outputs infer_average_update(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "average_update";
  const auto& a = as<AverageAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"average", "value", "scalars"});
  require_reals(kOp, in, {0, 1});
  require_wide(kOp, "average", in[0]);
  require_scalars(kOp, in[2]);
  require_shape(kOp, "value", in[1].shape, in[0].shape);
  require(a.decay >= 0 && a.decay < 1, kOp, "the decay must be in [0, 1), but is {}", a.decay);
  require(a.from >= 0, kOp, "the updates that do not count must not be negative, but are {}", a.from);
  return {};
}

/// running, sum over the micro-batches of one shape, scalars f64 [kStepScalars] -> nothing; changes running.
Outputs infer_running_update(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "running_update";
  const auto& a = as<RunningAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"running", "sum", "scalars"});
  require_reals(kOp, in, {0, 1});
  require_wide(kOp, "running", in[0]);
  require_scalars(kOp, in[2]);
  require_shape(kOp, "sum", in[1].shape, in[0].shape);
  require(a.factor >= 0 && a.factor <= 1, kOp, "the factor of new statistics must be in [0, 1], but is {}",
          a.factor);
  require(a.micro_batches >= 1, kOp, "needs at least 1 micro-batch, but has {}", a.micro_batches);
  return {};
}

}  // namespace convoy::ops
