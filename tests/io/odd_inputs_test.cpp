// The odd pictures of shared/data: each lands where expected.tsv says, or is named in the report.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "dataset_fixture.h"
#include "io/import/import.h"
#include "io/jpeg.h"
#include "io/picture_bytes.h"
#include "io/png.h"
#include "test_pictures.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

struct Row {
  std::string file, format, readable;
  std::int64_t width = 0, height = 0, channels = 0;
  int bits = 0;
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
    rows.push_back({cells.at(0), cells.at(1), cells.at(6), number(2), number(3), number(4), static_cast<int>(number(5))});
    if (rows.back().file == "images/exif_orientation_6.jpg") std::swap(rows.back().width, rows.back().height);  // as it lies there
    if (rows.back().file == "masks/mask_palette.png") rows.back().channels = 3;  // palettes become colours
  }
  return rows;
}

/// What the report says of a file; "" for a whole picture of the encoding that is stored.
struct Verdict {
  std::string what, why;
};

Verdict expected_verdict(const Row& row) {
  static const std::map<std::string, Verdict> special{
      {"images/.hidden.jpg", {"left out", "hidden"}},
      {"images/._base.jpg", {"left out", "hidden"}},
      {"images/Thumbs.db", {"left out", "not a picture"}},
      {"images/empty.jpg", {"bad", "empty"}},
      {"images/no_eoi.jpg", {"converted", "end marker"}},
      {"images/scan_bytes_damaged.jpg", {"bad", "damaged"}},
      {"images/bomb_30000x30000.png", {"bad", "30000 x 30000 pixels"}},
      {"images/claims_65500.jpg", {"bad", "65500 x 65500 pixels"}},
      {"images/bad_crc.png", {"bad", "CRC error"}},
      {"images/arithmetic.jpg", {}},
      {"images/jpeg_inside.png", {"kept", "a JPEG named .png"}},
      {"images/png_inside.JPEG", {"converted", "a PNG named .jpeg"}},
      {"images/exif_orientation_6.jpg", {"converted", "turned upright (EXIF orientation 6)"}}};
  if (const auto found = special.find(row.file); found != special.end()) return found->second;
  if (row.readable == "no") return {"bad", ""};
  if (row.format == "JPEG") return row.channels == 4 ? Verdict{"converted", "CMYK"} : Verdict{};
  if (row.format != "PNG") return {"bad", "convert it"};
  if (row.bits == 16) return {"converted", "16 bits"};
  if (row.channels % 2 == 0) return {"converted", "transparency"};
  return {"converted", "PNG written as JPEG"};
}

ImportOptions options_for(const fs::path& source, const fs::path& output) {
  ImportOptions options;
  options.source = source;
  options.output = output;
  options.shards = 1;
  options.encoding = "jpeg";
  options.skip_bad = true;
  return options;
}

/// One file as the only one of its class; beside it a plain one, so that there is something to import.
void expect_verdict(const fs::path& file, const Row& row, const fs::path& plain) {
  const Verdict verdict = expected_verdict(row);
  const TemporaryFolder source, output;
  for (const char* name : {"a", "b"}) fs::create_directory(source.path() / name);
  fs::copy_file(file, source.path() / "a" / file.filename());
  fs::copy_file(plain, source.path() / "b/plain.jpg");
  const ImportReport report = import_image_folder(options_for(source.path(), output.path()));
  const bool stored = verdict.what != "bad" && verdict.what != "left out";
  ASSERT_EQ(report.splits.at(0).class_counts.at(0), stored ? 1 : 0) << row.file;
  const std::string text = bytes_of(report.report_file), begin = file.filename().string() + "\t" + verdict.what + "\t";
  const bool is_named = text.find(file.filename().string() + "\t") != std::string::npos;
  EXPECT_EQ(is_named, !verdict.what.empty()) << row.file << ": " << text;
  if (is_named) {
    EXPECT_HAS(text, begin);
    EXPECT_HAS(text.substr(text.find(begin)), verdict.why);
  }
  if (!stored) return;
  const auto dataset = open_dataset(at(output.path()));
  for (std::int64_t i = 0; i < dataset->info().samples; ++i) {
    std::vector<std::byte> bytes;
    std::int32_t label = -1;
    dataset->read_stored(i, bytes, &label);
    if (label != 0) continue;
    const Tensor picture = decode_picture(bytes, row.file, 3);
    EXPECT_EQ(picture.shape(), (Shape{row.height, row.width, 3})) << row.file;
    EXPECT_EQ(exif_orientation(bytes), 1) << row.file;
    // As it came, where nothing was to be done.
    EXPECT_EQ(text_of_bytes(bytes) == bytes_of(file), verdict.what.empty() || verdict.what == "kept") << row.file;
  }
}

