// Ops without outputs: callbacks, and the updates that change the memory of their inputs.
// Attributes: ExternalAttributes, GuardAttributes, SgdAttributes, RunningAttributes. Cost: bytes. No gradients.
#include "core/ops/families.h"
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

/// w, v, gradient of one shape, scalars f64 [kStepScalars], perhaps w in a narrow type -> nothing; changes w, v and that.
Outputs infer_sgd_update(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "sgd_update";
  const auto& a = as<SgdAttributes>(kOp, attributes);
  if (in.size() == 5) {
    require(is_floating(in[4].dtype), kOp, "the copy must hold real numbers, but its type is {}", name_of(in[4].dtype));
    require_shape(kOp, "the copy", in[4].shape, in[0].shape);
  } else {
    require_inputs(kOp, in, {"w", "v", "gradient", "scalars"});
  }
  require_reals(kOp, in, {0, 1, 2});
  require_wide(kOp, "w", in[0]);
  require_shape(kOp, "v", in[1].shape, in[0].shape);
  require_shape(kOp, "gradient", in[2].shape, in[0].shape);
  require_scalars(kOp, in[3]);
  require(a.momentum >= 0 && a.momentum < 1, kOp, "momentum must be in [0, 1), but is {}", a.momentum);
  require(a.decay >= 0, kOp, "weight decay must not be negative, but is {}", a.decay);
  require(a.rate_factor >= 0, kOp, "the factor on the learning rate must not be negative, but is {}",
          a.rate_factor);
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
