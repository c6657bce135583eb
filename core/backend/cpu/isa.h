#pragma once
// Which vector instructions the cpu backend uses. They decide the order in which sums are taken, so AVX2 and
// AVX-512 give different bits; the run record holds the choice.
#include <string_view>

namespace convoy {

enum class CpuIsa { avx2, avx512 };

/// Pins the instruction set: "avx2", "avx512", or "default" (the best that the machine has). To be called
/// before the first kernel is bound, for oneDNN fixes its own choice then. Throws UsageError for an unknown
/// name or one that the machine lacks, LibraryError if oneDNN has fixed another one already.
void set_cpu_isa(std::string_view name);

/// The pinned or best instruction set. Throws UsageError on a machine without AVX2.
CpuIsa cpu_isa();

std::string_view name_of(CpuIsa isa);

}  // namespace convoy
