#pragma once
// Element types of tensors, files and programs.
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace convoy {

enum class DType : std::uint8_t { u8, u16, i32, u32, i64, u64, f32, f64, bf16, f16 };

/// Bytes of one element.
std::size_t size_of(DType type);

/// The name as it stands in files and messages: "uint8", "float32", ...
std::string_view name_of(DType type);

/// The reverse of name_of; throws UsageError for an unknown name.
DType dtype_from_name(std::string_view name);

bool is_floating(DType type);

/// DType of a C++ type: dtype_of<float>() == DType::f32.
template <typename T>
constexpr DType dtype_of();
template <> constexpr DType dtype_of<std::uint8_t>() { return DType::u8; }
template <> constexpr DType dtype_of<std::uint16_t>() { return DType::u16; }
template <> constexpr DType dtype_of<std::int32_t>() { return DType::i32; }
template <> constexpr DType dtype_of<std::uint32_t>() { return DType::u32; }
template <> constexpr DType dtype_of<std::int64_t>() { return DType::i64; }
template <> constexpr DType dtype_of<std::uint64_t>() { return DType::u64; }
template <> constexpr DType dtype_of<float>() { return DType::f32; }
template <> constexpr DType dtype_of<double>() { return DType::f64; }

}  // namespace convoy
