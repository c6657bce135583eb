#include "io/safetensors.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "core/tensor/error.h"
#include "io/atomic_file.h"
#include "io/files.h"

namespace convoy {
namespace {

using Json = nlohmann::json;  // a map: a header of a million names is read in reasonable time

constexpr std::uint64_t kMostHeaderBytes = 100'000'000;  // the library's limit
constexpr int kDeepest = 4;                              // {"NAME": {"shape": [1]}}
constexpr const char* kMetadata = "__metadata__";
static_assert(std::endian::native == std::endian::little);

struct TypeName {
  std::string_view name;
  DType type;
};
constexpr TypeName kTypes[]{{"U8", DType::u8},   {"U16", DType::u16}, {"I32", DType::i32}, {"U32", DType::u32},
                            {"I64", DType::i64}, {"U64", DType::u64}, {"F32", DType::f32}, {"F64", DType::f64},
                            {"BF16", DType::bf16}, {"F16", DType::f16}};

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& what) {
  throw DataError(fmt::format("{}: {}; expected a whole file of the safetensors format", file.string(), what));
}

/// Names come from the file: no more of them than a message can hold.
std::string shortened(const std::string& name) { return name.size() <= 80 ? name : name.substr(0, 77) + "..."; }

struct Entry {
  std::string name;
  Shape shape;
  DType type = DType::f32;
  std::uint64_t begin = 0, end = 0;
};

/// Parses; refuses an object that has a name twice, which the JSON library would take for a replacement.
Json parse_header(const std::filesystem::path& file, const std::string& text) {
  std::vector<std::set<std::string>> names;  // of the objects that are open
  const auto look = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kDeepest) fail(file, "the header is nested too deep");
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key && !names.back().insert(parsed.get<std::string>()).second)
      fail(file, fmt::format("\"{}\" stands twice in the header", shortened(parsed.get<std::string>())));
    return true;
  };
  try {
    return Json::parse(text, look);
  } catch (const Json::exception& error) {
    fail(file, fmt::format("the header is no JSON: {}", shortened(error.what())));
  }
}

std::uint64_t whole_number(const Json& value, const std::filesystem::path& file, const std::string& of) {
  if (!value.is_number_unsigned()) fail(file, fmt::format("tensor \"{}\": a number that is not whole or is negative", of));
  return value.get<std::uint64_t>();
}

Shape shape_from(const Json& extents, const std::filesystem::path& file, const std::string& name) {
  if (!extents.is_array()) fail(file, fmt::format("tensor \"{}\": the shape is no list", name));
  if (extents.size() > Shape::kMaxRank)
    fail(file, fmt::format("tensor \"{}\" has {} axes, of which there can be {} here", name, extents.size(), Shape::kMaxRank));
  std::vector<std::int64_t> numbers;
  for (const Json& extent : extents) {
    const std::uint64_t number = whole_number(extent, file, name);
    if (number > INT64_MAX) fail(file, fmt::format("tensor \"{}\": an extent of {}", name, number));
    numbers.push_back(static_cast<std::int64_t>(number));
  }
  try {
    return Shape(numbers);
  } catch (const UsageError& error) {
    fail(file, fmt::format("tensor \"{}\": {}", name, error.what()));
  }
}

DType type_from(const Json& type, const std::filesystem::path& file, const std::string& name) {
  const std::string text = type.is_string() ? type.get<std::string>() : "";
  for (const TypeName& known : kTypes)
    if (known.name == text) return known.type;
  fail(file, fmt::format("tensor \"{}\" has the type \"{}\", which cannot be read here", name, shortened(text)));
}

Entry entry_from(const std::string& full_name, const Json& json, const std::filesystem::path& file) {
  const std::string name = shortened(full_name);
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets"))
    fail(file, fmt::format("tensor \"{}\" has other fields than dtype, shape and data_offsets", name));
  const Json& offsets = json["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) fail(file, fmt::format("tensor \"{}\": data_offsets are no two numbers", name));
  Entry entry{full_name, shape_from(json["shape"], file, name), type_from(json["dtype"], file, name),
              whole_number(offsets[0], file, name), whole_number(offsets[1], file, name)};
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(entry.shape.elements()), size_of(entry.type), &bytes) ||
      entry.begin > entry.end || entry.end - entry.begin != bytes)
    fail(file, fmt::format("tensor \"{}\" {} {} lies in [{}, {}), which has another size", name, name_of(entry.type),
                           entry.shape.str(), entry.begin, entry.end));
  return entry;
}

