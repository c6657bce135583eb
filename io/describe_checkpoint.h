#pragma once
// What `convoy checkpoint show` and `verify` print: the contents of a checkpoint in words and numbers, without its bytes.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace convoy {

struct TensorSummary {
  std::string name;  // "parameters/conv1/filters"
  DType dtype = DType::f32;
  Shape shape;
  std::uint64_t size_bytes = 0;
};

struct CheckpointDescription {
  std::filesystem::path file;
  std::uint64_t size_bytes = 0;        // of the file
  std::string digest;                  // digest_of, computed from what the file holds
  std::vector<TensorSummary> tensors;  // in the order of their names, group by group
  std::int64_t parameter_count = 0;    // elements of all parameters
  Checkpoint checkpoint;               // without its tensors
};

/// Reads and verifies the checkpoint that `path` names (resolve_checkpoint). Throws as read_checkpoint does.
CheckpointDescription describe_checkpoint(const std::filesystem::path& path);

/// A few lines of facts, a table of tensors (the first `most` of them, and how many more there are), the run record and
/// the config.
std::string to_text(const CheckpointDescription& description, std::size_t most = 20);
/// One JSON object: file, bytes, step, epoch, digest, world_size, graph_hash, updates, loss_scale, loss_scale_counter,
/// best ({metric, step} or null), ledgers, skipped_steps, run_record (object of strings), config (text), metrics (as
/// stored when that is JSON, else text), parameter_count, tensors ([{name, dtype, shape, bytes}]).
std::string to_json(const CheckpointDescription& description);

/// One dataset ("/parameters/conv1/filters"), attribute ("@step") or "file" itself.
struct VerifiedItem {
  std::string name;
  std::string problem;  // empty: verified
};

struct CheckpointVerification {
  std::filesystem::path file;
  std::vector<VerifiedItem> items;  // all that were looked at, good and bad
  bool good() const;
};

/// Looks at every dataset and attribute of one file, also behind the first bad one. Never throws for what it holds.
CheckpointVerification verify_checkpoint(const std::filesystem::path& file);
/// Text: the bad items, then one line with the count. JSON: {file, good, items: [{name, good, problem}]}.
std::string to_text(const CheckpointVerification& verification);
std::string to_json(const CheckpointVerification& verification);

}  // namespace convoy
