// A checkpoint. What loads can be written again, with the same digest.
#include "fuzz/hdf5_mutator.h"
#include "fuzz/target.h"
#include "io/describe_checkpoint.h"

std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  return convoy::fuzz::mutate_hdf5(data, size, most, seed);
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convoy;
  const auto file = fuzz::put("checkpoints/step-00000007.h5", fuzz::view(data, size));
  fuzz::read_or_refuse([&] { to_json(verify_checkpoint(file)); });
  fuzz::read_or_refuse([&] { CheckpointFolder(file.parent_path()).best(); });
  return fuzz::read_or_refuse([&] {
    const Checkpoint loaded = read_checkpoint(file);
    const auto again = fuzz::scratch() / "again.h5";
    write_checkpoint(again, loaded);
    fuzz::promise(digest_of(read_checkpoint(again)) == digest_of(loaded), "what loads is written and read back the same");
  });
}
