#include "core/backend/cpu/kernel.h"

#include <omp.h>

#include <algorithm>

#include "core/backend/cpu/isa.h"

namespace convoy::cpu {
namespace {

class FunctionKernel final : public Kernel {
 public:
  explicit FunctionKernel(KernelSpec spec) : spec_(std::move(spec)) {}
  std::size_t scratch_bytes() const override { return spec_.scratch_bytes; }
  void run(const KernelArguments& arguments) override { spec_.run(arguments); }
  std::string implementation() const override { return spec_.implementation; }
  bool runs_in_place(int input, int output) const override {
    return std::find(spec_.in_place.begin(), spec_.in_place.end(), std::pair(input, output)) !=
           spec_.in_place.end();
  }

 private:
  KernelSpec spec_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(KernelSpec spec) {
  return std::make_unique<FunctionKernel>(std::move(spec));
}

std::unique_ptr<Kernel> make_vector_kernel(KernelSpec spec) {
  spec.implementation = name_of(cpu_isa());
  return make_kernel(std::move(spec));
}

void parallel_for(int threads, std::int64_t count, const std::function<void(std::int64_t)>& body) {
  if (threads <= 1 || count <= 1) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

void parallel_for_slots(int threads, std::int64_t count, const std::function<void(std::int64_t, int slot)>& body) {
  if (threads <= 1 || count <= 1) {
    for (std::int64_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t i = 0; i < count; ++i) body(i, omp_get_thread_num());
}

void parallel_blocks(int threads, std::int64_t n, std::int64_t block,
                     const std::function<void(std::int64_t, std::int64_t)>& body) {
  parallel_for(threads, (n + block - 1) / block, [&](std::int64_t i) {
    const std::int64_t begin = i * block;
    body(begin, std::min(block, n - begin));
  });
}

}  // namespace convoy::cpu
