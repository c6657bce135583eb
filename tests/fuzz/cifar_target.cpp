// CIFAR's binary versions: the input as a batch, and as the file of class names.
#include "fuzz/target.h"
#include "io/import/import.h"

namespace {

using namespace convoy;

void import(ImportReport (*importer)(const ImportOptions&)) {
  ImportOptions options;
  options.source = fuzz::scratch() / "cifar";
  options.output = fuzz::scratch() / "out";
  options.overwrite = true;
  fuzz::read_or_refuse([&] { importer(options); });
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::view(data, size);
  std::filesystem::remove(fuzz::scratch() / "cifar/batches.meta.txt");
  fuzz::put("cifar/data_batch_1.bin", input);
  fuzz::put("cifar/train.bin", input);
  import(import_cifar10);
  import(import_cifar100);
  fuzz::put("cifar/data_batch_1.bin", std::string(3073, '\1'));
  fuzz::put("cifar/batches.meta.txt", input);
  import(import_cifar10);
  return 0;
}
