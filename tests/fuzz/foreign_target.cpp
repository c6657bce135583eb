// An HDF5 file that somebody else wrote, with /x as its images and /y as its labels.
#include "fuzz/hdf5_mutator.h"
#include "fuzz/target.h"
#include "io/dataset.h"

std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  return convoy::fuzz::mutate_hdf5(data, size, most, seed);
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convoy;
  DatasetOptions options;
  options.path = fuzz::put("foreign.h5", fuzz::view(data, size));
  fuzz::read_or_refuse([&] { open_dataset(options); });  // refuses, and lists what is in the file
  options.images = "/x";
  options.labels = "/y";
  return fuzz::read_or_refuse([&] {
    const auto dataset = open_dataset(options);
    std::vector<std::byte> image(dataset->image_bytes());
    std::int32_t label = -1;
    for (std::int64_t i = 0; i < dataset->info().samples; ++i) dataset->read(i, image.data(), &label);
  });
}
