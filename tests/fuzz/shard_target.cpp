// One shard of convoy's own, alone in its folder: opened, read to the last sample, verified.
#include "fuzz/hdf5_mutator.h"
#include "fuzz/target.h"
#include "io/dataset.h"
#include "io/inspect.h"

std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  return convoy::fuzz::mutate_hdf5(data, size, most, seed);
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convoy;
  fuzz::put("shards/train-00000-of-00001.h5", fuzz::view(data, size));
  DatasetOptions options;
  options.path = fuzz::scratch() / "shards";
  fuzz::read_or_refuse([&] { inspect_verify(options.path, {}, {}); });
  return fuzz::read_or_refuse([&] {
    const bool encoded = !open_dataset(options)->info().encoding.empty();
    if (encoded) options.size[0] = options.size[1] = 5;
    const auto dataset = open_dataset(options);
    std::vector<std::byte> image(dataset->image_bytes());
    std::int32_t label = -1;
    for (std::int64_t i = 0; i < dataset->info().samples; ++i) {
      dataset->read(i, image.data(), &label);
      fuzz::promise(label >= 0 && static_cast<std::size_t>(label) < dataset->info().class_names.size(), "labels have a class");
    }
  });
}
