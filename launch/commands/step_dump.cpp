#include "launch/commands/step_dump.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"

namespace convoy {

void write_step_dump(const std::filesystem::path& path, const StepDump& dump) {
  nlohmann::ordered_json header = {{"loss", dump.loss}, {"rate", dump.rate}, {"mean", dump.mean}, {"deviation", dump.deviation},
                                   {"parameters", dump.parameters}, {"arrays", nlohmann::ordered_json::array()}};
  std::vector<Tensor> arrays;
  std::size_t offset = 0;
  const auto add = [&](const std::string& name, const Tensor& tensor) {
    const auto extents = tensor.shape().extents();
    header["arrays"].push_back({{"name", name},
                                {"dtype", name_of(tensor.dtype())},
                                {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                                {"offset", offset}});
    arrays.push_back(tensor);
    offset += (tensor.size_bytes() + 7) / 8 * 8;
  };
  add("images", dump.images);
  add("labels", dump.labels);
  for (const std::string& name : dump.parameters) {
    add("before/" + name, dump.before.at(name));
    add("after/" + name, dump.after.at(name));
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << header.dump() << '\n';
  for (const Tensor& tensor : arrays) {
    const std::string padding((8 - tensor.size_bytes() % 8) % 8, '\0');
    file.write(reinterpret_cast<const char*>(tensor.bytes()), static_cast<std::streamsize>(tensor.size_bytes())) << padding;
  }
  file.close();
  if (!file) throw DataError(fmt::format("{}: cannot be written", path.string()));
}

}  // namespace convoy
