#pragma once
// Parity: one op on the reference backend in double and on another backend in single precision, from the same
// values.
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
/// Real operands as f32. Scratch and outputs hold garbage before the run.
std::vector<Tensor> run_single(const Backend& backend, const ParityCase& c, int threads = 1);

/// Why the backend declines a case; empty if it takes it.
std::string declined(const Backend& backend, const ParityCase& c);
/// What the backend computes a case with.
std::string implementation_of(const Backend& backend, const ParityCase& c);

/// Compares run_single with run_reference: integers exactly; reals by the normalised squared error, at most
/// (4 u (1 + sqrt(length)))^2 with u = 2^-24 (rounding errors of a sum of random terms), and element by element
/// with eight times that, against the element or the array's root mean square, whichever is larger.
void expect_parity(const Backend& backend, const ParityCase& c);

/// The same bits again, on another thread, on two threads at once, and with a kernel bound anew.
void expect_same_bits_anywhere(const Backend& backend, const ParityCase& c);

/// The same bits from each of `times` runs, each of a kernel bound anew.
void expect_same_bits_again(const Backend& backend, const ParityCase& c, DType compute, int times);

/// The same bits when an output lies in the memory of an input, wherever the kernel says that it may.
void expect_same_bits_in_place(const Backend& backend, const ParityCase& c);

/// f64, standard normal, rounded to single precision. $CONVOY_PARITY_SEED draws other values for the same seed.
Tensor random_single(Shape shape, std::uint64_t seed);
/// The same, positive.
Tensor positive_single(Shape shape, std::uint64_t seed);
/// f64 values of a tensor rounded to single precision.
Tensor rounded(const Tensor& tensor);
Tensor random_integers(Shape shape, std::int32_t below, std::uint64_t seed);

}  // namespace convoy::test
