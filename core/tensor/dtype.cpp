#include "core/tensor/dtype.h"

#include <array>
#include <string>

#include "core/tensor/error.h"

namespace convoy {
namespace {
struct Entry {
  DType type;
  std::size_t size;
  std::string_view name;
};
constexpr std::array<Entry, 10> kTypes{{{DType::u8, 1, "uint8"},
                                        {DType::u16, 2, "uint16"},
                                        {DType::i32, 4, "int32"},
                                        {DType::u32, 4, "uint32"},
                                        {DType::i64, 8, "int64"},
                                        {DType::u64, 8, "uint64"},
                                        {DType::f32, 4, "float32"},
                                        {DType::f64, 8, "float64"},
                                        {DType::bf16, 2, "bfloat16"},
                                        {DType::f16, 2, "float16"}}};
}  // namespace

std::size_t size_of(DType type) { return kTypes[static_cast<std::size_t>(type)].size; }

std::string_view name_of(DType type) { return kTypes[static_cast<std::size_t>(type)].name; }

DType dtype_from_name(std::string_view name) {
  for (const Entry& entry : kTypes)
    if (entry.name == name) return entry.type;
  throw UsageError("unknown element type \"" + std::string(name) + "\"; known are uint8, uint16, int32, float32, ...");
}

bool is_floating(DType type) {
  return type == DType::f32 || type == DType::f64 || type == DType::bf16 || type == DType::f16;
}

}  // namespace convoy
