#include "core/backend/cpu/rectified.h"

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/reals.h"
#include "core/backend/cpu/vector/elementwise.h"
#include "core/ops/attributes.h"

namespace convoy::cpu {
namespace {

ElementwiseKernels::Activation relu() {
  const auto& kernels = cpu_isa() == CpuIsa::avx512 ? avx512::elementwise_kernels : avx2::elementwise_kernels;
  return kernels.activation[static_cast<int>(ActivationKind::relu)];
}

/// `Operand` and `Result`: f32 and f32, or bf16 and void, as in layer_primitive.h.
template <typename Layer, typename Operand, typename Result>
class Rectified final : public Layer {
 public:
  Rectified(std::unique_ptr<Layer> layer, DType type, std::int64_t elements, int threads)
      : layer_(std::move(layer)), reals_(type), elements_(elements), threads_(threads) {}

  std::size_t scratch_bytes() const override { return layer_->scratch_bytes(); }
  std::string implementation() const override { return layer_->implementation(); }

  void run(const Operand* a, const Operand* b, float* bias, Result* result, void* scratch) override {
    layer_->run(a, b, bias, result, scratch);
    void* inputs[] = {result};
    const KernelArguments in_place{inputs, inputs};
    parallel_blocks(threads_, elements_, kElementBlock, [&](std::int64_t begin, std::int64_t n) {
      for_elements<1>(reals_, in_place, begin, n, [f = relu_](const float* const* x, float* y, std::int64_t count) {
        f(x[0], 0, y, count);
      });
    });
  }

 private:
  std::unique_ptr<Layer> layer_;
  Reals reals_;
  std::int64_t elements_;
  int threads_;
  ElementwiseKernels::Activation relu_ = relu();
};

}  // namespace

std::unique_ptr<LayerPrimitive> rectified(std::unique_ptr<LayerPrimitive> layer, std::int64_t elements, int threads) {
  if (layer == nullptr) return nullptr;
  return std::make_unique<Rectified<LayerPrimitive, float, float>>(std::move(layer), DType::f32, elements, threads);
}

std::unique_ptr<NarrowPrimitive> rectified(std::unique_ptr<NarrowPrimitive> layer, std::int64_t elements, int threads) {
  if (layer == nullptr) return nullptr;
  return std::make_unique<Rectified<NarrowPrimitive, Bf16, void>>(std::move(layer), DType::bf16, elements, threads);
}

}  // namespace convoy::cpu
