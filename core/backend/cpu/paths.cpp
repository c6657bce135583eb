// Which paths samples take, and their weights.
#include "core/ops/path_math.h"

#include <algorithm>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/vector/elementwise.h"

namespace convoy::cpu {

Bound bind_path_weights(const OpDesc& op, int, std::string*) {
  const std::int64_t n = op.inputs[0].shape[0];
  const math::PathRule rule = math::path_rule(std::get<PathsAttributes>(op.attributes));
  return make_kernel({.implementation = "loop", .run = [=](const KernelArguments& arguments) {
                        for (std::int64_t i = 0; i < n; ++i) {
                          const std::uint64_t taken = math::paths_taken(rule, input<std::uint64_t>(arguments, 0) + 2 * i);
                          for (int p = 0; p < rule.paths; ++p)
                            if (float* weights = output<float>(arguments, p))
                              weights[i] = (taken >> p & 1) != 0 ? math::path_share(taken) : 0.0f;
                        }
                      }});
}

Bound bind_scale_samples(const OpDesc& op, int threads, std::string*) {
  const Shape& x = op.inputs[0].shape;
  const std::int64_t n = x[0], sample = x.elements(1, x.rank());
  const auto& table = cpu_isa() == CpuIsa::avx512 ? avx512::elementwise_kernels : avx2::elementwise_kernels;
  const auto scale = table.activation[static_cast<int>(ActivationKind::scale)];
  const auto run = [=](const KernelArguments& arguments) {
    parallel_for(threads, n, [&](std::int64_t i) {
      const float w = input<float>(arguments, 1)[i];
      float* y = output<float>(arguments, 0) + i * sample;
      if (w == 0)
        std::fill_n(y, sample, 0.0f);
      else
        scale(input<float>(arguments, 0) + i * sample, w, y, sample);
    });
  };
  return make_vector_kernel({.run = run, .in_place = {{0, 0}}});
}

}  // namespace convoy::cpu
