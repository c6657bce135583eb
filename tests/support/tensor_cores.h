#pragma once
// What a parity case becomes where tensor cores multiply.
#include "support/parity.h"

namespace convoy::test {

/// The case with the bound that tensor cores can keep: they align the products of a block (4 or more) to the largest and cut
/// off what is below, so that errors do not cancel as roundings do but add up, one unit per block (Fasi, Higham, Mikaitis &
/// Pranesh 2021, "Numerical behavior of NVIDIA tensor cores"). For convolutions and dense layers, where `length` is that of
/// the sum: sqrt(length) grows by length / 4. With `tf32` also the operands' values are rounded to tf32 (10 fraction bits, to
/// nearest), so that products are exact as they are for bf16 and f16.
ParityCase for_tensor_cores(const ParityCase& c, bool tf32);

}  // namespace convoy::test
