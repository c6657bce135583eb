#pragma once
// What differs between two checkpoints: `convoy checkpoint diff`.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace convoy {

/// An entry that only one of the two has, or both with other values.
struct EntryDifference {
  std::string name;     // "step", "ledger 0", "batch" of the run record
  std::string a, b;     // empty where absent
  bool in_a = true, in_b = true;
};

struct TensorDifference {
  std::string name;               // "parameters/conv1/filters"
  std::string a, b;               // "float32 [6, 5, 5, 1]"; empty where absent
  /// The rest where both have it with the same type and shape.
  bool comparable = false;
  std::int64_t elements = 0;
  std::int64_t differing = 0;     // elements whose bits differ
  std::string first_index;        // of the first that differs: "[2, 0, 13, 0]"
  std::string first_a, first_b;   // its values
  std::int64_t not_numbers = 0;   // differing elements of which one at least is NaN or infinite; no part of the following
  double largest_absolute = 0;    // |a - b|
  double largest_relative = 0;    // |a - b| / max(|a|, |b|)
};

struct CheckpointDifference {
  std::filesystem::path a, b;              // the files
  std::int64_t step_a = 0, step_b = 0;
  std::string digest_a, digest_b;
  std::vector<EntryDifference> state;       // part of the digest
  std::vector<EntryDifference> run_record;  // part of the digest
  std::vector<EntryDifference> other;       // not part of it: world size, graph hash, epoch, metrics
  std::vector<std::string> config_a, config_b;  // lines, "[section] line", that only one of the configs has
  std::vector<TensorDifference> tensors;    // those that differ
  std::int64_t tensors_compared = 0;        // names in either

  /// Whether the two hold the same bits (design: section 4).
  bool same() const { return digest_a == digest_b; }
};

/// `a`, `b`: files or run folders (resolve_checkpoint). Holds both in memory. Throws as read_checkpoint does.
CheckpointDifference diff_checkpoints(const std::filesystem::path& a, const std::filesystem::path& b);

/// Bits, not numbers, decide: NaN equals NaN of the same bits, 0 differs from -0 (by 0). `name` is taken over.
TensorDifference diff_tensors(const std::string& name, const Tensor& a, const Tensor& b);

/// Text: what differs, section by section; the last line is "same DIGEST" or "different DIGEST DIGEST".
std::string to_text(const CheckpointDifference& difference);
std::string to_json(const CheckpointDifference& difference);

}  // namespace convoy
