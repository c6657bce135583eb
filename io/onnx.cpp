#include "io/onnx.h"

#include <fmt/format.h>

#include <charconv>

#include "core/tensor/error.h"
#include "io/atomic_file.h"
#include "io/protobuf.h"

namespace convoy {
namespace {

constexpr std::uint64_t kMostBytes = (std::uint64_t{1} << 31) - 1;  // of a message, for every reader of Protocol Buffers

// Field numbers are onnx.proto's.

ProtobufMessage attribute_message(const std::string& name, const OnnxAttribute& value) {
  enum { kFloat = 1, kInt = 2, kString = 3, kInts = 7 };  // AttributeProto.AttributeType
  ProtobufMessage message;
  message.text(1, name);
  if (const auto* number = std::get_if<std::int64_t>(&value)) return message.number(3, *number).number(20, kInt);
  if (const auto* real = std::get_if<float>(&value)) return message.real(2, *real).number(20, kFloat);
  if (const auto* text = std::get_if<std::string>(&value)) return message.text(4, *text).number(20, kString);
  for (std::int64_t number : std::get<std::vector<std::int64_t>>(value)) message.number(8, number);
  return message.number(20, kInts);
}

ProtobufMessage node_message(const OnnxNode& node) {
  ProtobufMessage message;
  for (const std::string& input : node.inputs) message.text(1, input);
  for (const std::string& output : node.outputs) message.text(2, output);
  message.text(3, node.outputs.front()).text(4, node.type);
  for (const auto& [name, value] : node.attributes) message.message(5, attribute_message(name, value));
  return message;
}

enum { kOnnxFloat = 1, kOnnxInt64 = 7 };  // TensorProto.DataType

/// ValueInfoProto > TypeProto > TypeProto.Tensor > TensorShapeProto.
ProtobufMessage value_message(const OnnxValue& value) {
  ProtobufMessage shape;
  for (const std::string& extent : value.extents) {
    std::int64_t number = 0;
    const char* end = extent.data() + extent.size();
    const bool fixed = std::from_chars(extent.data(), end, number).ptr == end;
    shape.message(1, fixed ? ProtobufMessage().number(1, number) : ProtobufMessage().text(2, extent));
  }
  const ProtobufMessage tensor = ProtobufMessage().number(1, kOnnxFloat).message(2, shape);
  return ProtobufMessage().text(1, value.name).message(2, ProtobufMessage().message(1, tensor));
}

/// TensorProto up to its bytes, with the key of GraphProto in which it lies.
std::string tensor_head(const std::string& name, const Tensor& tensor) {
  if (tensor.dtype() != DType::f32 && tensor.dtype() != DType::i64)
    throw Error(fmt::format("constant {} of a type that no node here takes", name));
  ProtobufMessage message;
  for (std::int64_t extent : tensor.shape().extents()) message.number(1, extent);
  message.number(2, tensor.dtype() == DType::f32 ? kOnnxFloat : kOnnxInt64).text(8, name).announce(9, tensor.size_bytes());
  return ProtobufMessage().announce(5, message.bytes().size() + tensor.size_bytes()).bytes() + message.bytes();
}

ProtobufMessage graph_without_constants(const OnnxModel& model) {
  ProtobufMessage graph;
  for (const OnnxNode& node : model.nodes) graph.message(1, node_message(node));
  graph.text(2, model.name);
  for (const OnnxValue& input : model.inputs) graph.message(11, value_message(input));
  for (const OnnxValue& output : model.outputs) graph.message(12, value_message(output));
  return graph;
}

}  // namespace

void write_onnx(const std::filesystem::path& file, const OnnxModel& model) {
  const ProtobufMessage graph = graph_without_constants(model);
  std::vector<std::string> heads;
  std::uint64_t graph_bytes = graph.bytes().size();
  for (const auto& [name, tensor] : model.constants) {
    heads.push_back(tensor_head(name, tensor));
    graph_bytes += heads.back().size() + tensor.size_bytes();
  }
  ProtobufMessage head;
  head.number(1, kOnnxIr).text(2, "convoy").message(8, ProtobufMessage().text(1, "").number(2, kOnnxOpset));
  for (const auto& [key, value] : model.metadata) head.message(14, ProtobufMessage().text(1, key).text(2, value));
  head.announce(7, graph_bytes);
  if (head.bytes().size() + graph_bytes > kMostBytes)
    throw UsageError(fmt::format("{}: the model takes {} bytes, but an ONNX file holds less than 2 GiB; export it as safetensors",
                                 file.string(), graph_bytes));
  TemporaryFile written(file);
  written.write(head.bytes().data(), head.bytes().size());
  written.write(graph.bytes().data(), graph.bytes().size());
  for (std::size_t i = 0; i < heads.size(); ++i) {
    const Tensor& tensor = model.constants[i].second;
    written.write(heads[i].data(), heads[i].size());
    written.write(tensor.bytes(), tensor.size_bytes());
  }
  written.commit();
}

}  // namespace convoy
