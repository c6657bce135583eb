#pragma once
// Files of the ONNX format (github.com/onnx/onnx, docs/IR.md and onnx/onnx.proto): a graph of nodes with its constant
// tensors, for inference elsewhere. Written, never read.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/tensor/tensor.h"

namespace convoy {

inline constexpr std::int64_t kOnnxIr = 7;      // versions of the format
inline constexpr std::int64_t kOnnxOpset = 13;  // and of the set of operators

using OnnxAttribute = std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>>;

struct OnnxNode {
  std::string type;                                    // "Conv"
  std::vector<std::string> inputs, outputs;            // names of values
  std::map<std::string, OnnxAttribute> attributes = {};
};

/// A float32 value that comes in or goes out.
struct OnnxValue {
  std::string name;
  std::vector<std::string> extents;                    // a number, or the name of an extent that is open ("batch")
};

struct OnnxModel {
  std::string name;                                    // of the graph
  std::vector<OnnxNode> nodes;                         // each behind those whose outputs it reads
  std::vector<std::pair<std::string, Tensor>> constants;  // float32 or int64
  std::vector<OnnxValue> inputs, outputs;
  std::map<std::string, std::string> metadata;
};

/// Appears whole or not at all. Throws UsageError for a model of 2 GiB or more, which the format cannot hold in one file.
void write_onnx(const std::filesystem::path& file, const OnnxModel& model);

}  // namespace convoy
