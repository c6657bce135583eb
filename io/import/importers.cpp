#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/tensor/error.h"
#include "io/import/import.h"

namespace convoy {

const std::vector<Importer>& importers() {
  static const std::vector<Importer> all{
      {"idx", "MNIST's format, plain or gzip: MNIST, Fashion-MNIST, EMNIST", &import_idx},
      {"cifar10", "CIFAR-10, binary version", &import_cifar10},
      {"cifar100", "CIFAR-100, binary version, fine labels", &import_cifar100},
      {"image-folder", "JPEG and PNG files in class folders, with or without split folders, or a list of files", &import_image_folder}};
  return all;
}

const Importer& find_importer(const std::string& name) {
  std::vector<std::string> known;
  for (const Importer& importer : importers()) {
    if (importer.name == name) return importer;
    known.emplace_back(importer.name);
  }
  throw UsageError(fmt::format("unknown importer \"{}\"; --from= takes {}", name, fmt::join(known, ", ")));
}

}  // namespace convoy