class OddInputs : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(odd_)) GTEST_SKIP() << "no folder " << odd_ << "; set -DCONVOY_SHARED_DATA=DIR";
  }
  const fs::path odd_ = fs::path(CONVOY_SHARED_DATA) / "odd-inputs";
};

TEST_F(OddInputs, EveryPictureIsStoredOrNamed) {
  const std::vector<Row> rows = rows_of(odd_ / "expected.tsv", "images");
  EXPECT_EQ(rows.size(), static_cast<std::size_t>(std::distance(fs::directory_iterator(odd_ / "images"), fs::directory_iterator())));
  for (const Row& row : rows) expect_verdict(odd_ / row.file, row, odd_ / "images/base.jpg");
}

TEST_F(OddInputs, EveryMaskIsStoredOrNamed) {
  const std::vector<Row> rows = rows_of(odd_ / "expected.tsv", "masks");
  for (const Row& row : rows) expect_verdict(odd_ / row.file, row, odd_ / "images/base.jpg");
}

TEST_F(OddInputs, AllOfThemTogetherAreCounted) {
  const TemporaryFolder source, output;
  fs::create_directory(source.path() / "class");
  for (const auto& entry : fs::directory_iterator(odd_ / "images")) fs::copy_file(entry, source.path() / "class" / entry.path().filename());
  ImportOptions options = options_for(source.path(), output.path());
  const ImportReport report = import_image_folder(options);
  std::int64_t stored = 0, bad = 0;
  for (const Row& row : rows_of(odd_ / "expected.tsv", "images")) {
    const std::string what = expected_verdict(row).what;
    bad += what == "bad";
    stored += what != "bad" && what != "left out";
  }
  EXPECT_EQ(report.splits.at(0).samples, stored);
  EXPECT_EQ(report.bad, bad);
  options.skip_bad = false;
  options.overwrite = true;
  EXPECT_HAS(error_of<DataError>([&] { import_image_folder(options); }), std::to_string(bad) + " bad files");
  EXPECT_EQ(open_dataset(at(output.path()))->info().samples, stored) << "the older import is still there";
}

/// Whole PNGs of any kind as pixels, each as libpng gives it.
TEST_F(OddInputs, EveryWholePngIsReadAsPixels) {
  for (const char* folder : {"images", "masks"})
    for (const Row& row : rows_of(odd_ / "expected.tsv", folder)) {
      if (row.format != "PNG" || row.readable != "yes" || row.file == "images/bomb_30000x30000.png") continue;
      const TemporaryFolder source, output;
      fs::create_directory(source.path() / "class");
      fs::copy_file(odd_ / row.file, source.path() / "class" / (odd_ / row.file).filename());
      ImportOptions options = options_for(source.path(), output.path());
      options.encoding = "auto";
      import_image_folder(options);
      const auto dataset = open_dataset(at(output.path()));
      EXPECT_EQ(dataset->info().sample, (Shape{row.height, row.width, row.channels})) << row.file;
      const Tensor picture = read_png(odd_ / row.file);
      Tensor stored(dataset->info().sample, dataset->info().dtype);
      std::int32_t label = -1;
      dataset->read(0, stored.bytes(), &label);
      EXPECT_EQ(std::memcmp(stored.bytes(), picture.bytes(), picture.size_bytes()), 0) << row.file;
    }
}

}  // namespace
}  // namespace convoy
