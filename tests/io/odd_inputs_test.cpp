// The odd pictures of shared/data, each imported as a class folder would hold it.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "dataset_fixture.h"
#include "io/import/import.h"
#include "io/png.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNoPicture = "not a PNG by its content";

/// What importing the file must say; "" : it is read.
std::string expected_words(const fs::path& file) {
  static const std::map<std::string, std::string> special{
      {"empty.jpg", "an empty file"},
      {"Thumbs.db", "holds no PNG files"},          // not meant as a picture
      {".hidden.jpg", "holds no PNG files"},        // hidden files are left out
      {"._base.jpg", "holds no PNG files"},
      {"png_inside.JPEG", ""},
      {"jpeg_inside.png", kNoPicture},
      {"bad_crc.png", "CRC error"},
      {"truncated.png", "damaged"},
      {"bomb_30000x30000.png", "30000 x 30000 pixels"}};
  const auto found = special.find(file.filename().string());
  if (found != special.end()) return found->second;
  return file.extension() == ".png" ? "" : kNoPicture;
}

struct Row {
  std::string file, format, readable;
  std::int64_t width = 0, height = 0, channels = 0;
};

/// The rows of expected.tsv for files in `folder`.
std::vector<Row> rows_of(const fs::path& table, const std::string& folder) {
  std::vector<Row> rows;
  std::ifstream in(table);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(folder + "/")) continue;
    std::vector<std::string> cells;
    for (std::size_t begin = 0; begin <= line.size();) {
      const std::size_t end = std::min(line.find('\t', begin), line.size());
      cells.push_back(line.substr(begin, end - begin));
      begin = end + 1;
    }
    const auto number = [&](std::size_t i) { return cells.at(i) == "-" ? 0 : std::stoll(cells.at(i)); };
    rows.push_back({cells.at(0), cells.at(1), cells.at(6), number(2), number(3), number(4)});
    if (rows.back().file == "masks/mask_palette.png") rows.back().channels = 3;  // palettes become colours
  }
  return rows;
}

void expect_import(const fs::path& file, const Row& row) {
  const TemporaryFolder source, output;
  fs::create_directory(source.path() / "class");
  fs::copy_file(file, source.path() / "class" / file.filename());
  ImportOptions options;
  options.source = source.path();
  options.output = output.path();
  options.shards = 1;
  const std::string words = expected_words(file);
  const std::string message = error_of<DataError>([&] { import_image_folder(options); });
  EXPECT_HAS(message, words.empty() ? "nothing was thrown" : words);
  if (!words.empty()) return;
  const auto dataset = open_dataset(at(output.path()));
  EXPECT_EQ(dataset->info().sample, (Shape{row.height, row.width, row.channels})) << row.file;
  const Tensor picture = read_png(file);
  Tensor stored(dataset->info().sample, dataset->info().dtype);
  std::int32_t label = -1;
  dataset->read(0, stored.bytes(), &label);
  EXPECT_EQ(std::memcmp(stored.bytes(), picture.bytes(), picture.size_bytes()), 0) << row.file;
}

void expect_all(const std::string& folder) {
  const fs::path odd = fs::path(CONVOY_SHARED_DATA) / "odd-inputs";
  if (!fs::exists(odd)) GTEST_SKIP() << "no folder " << odd << "; set -DCONVOY_SHARED_DATA=DIR";
  const std::vector<Row> rows = rows_of(odd / "expected.tsv", folder);
  EXPECT_EQ(rows.size(), static_cast<std::size_t>(std::distance(fs::directory_iterator(odd / folder), fs::directory_iterator())));
  for (const Row& row : rows) {
    expect_import(odd / row.file, row);
    const bool is_png = row.format == "PNG" && row.readable == "yes" && row.file != "images/bomb_30000x30000.png";
    EXPECT_EQ(expected_words(row.file).empty(), is_png) << row.file << ": every whole PNG is read, nothing else is";
  }
}

TEST(OddInputs, EveryPictureIsReadOrRefusedByName) { expect_all("images"); }

TEST(OddInputs, EveryMaskIsReadOrRefusedByName) { expect_all("masks"); }

}  // namespace
}  // namespace convoy
