#include <cmath>

#include "core/backend/reference/kernels.h"
#include "core/random/philox.h"

namespace convoy::reference {

/// y[n, e] = x[n, e] / (1 - rate) where word(e) of the sample's key is at least floor(rate 2^32), else 0.
void dropout(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<DropoutAttributes>(op);
  const double* x = in(arguments, 0);
  const std::uint64_t* keys = in<std::uint64_t>(arguments, 1);  // [n, 2]: epoch, sample id
  double* y = out(arguments, 0);
  const Shape& shape = op.inputs[0].shape;
  const std::int64_t N = shape[0], E = shape.elements(1, shape.rank());
  const auto threshold = static_cast<std::uint64_t>(std::floor(std::ldexp(a.rate, 32)));
  const RandomKey layer = RandomKey(a.seed, "dropout").child(name_key(a.name));
  for (std::int64_t n = 0; n < N; ++n) {
    const RandomKey sample = layer.child(keys[2 * n]).child(keys[2 * n + 1]);
    for (std::int64_t e = 0; e < E; ++e) {
      const bool kept = sample.word(static_cast<std::uint64_t>(e)) >= threshold;
      y[n * E + e] = kept ? x[n * E + e] / (1 - a.rate) : 0.0;
    }
  }
}

}  // namespace convoy::reference