/// In the order of the file; they fill its `data_bytes` without a gap.
std::vector<Entry> entries_of(const Json& header, std::uint64_t data_bytes, const std::filesystem::path& file) {
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items())
    if (name != kMetadata) entries.push_back(entry_from(name, json, file));
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t reached = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != reached)
      fail(file, fmt::format("tensor \"{}\" begins at byte {} of the data, where {} was due", shortened(entry.name), entry.begin,
                             reached));
    reached = entry.end;
  }
  if (reached != data_bytes) fail(file, fmt::format("the tensors take {} bytes, but the file holds {}", reached, data_bytes));
  return entries;
}

std::map<std::string, std::string> metadata_from(const Json& header, const std::filesystem::path& file) {
  std::map<std::string, std::string> metadata;
  const auto found = header.find(kMetadata);
  if (found == header.end()) return metadata;
  if (!found->is_object()) fail(file, "the metadata are no object");
  for (const auto& [name, text] : found->items()) {
    if (!text.is_string()) fail(file, fmt::format("metadata \"{}\" is no text", shortened(name)));
    metadata.emplace(name, text.get<std::string>());
  }
  return metadata;
}

void read(int descriptor, void* out, std::size_t bytes, std::uint64_t offset, const std::filesystem::path& file) {
  std::string why;
  if (!read_exactly(descriptor, static_cast<std::byte*>(out), bytes, static_cast<std::int64_t>(offset), why)) fail(file, why);
}

std::string_view type_name(DType type) {
  return std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeName& known) { return known.type == type; })->name;
}

/// As the library writes them: the widest elements first, so that all are aligned, then by name.
std::vector<const std::pair<const std::string, Tensor>*> in_file_order(const std::map<std::string, Tensor>& tensors) {
  std::vector<const std::pair<const std::string, Tensor>*> order;
  for (const auto& entry : tensors) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return size_of(a->second.dtype()) > size_of(b->second.dtype());
  });
  return order;
}

}  // namespace

Safetensors read_safetensors(const std::filesystem::path& file) {
  const FileDescriptor descriptor = open_for_reading(file);
  struct stat status {};
  if (fstat(descriptor.get(), &status) != 0) fail(file, system_message(errno));
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::uint64_t length = 0;
  if (size < sizeof length) fail(file, fmt::format("{} bytes", size));
  read(descriptor.get(), &length, sizeof length, 0, file);
  if (length > kMostHeaderBytes || length > size - sizeof length)
    fail(file, fmt::format("the header's length is {} in a file of {} bytes", length, size));
  std::string text(length, '\0');
  read(descriptor.get(), text.data(), length, sizeof length, file);
  const Json header = parse_header(file, text);
  if (!header.is_object()) fail(file, "the header is no JSON object");
  const std::uint64_t data = sizeof length + length;
  Safetensors content;
  content.metadata = metadata_from(header, file);
  for (const Entry& entry : entries_of(header, size - data, file)) {
    Tensor tensor(entry.shape, entry.type);
    read(descriptor.get(), tensor.bytes(), tensor.size_bytes(), data + entry.begin, file);
    content.tensors.emplace(entry.name, std::move(tensor));
  }
  return content;
}

void write_safetensors(const std::filesystem::path& file, const Safetensors& content) {
  if (content.tensors.contains(kMetadata)) throw UsageError(fmt::format("a tensor cannot be called \"{}\"", kMetadata));
  const auto order = in_file_order(content.tensors);
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!content.metadata.empty()) header[kMetadata] = content.metadata;
  std::uint64_t reached = 0;
  for (const auto* entry : order) {
    const auto& [name, tensor] = *entry;
    const auto extents = tensor.shape().extents();
    header[name] = {{"dtype", type_name(tensor.dtype())},
                    {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                    {"data_offsets", {reached, reached + tensor.size_bytes()}}};
    reached += tensor.size_bytes();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception& error) {
    throw UsageError(fmt::format("{}: a name or text is not UTF-8: {}", file.string(), error.what()));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  TemporaryFile written(file);
  written.write(&length, sizeof length);
  written.write(text.data(), text.size());
  for (const auto* entry : order) written.write(entry->second.bytes(), entry->second.size_bytes());
  written.commit();
}

}  // namespace convoy
