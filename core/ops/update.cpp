// Ops without outputs: callbacks, and the updates that change the memory of their inputs.
// Attributes: ExternalAttributes, SgdAttributes, RunningAttributes. Cost: bytes. No gradients.
#include "core/ops/families.h"
#include "core/optim/scalars.h"

namespace convoy::ops {

/// Any values, which must exist when the callback runs -> nothing.
Outputs infer_external(const Attributes& attributes, Inputs) {
  const auto& a = as<ExternalAttributes>("external", attributes);
  require(!a.name.empty(), "external", "needs the name of its callback");
  return {};
}

/// w, v, gradient of one shape, scalars f64 [kStepScalars] -> nothing; changes w and v.
Outputs infer_sgd_update(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "sgd_update";
  const auto& a = as<SgdAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"w", "v", "gradient", "scalars"});
  require_reals(kOp, in, {0, 1, 2});
  require_shape(kOp, "v", in[1].shape, in[0].shape);
  require_shape(kOp, "gradient", in[2].shape, in[0].shape);
  require_type(kOp, "scalars", in[3], DType::f64);
  require_shape(kOp, "scalars", in[3].shape, {kStepScalars});
  require(a.momentum >= 0 && a.momentum < 1, kOp, "momentum must be in [0, 1), but is {}", a.momentum);
  require(a.decay >= 0, kOp, "weight decay must not be negative, but is {}", a.decay);
  require(a.rate_factor >= 0, kOp, "the factor on the learning rate must not be negative, but is {}",
          a.rate_factor);
  return {};
}

/// running, sum over the micro-batches of one shape -> nothing; changes running.
Outputs infer_running_update(const Attributes& attributes, Inputs in) {
  constexpr std::string_view kOp = "running_update";
  const auto& a = as<RunningAttributes>(kOp, attributes);
  require_inputs(kOp, in, {"running", "sum"});
  require_reals(kOp, in);
  require_shape(kOp, "sum", in[1].shape, in[0].shape);
  require(a.factor >= 0 && a.factor <= 1, kOp, "the factor of new statistics must be in [0, 1], but is {}",
          a.factor);
  require(a.micro_batches >= 1, kOp, "needs at least 1 micro-batch, but has {}", a.micro_batches);
  return {};
}

}  // namespace convoy::ops
