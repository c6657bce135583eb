#include "support/network.h"

#include <cstdint>
#include <type_traits>

#include "core/graph/program.h"
#include "core/random/philox.h"
#include "core/tensor/narrow.h"

namespace convoy::test {
namespace {

constexpr std::int64_t kClasses = 3;

std::size_t bytes_of(const TensorDesc& desc) {
  return static_cast<std::size_t>(desc.shape.elements()) * size_of(desc.dtype);
}

template <typename T>
std::vector<std::byte> random_bytes(const ValueInfo& info) {
  const RandomKey key = RandomKey(1, "fused graph").child(name_key(info.name));
  std::vector<std::byte> bytes(bytes_of(info.desc));
  auto* values = reinterpret_cast<T*>(bytes.data());
  for (std::int64_t i = 0; i < info.desc.shape.elements(); ++i) {
    const auto n = static_cast<std::uint64_t>(i);
    if constexpr (std::is_integral_v<T>)
      values[i] = static_cast<T>(key.below(n, kClasses));
    else if constexpr (std::is_same_v<T, double>)
      values[i] = key.normal(n);
    else
      values[i] = from_float<T>(static_cast<float>(key.normal(n)));
  }
  return bytes;
}

std::vector<std::byte> values_of(const ValueInfo& info) {
  switch (info.desc.dtype) {
    case DType::u8: return random_bytes<std::uint8_t>(info);
    case DType::i32: return random_bytes<std::int32_t>(info);
    case DType::f64: return random_bytes<double>(info);
    case DType::bf16: return random_bytes<Bf16>(info);
    case DType::f16: return random_bytes<F16>(info);
    default: return random_bytes<float>(info);
  }
}

}  // namespace

std::vector<std::vector<std::byte>> run_network(const Backend& backend, const Network& net) {
  Device& device = backend.device();
  Program program(net.graph, backend, {.outside = net.leaves});
  std::vector<DeviceMemory> memory;
  const auto bind = [&](Value value, const std::vector<std::byte>& bytes) {
    memory.push_back(device.allocate(bytes.size()));
    device.copy(Stream::compute, memory.back().get(), bytes.data(), bytes.size());
    device.synchronize(Stream::compute);
    program.bind_memory(value, memory.back().get());
    return memory.back().get();
  };
  for (int id = 0; id < static_cast<int>(net.graph.values().size()); ++id) {
    const ValueInfo& info = net.graph.values()[static_cast<std::size_t>(id)];
    if (info.role != Role::activation && info.role != Role::gradient) bind({id}, values_of(info));
  }
  std::vector<void*> at;
  for (Value leaf : net.leaves) at.push_back(bind(leaf, std::vector<std::byte>(bytes_of(net.graph.info(leaf).desc), std::byte{0xff})));
  program.run();
  std::vector<std::vector<std::byte>> found;
  for (std::size_t i = 0; i < at.size(); ++i) {
    found.emplace_back(bytes_of(net.graph.info(net.leaves[i]).desc));
    device.copy(Stream::compute, found.back().data(), at[i], found.back().size());
    device.synchronize(Stream::compute);
  }
  return found;
}

}  // namespace convoy::test
