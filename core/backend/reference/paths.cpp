#include <cmath>

#include "core/backend/reference/kernels.h"
#include "core/random/philox.h"

namespace convoy::reference {
namespace {

bool below(const RandomKey& key, std::uint64_t word, double share) {
  return static_cast<double>(key.word(word)) < std::floor(std::ldexp(share, 32));
}

RandomKey key_of(const PathsAttributes& a, const std::string& name, const std::uint64_t* sample) {
  return RandomKey(a.seed, "dropout").child(name_key(name)).child(sample[0]).child(sample[1]);
}

/// Bit i: path i is taken.
std::uint64_t taken(const PathsAttributes& a, const std::uint64_t* sample) {
  const std::uint64_t all = a.paths == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << a.paths) - 1;
  const RandomKey shared = key_of(a, a.network, sample), own = key_of(a, a.name, sample);
  if (a.keeps_one && below(shared, 0, a.global)) {
    const auto column = shared.word(1) % static_cast<std::uint32_t>(a.columns);
    return column < static_cast<std::uint32_t>(a.paths) ? std::uint64_t{1} << column : all;
  }
  std::uint64_t kept = 0;
  for (int i = 0; i < a.paths; ++i)
    if (!below(own, static_cast<std::uint64_t>(i), a.rate)) kept |= std::uint64_t{1} << i;
  if (kept == 0 && a.keeps_one)
    kept = std::uint64_t{1} << own.word(static_cast<std::uint64_t>(a.paths)) % static_cast<std::uint32_t>(a.paths);
  return kept;
}

}  // namespace

/// One over the number of paths taken, for those; 0 for the others.
void path_weights(const OpDesc& op, const KernelArguments& arguments) {
  const auto& a = attributes<PathsAttributes>(op);
  for (std::int64_t n = 0; n < op.inputs[0].shape[0]; ++n) {
    const std::uint64_t kept = taken(a, in<std::uint64_t>(arguments, 0) + 2 * n);
    for (int i = 0; i < a.paths; ++i)
      if (double* weights = out(arguments, static_cast<std::size_t>(i)))
        weights[n] = (kept >> i & 1) != 0 ? 1.0 / __builtin_popcountll(kept) : 0.0;
  }
}

/// y[n, e] = x[n, e] w[n]
void scale_samples(const OpDesc& op, const KernelArguments& arguments) {
  const Shape& x = op.inputs[0].shape;
  const std::int64_t E = x.elements(1, x.rank());
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    const double w = in(arguments, 1)[i / E];
    out(arguments, 0)[i] = w == 0 ? 0 : in(arguments, 0)[i] * w;
  }
}

}  // namespace convoy::reference
