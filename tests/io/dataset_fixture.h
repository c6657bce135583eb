#pragma once
// Small data sets for the tests of io.
#include <functional>
#include <string>
#include <vector>

#include "core/tensor/error.h"
#include "io/dataset.h"
#include "io/shard_writer.h"
#include "temporary_folder.h"

namespace convoy {

/// Pixel `pixel` of sample `id`: differs between samples and between pixels.
inline std::uint8_t pixel_of(std::int64_t id, std::int64_t pixel) {
  return static_cast<std::uint8_t>((static_cast<std::uint64_t>(id) * 2654435761u + static_cast<std::uint64_t>(pixel) * 40503u) >> 5);
}

inline std::vector<std::byte> image_of(std::int64_t id, std::int64_t elements) {
  std::vector<std::byte> image(static_cast<std::size_t>(elements));
  for (std::int64_t i = 0; i < elements; ++i) image[static_cast<std::size_t>(i)] = std::byte{pixel_of(id, i)};
  return image;
}

/// A split of uint8 images; sample i has the label i % 10.
inline SplitReport make_split(const std::filesystem::path& folder, Split split, std::int64_t samples, int shards,
                              Shape sample = {5, 4, 3}) {
  std::vector<std::string> names;
  for (int i = 0; i < 10; ++i) names.push_back("class " + std::to_string(i));
  ShardWriter writer(folder, {.split = split,
                              .sample = sample,
                              .dtype = DType::u8,
                              .samples = samples,
                              .shards = shards,
                              .class_names = names,
                              .source = "a test"});
  for (std::int64_t i = 0; i < samples; ++i)
    writer.add(image_of(i, sample.elements()).data(), static_cast<std::int32_t>(i % 10), "sample " + std::to_string(i));
  writer.seal(writer.channel_mean(), writer.channel_std());
  return writer.commit();
}

inline DatasetOptions at(const std::filesystem::path& path, Split split = Split::train, double validation = 0) {
  DatasetOptions options;
  options.path = path;
  options.split = split;
  options.validation = validation;
  return options;
}

/// What an action throws, or a text that no error has.
template <typename E = Error>
std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace convoy

#define EXPECT_HAS(text, part) EXPECT_NE(std::string(text).find(part), std::string::npos) << text
