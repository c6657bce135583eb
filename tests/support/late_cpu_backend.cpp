#include "support/late_cpu_backend.h"

#include <utility>
#include <vector>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/cuda_backend.h"

namespace convoy::test {
namespace {

/// Runs where its stream comes to it.
class LateKernel final : public Kernel {
 public:
  LateKernel(std::unique_ptr<Kernel> kernel, cudaStream_t stream) : kernel_(std::move(kernel)), stream_(stream) {}
  std::size_t scratch_bytes() const override { return kernel_->scratch_bytes(); }
  void run(const KernelArguments& arguments) override {
    const std::vector<void*> inputs(arguments.inputs.begin(), arguments.inputs.end());
    const std::vector<void*> outputs(arguments.outputs.begin(), arguments.outputs.end());
    const cudaError_t status = emulator::enqueue_task(stream_, [=, this, scratch = arguments.scratch]() -> emulator::Poll {
      kernel_->run({inputs, outputs, scratch});
      return {};
    });
    CONVOY_CUDA(status);
  }
  std::string implementation() const override { return kernel_->implementation(); }
  bool runs_in_place(int input, int output) const override { return kernel_->runs_in_place(input, output); }

 private:
  std::unique_ptr<Kernel> kernel_;
  cudaStream_t stream_;
};

class LateCpuBackend final : public Backend {
 public:
  LateCpuBackend() : cpu_(make_cpu_backend()), emulated_(cuda::make_backend(CudaOptions{})) {}
  std::string_view name() const override { return cpu_->name(); }
  std::unique_ptr<Kernel> try_bind(const OpDesc& op, int threads, std::string* reasons) const override {
    auto kernel = cpu_->try_bind(op, threads, reasons);
    if (!kernel) return nullptr;
    return std::make_unique<LateKernel>(std::move(kernel), static_cast<cudaStream_t>(device().native_stream(Stream::compute)));
  }
  Device& device() const override { return emulated_->device(); }
  std::vector<std::pair<std::string, std::string>> identity() const override { return cpu_->identity(); }

 private:
  std::unique_ptr<Backend> cpu_, emulated_;
};

}  // namespace

std::unique_ptr<Backend> make_late_cpu_backend() { return std::make_unique<LateCpuBackend>(); }

}  // namespace convoy::test
