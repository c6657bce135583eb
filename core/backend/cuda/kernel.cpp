#include "core/backend/cuda/kernel.h"

#include <algorithm>

namespace convoy::cuda {
namespace {

class FunctionKernel final : public Kernel {
 public:
  FunctionKernel(cudaStream_t stream, KernelSpec spec) : stream_(stream), spec_(std::move(spec)) {}
  std::size_t scratch_bytes() const override { return spec_.scratch_bytes; }
  void run(const KernelArguments& arguments) override { spec_.run(arguments, stream_); }
  std::string implementation() const override { return spec_.implementation; }
  bool runs_in_place(int input, int output) const override {
    return std::find(spec_.in_place.begin(), spec_.in_place.end(), std::pair(input, output)) != spec_.in_place.end();
  }

 private:
  cudaStream_t stream_;
  KernelSpec spec_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const Context& context, KernelSpec spec) {
  return std::make_unique<FunctionKernel>(context.stream, std::move(spec));
}

}  // namespace convoy::cuda
