// MNIST's format: the input as images of three labels, and as the labels of three images.
#include "fuzz/target.h"
#include "io/import/import.h"

namespace {

using namespace convoy;

constexpr std::string_view kLabels{"\0\0\x08\x01\0\0\0\x03\0\x01\x02", 11};
constexpr std::string_view kImages{"\0\0\x08\x03\0\0\0\x03\0\0\0\x01\0\0\0\x02" "abcdef", 22};

void import(std::string_view images, std::string_view labels) {
  fuzz::put("idx/train-images-idx3-ubyte", images);
  fuzz::put("idx/train-labels-idx1-ubyte", labels);
  ImportOptions options;
  options.source = fuzz::scratch() / "idx";
  options.output = fuzz::scratch() / "out";
  options.overwrite = true;
  fuzz::read_or_refuse([&] {
    const ImportReport report = import_idx(options);
    fuzz::promise(report.splits.at(0).samples == 3, "as many samples as images and labels");
  });
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::view(data, size);
  import(input, kLabels);
  import(kImages, input);
  return 0;
}
