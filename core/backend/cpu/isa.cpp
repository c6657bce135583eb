#include "core/backend/cpu/isa.h"

#include <fmt/format.h>

#include <atomic>

#include "core/backend/cpu/onednn.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

bool machine_has(CpuIsa isa) {
  __builtin_cpu_init();
  if (isa == CpuIsa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

// -1: not pinned.
std::atomic<int> pinned{-1};

}  // namespace

std::string_view name_of(CpuIsa isa) { return isa == CpuIsa::avx2 ? "avx2" : "avx512"; }

void set_cpu_isa(std::string_view name) {
  if (name == "default") return;
  if (name != "avx2" && name != "avx512")
    throw UsageError(fmt::format("device.isa: expected avx2, avx512 or default, found '{}'", name));
  const CpuIsa isa = name == "avx2" ? CpuIsa::avx2 : CpuIsa::avx512;
  if (!machine_has(isa))
    throw UsageError(
        fmt::format("device.isa={}: this processor lacks it. Leave the option out to use the best "
                    "instruction set that it has.",
                    name));
  onednn::limit_isa(isa);
  pinned = static_cast<int>(isa);
}

CpuIsa cpu_isa() {
  if (const int isa = pinned; isa >= 0) return static_cast<CpuIsa>(isa);
  if (machine_has(CpuIsa::avx512)) return CpuIsa::avx512;
  if (machine_has(CpuIsa::avx2)) return CpuIsa::avx2;
  throw UsageError("the cpu backend needs a processor with AVX2 and FMA (x86-64-v3), which this one lacks");
}

}  // namespace convoy
