#include "io/import/folder_scan.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "core/tensor/error.h"
#include "io/import/convert.h"
#include "io/import/session.h"
#include "io/inside.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::array kPictureEndings{".png", ".jpg", ".jpeg", ".jpe", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"};

/// Entries of a folder in byte order; those whose names start with a dot are told to `sink` (null: nobody) and left out.
std::vector<fs::path> entries_of(const fs::path& folder, ScanSink* sink) {
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end(),
            [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  std::erase_if(entries, [&](const fs::path& entry) {
    const bool hides = entry.filename().string().starts_with('.');
    if (hides && sink) sink->hidden(entry);
    return hides;
  });
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

bool is_meant_as_picture(const fs::path& file) {
  std::string ending = file.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::find(kPictureEndings.begin(), kPictureEndings.end(), ending) != kPictureEndings.end();
}

/// Looks into one regular file and tells the sink what it is.
void look_at(const fs::path& file, std::int32_t label, ScanSink& sink) {
  const Fate fate = is_meant_as_picture(file) ? Fate::bad : Fate::left_out;
  std::array<std::byte, kStartBytes> start{};
  struct stat status {};
  const FileDescriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!descriptor.valid() || ::fstat(descriptor.get(), &status) != 0)
    return sink.other(file, Fate::bad, fmt::format("cannot be opened: {}", system_message(errno)));
  const ssize_t count = ::pread(descriptor.get(), start.data(), start.size(), 0);
  if (count < 0) return sink.other(file, Fate::bad, fmt::format("cannot be read: {}", system_message(errno)));
  if (count == 0) return sink.other(file, fate, "an empty file");
  const std::span<const std::byte> seen(start.data(), static_cast<std::size_t>(count));
  const PictureKind kind = kind_of(seen);
  if (kind == PictureKind::jpeg || kind == PictureKind::png)
    return sink.picture({file, label, status.st_size, status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec}, seen);
  if (kind != PictureKind::other)
    return sink.other(file, Fate::bad, fmt::format("a {}; JPEG and PNG are read: convert it", name_of(kind)));
  sink.other(file, fate, "not a picture by its content");
}

void scan_class(const fs::path& source, const fs::path& folder, std::int32_t label, ScanSink& sink) {
  for (const fs::path& entry : entries_of(folder, &sink)) {
    if (leads_out(source, entry))
      sink.other(entry, Fate::bad, "a link that leads out of the folder; put the file itself there");
    else if (!fs::is_regular_file(entry))
      sink.other(entry, Fate::left_out, "not a file");
    else
      look_at(entry, label, sink);
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

void scan_split(const fs::path& source, const SplitFolder& place, Split first, const std::vector<std::string>& class_names,
                bool names_given, ScanSink& sink) {
  sink.split(place.split);
  std::vector<std::pair<fs::path, std::int32_t>> folders;
  for (const fs::path& entry : entries_of(place.folder, &sink)) {
    const auto known = std::find(class_names.begin(), class_names.end(), entry.filename().string());
    if (!fs::is_directory(entry))
      sink.other(entry, Fate::left_out, "lies beside the class folders");
    else if (check_class_folder(source, entry); known != class_names.end())
      folders.emplace_back(entry, static_cast<std::int32_t>(known - class_names.begin()));
    else if (names_given)
      sink.other(entry, Fate::left_out, "not among the class names given");
    else
      throw DataError(fmt::format("{}: a class that the {} split does not have", entry.string(), name_of(first)));
  }
  std::stable_sort(folders.begin(), folders.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  for (const auto& [folder, label] : folders) scan_class(source, folder, label, sink);
}

std::optional<std::int32_t> number_of(std::string_view text) {
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// Calls `take` with the path and the label of every line.
void each_line(const fs::path& list, const std::function<void(const std::string&, const std::string&, std::int64_t)>& take) {
  std::ifstream in(list);
  if (!in) throw DataError(fmt::format("{}: cannot be opened", list.string()));
  std::int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    const std::size_t tab = line.rfind('\t');
    if (tab == std::string::npos || tab == 0 || tab + 1 == line.size())
      throw DataError(fmt::format("{}, line {}: expected PATH, a tab, then the label", list.string(), number));
    take(line.substr(0, tab), line.substr(tab + 1), number);
  }
}

std::vector<std::string> classes_in(const fs::path& list) {
  constexpr std::int32_t kMostClasses = 1 << 20;
  std::set<std::string> names;
  std::int32_t greatest = -1;
  bool numbers = true;
  each_line(list, [&](const std::string&, const std::string& label, std::int64_t line) {
    const auto number = number_of(label);
    numbers = numbers && number;
    greatest = std::max(greatest, number.value_or(-1));
    if (numbers ? greatest >= kMostClasses : names.size() >= kMostClasses)
      throw DataError(fmt::format("{}, line {}: more than {} classes", list.string(), line, kMostClasses));
    names.insert(label);
  });
  if (names.empty()) throw DataError(fmt::format("{}: no lines; expected PATH, a tab, then the label", list.string()));
  return numbers ? numbered_classes(greatest + 1) : std::vector<std::string>(names.begin(), names.end());
}

}  // namespace

std::vector<std::string> scan_image_folder(const fs::path& source, const std::vector<std::string>& class_names, ScanSink& sink) {
  const std::vector<SplitFolder> places = find_split_folders(source);
  std::vector<std::string> names = class_names;
  if (class_names.empty()) {
    for (const fs::path& entry : entries_of(places.front().folder, nullptr))
      if (fs::is_directory(entry)) names.push_back(entry.filename().string());
    if (names.empty())
      throw DataError(fmt::format("{}: no class folders there; expected {}/CLASS/*.jpg or *.png", source.string(),
                                  source.string()));
  }
  for (const std::string& name : class_names)
    if (!fs::is_directory(places.front().folder / name))
      throw DataError(fmt::format("{}: no folder for the class \"{}\"", places.front().folder.string(), name));
  for (const SplitFolder& place : places) scan_split(source, place, places.front().split, names, !class_names.empty(), sink);
  return names;
}

std::vector<std::string> scan_list(const fs::path& list, const std::vector<std::string>& class_names, Split split,
                                   ScanSink& sink) {
  const std::vector<std::string> names = class_names.empty() ? classes_in(list) : class_names;
  std::map<std::string, std::int32_t> labels;
  for (const std::string& name : names) labels.emplace(name, static_cast<std::int32_t>(labels.size()));
  sink.split(split);
  each_line(list, [&](const std::string& path, const std::string& label, std::int64_t line) {
    auto found = labels.find(label);
    const auto number = number_of(label);
    const bool is_number = found == labels.end() && number && *number < static_cast<std::int32_t>(names.size());
    if (found == labels.end() && !is_number)
      throw DataError(fmt::format("{}, line {}: the label \"{}\" is none of the {} classes", list.string(), line, label,
                                  names.size()));
    const fs::path file = list.parent_path() / path;  // an absolute path stays as it is
    std::error_code error;
    if (!fs::is_regular_file(file, error))
      sink.other(file, Fate::bad, error ? error.message() : "not a file");
    else
      look_at(file, is_number ? *number : found->second, sink);
  });
  return names;
}

}  // namespace convoy
