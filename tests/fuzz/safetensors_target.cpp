// One file of the safetensors format.
#include "fuzz/target.h"
#include "io/safetensors.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convoy;
  const auto file = fuzz::put("input.safetensors", fuzz::view(data, size));
  return fuzz::read_or_refuse([&] {
    std::size_t bytes = 0;
    for (const auto& [name, tensor] : read_safetensors(file).tensors) bytes += tensor.size_bytes();
    fuzz::promise(bytes < size, "no more elements than the file holds");
  });
}
