#include "io/import/folder_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>

#include "core/tensor/error.h"
#include "io/inside.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::array<unsigned char, 8> kPngSignature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::array kPictureEndings{".png", ".jpg", ".jpeg", ".jpe", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"};

/// Entries of a folder in byte order; those whose names start with a dot are counted and left out.
std::vector<fs::path> entries_of(const fs::path& folder, std::int64_t& hidden) {
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().starts_with('.'))
      ++hidden;
    else
      entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end(),
            [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return entries;
}

bool holds_folders(const fs::path& folder) {
  if (!fs::is_directory(folder)) return false;
  return std::any_of(fs::directory_iterator(folder), fs::directory_iterator(), [](const fs::directory_entry& entry) {
    return entry.is_directory() && !entry.path().filename().string().starts_with('.');
  });
}

struct SplitFolder {
  Split split;
  fs::path folder;
};

std::vector<SplitFolder> find_split_folders(const fs::path& source) {
  const std::array<std::pair<Split, const char*>, 4> known{{{Split::train, "train"},
                                                            {Split::validation, "validation"},
                                                            {Split::validation, "val"},
                                                            {Split::test, "test"}}};
  std::vector<SplitFolder> found;
  for (const auto& [split, name] : known) {
    if (!holds_folders(source / name)) continue;
    if (!found.empty() && found.back().split == split)
      throw DataError(fmt::format("{} holds both \"validation\" and \"val\". Leave one there", source.string()));
    refuse_link_out(source, source / name);
    found.push_back({split, source / name});
  }
  if (found.empty()) found.push_back({Split::train, source});
  return found;
}

/// Empty: a PNG by its content. Else why not, and whether the name says that a picture was meant.
std::string fault_of(const fs::path& file, bool& meant_as_picture) {
  std::string ending = file.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  meant_as_picture = std::find(kPictureEndings.begin(), kPictureEndings.end(), ending) != kPictureEndings.end();
  std::array<char, 8> start{};
  std::ifstream in(file, std::ios::binary);
  if (!in) return "cannot be opened";
  in.read(start.data(), start.size());
  if (in.gcount() == 8 && std::equal(start.begin(), start.end(), kPngSignature.begin(), [](char a, unsigned char b) {
        return static_cast<unsigned char>(a) == b;
      }))
    return {};
  if (in.gcount() == 0) return "an empty file";
  return meant_as_picture ? "not a PNG by its content; convert it" : "not a picture";
}

void scan_class(const fs::path& source, const fs::path& folder, std::int32_t label, FolderSplit& split, FolderScan& scan) {
  for (const fs::path& entry : entries_of(folder, scan.hidden)) {
    if (leads_out(source, entry)) {
      scan.bad.push_back({entry, "a link that leads out of the folder; put the file itself there"});
      continue;
    }
    if (!fs::is_regular_file(entry)) {
      scan.other.push_back({entry, "not a file"});
      continue;
    }
    bool meant = false;
    const std::string fault = fault_of(entry, meant);
    if (fault.empty())
      split.images.push_back({entry, label});
    else
      (meant ? scan.bad : scan.other).push_back({entry, fault});
  }
}

/// A class is named by its folder: the name goes into shards, tables and pictures.
void check_class_folder(const fs::path& source, const fs::path& folder) {
  refuse_link_out(source, folder);
  const std::string name = folder.filename().string();
  if (std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    throw DataError(fmt::format("{}: the name of a class holds a control character (a line break?). Rename the folder",
                                folder.string()));
}

void scan_split(const fs::path& source, const SplitFolder& place, bool names_given, FolderScan& scan) {
  FolderSplit split{.split = place.split, .images = {}};
  std::vector<std::pair<fs::path, std::int32_t>> folders;
  for (const fs::path& entry : entries_of(place.folder, scan.hidden)) {
    const auto known = std::find(scan.class_names.begin(), scan.class_names.end(), entry.filename().string());
    if (!fs::is_directory(entry))
      scan.other.push_back({entry, "lies beside the class folders"});
    else if (check_class_folder(source, entry); known != scan.class_names.end())
      folders.emplace_back(entry, static_cast<std::int32_t>(known - scan.class_names.begin()));
    else if (names_given)
      scan.other.push_back({entry, "not among the class names given"});
    else
      throw DataError(fmt::format("{}: a class that the {} split does not have", entry.string(),
                                  name_of(scan.splits.front().split)));
  }
  std::stable_sort(folders.begin(), folders.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  for (const auto& [folder, label] : folders) scan_class(source, folder, label, split, scan);
  scan.splits.push_back(std::move(split));
}

}  // namespace

FolderScan scan_image_folder(const fs::path& source, const std::vector<std::string>& class_names) {
  FolderScan scan;
  const std::vector<SplitFolder> places = find_split_folders(source);
  scan.class_names = class_names;
  if (class_names.empty()) {
    std::int64_t counted_again = 0;
    for (const fs::path& entry : entries_of(places.front().folder, counted_again))
      if (fs::is_directory(entry)) scan.class_names.push_back(entry.filename().string());
    if (scan.class_names.empty())
      throw DataError(fmt::format("{}: no class folders there; expected {}/CLASS/*.png", source.string(), source.string()));
  }
  for (const std::string& name : class_names)
    if (!fs::is_directory(places.front().folder / name))
      throw DataError(fmt::format("{}: no folder for the class \"{}\"", places.front().folder.string(), name));
  for (const SplitFolder& place : places) scan_split(source, place, !class_names.empty(), scan);
  return scan;
}

}  // namespace convoy
