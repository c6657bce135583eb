#pragma once
// Parity: one op on the reference backend in double and on another backend in single or mixed precision, from the same
// values. `compute`: f32, or bf16 / f16 for the operands that takes_narrow() lists (and the copy that weight_update writes);
// the others stay f32.
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/tensor/tensor.h"

namespace convoy::test {

/// One run of one op. Real operands are f64 and hold values that single precision has too.
struct ParityCase {
  std::string name;  // what the case is about; stands in every message
  OpKind kind;
  Attributes attributes;
  std::vector<Tensor> inputs;
  double length = 1;         // of the longest sum behind an element; 1: element by element
  std::vector<int> changed;  // inputs that the op changes (update ops)
};

/// The family of an op: its forward case and the backward cases that read its results.
using ParityFamily = std::vector<ParityCase>;

/// What an op leaves behind: its outputs, then the inputs that it changed.
std::vector<Tensor> run_reference(const ParityCase& c);
/// The case with the values of its narrow operands rounded to the compute type (as f64 still), `prepare` writing it.
ParityCase lowered(const ParityCase& c, DType compute);
/// Real operands as f32, narrow ones in the compute type. Scratch and outputs hold garbage before the run.
std::vector<Tensor> run_single(const Backend& backend, const ParityCase& c, int threads = 1, DType compute = DType::f32);

/// Why the backend declines a case; empty if it takes it.
std::string declined(const Backend& backend, const ParityCase& c, DType compute = DType::f32);
/// What the backend computes a case with.
std::string implementation_of(const Backend& backend, const ParityCase& c, DType compute = DType::f32);

/// Compares run_single with run_reference, both from lowered(c, compute): integers exactly; reals by the normalised
/// squared error, at most (4 u (1 + sqrt(length)))^2 with u = 2^-24 (rounding errors of a sum of random terms: sums are f32
/// in every precision), and element by element with eight times that, against the element or the array's root mean square,
/// whichever is larger. A result in a narrow type is rounded once more: both bounds grow by that type's unit roundoff
/// (2^-8 for bf16, 2^-11 for f16), and for f16, whose least number is 2^-24, by an absolute 2^-25.
void expect_parity(const Backend& backend, const ParityCase& c, DType compute = DType::f32);

/// What is not a number in the reference's result is none in the backend's, and there is such an element. Where an algorithm
/// mixes neighbouring results (Winograd, and so convolutions), others may be none either; elsewhere all others are numbers.
void expect_not_a_number(const Backend& backend, const ParityCase& c, DType compute = DType::f32);

/// The same bits again, on another thread, on two threads at once, and with a kernel bound anew.
void expect_same_bits_anywhere(const Backend& backend, const ParityCase& c, DType compute = DType::f32);

/// The same bits from each of `times` runs, each of a kernel bound anew.
void expect_same_bits_again(const Backend& backend, const ParityCase& c, DType compute, int times);

/// The same bits when an output lies in the memory of an input, wherever the kernel says that it may.
void expect_same_bits_in_place(const Backend& backend, const ParityCase& c, DType compute = DType::f32);

/// f64, standard normal, rounded to single precision. $CONVOY_PARITY_SEED draws other values for the same seed.
Tensor random_single(Shape shape, std::uint64_t seed);
/// The same, positive.
Tensor positive_single(Shape shape, std::uint64_t seed);
/// f64 values of a tensor rounded to single precision.
Tensor rounded(const Tensor& tensor);
Tensor random_integers(Shape shape, std::int32_t below, std::uint64_t seed);

}  // namespace convoy::test
