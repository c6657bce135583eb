#include "io/shard.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "core/tensor/error.h"
#include "io/crc32c.h"
#include "io/files.h"
#include "io/inside.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSplits{Split::train, Split::validation, Split::test};
constexpr const char* kFormat = "convoy-dataset";

/// Text attributes above 64 KiB lie outside HDF5's own checksums, so the names carry one of ours.
std::uint32_t names_crc(const std::vector<std::string>& names) {
  std::uint32_t crc = 0;
  for (const std::string& name : names) crc = crc32c(name.c_str(), name.size() + 1, crc);
  return crc;
}

std::optional<std::int64_t> parse_digits(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.size() < 5 || value < 0) return std::nullopt;
  return value;
}

fs::directory_iterator list(const fs::path& folder) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error) throw DataError(fmt::format("{}: cannot be read as a folder of shards: {}", folder.string(), error.message()));
  return entries;
}

[[noreturn]] void fail(hid_t file, const std::string& what) {
  throw DataError(fmt::format("{}: {}", hdf5::where(file), what));
}

}  // namespace

std::string_view name_of(Split split) {
  switch (split) {
    case Split::train: return "train";
    case Split::validation: return "validation";
    case Split::test: return "test";
  }
  return "?";
}

std::string created_by() { return "convoy " CONVOY_VERSION; }

std::string shard_name(Split split, std::int64_t index, std::int64_t count) {
  return fmt::format("{}-{:05}-of-{:05}.h5", name_of(split), index, count);
}

std::optional<ShardName> parse_shard_name(const std::string& file_name) {
  for (Split split : kSplits) {
    const std::string prefix = fmt::format("{}-", name_of(split));
    if (!file_name.starts_with(prefix) || !file_name.ends_with(".h5")) continue;
    const std::string_view middle =
        std::string_view(file_name).substr(prefix.size(), file_name.size() - prefix.size() - 3);
    const std::size_t of = middle.find("-of-");
    if (of == std::string_view::npos) continue;
    const auto index = parse_digits(middle.substr(0, of)), count = parse_digits(middle.substr(of + 4));
    if (index && count && *index < *count) return ShardName{split, *index, *count};
  }
  return std::nullopt;
}

std::vector<fs::path> find_shards(const fs::path& folder, Split split) {
  std::map<std::int64_t, std::map<std::int64_t, fs::path>> sets;  // by count, then by index
  for (const fs::path& file : shards_present(folder, split)) {
    const ShardName name = *parse_shard_name(file.filename().string());
    sets[name.count][name.index] = file;
  }
  if (sets.empty()) return {};
  if (sets.size() > 1)
    throw DataError(fmt::format("{}: {} shards of two sets lie mixed, one of {} and one of {} files. Remove one set",
                                folder.string(), name_of(split), sets.begin()->first, sets.rbegin()->first));
  const auto& [count, files] = *sets.begin();
  std::vector<fs::path> ordered;
  std::vector<std::string> missing;
  for (std::int64_t index = 0; index < count; ++index)
    if (const auto found = files.find(index); found != files.end())
      ordered.push_back(found->second);
    else if (missing.size() < 5)
      missing.push_back(shard_name(split, index, count));
  if (!missing.empty())
    throw DataError(fmt::format("{}: {} of {} {} shards are missing, {} among them. Copy or import them again",
                                folder.string(), count - std::int64_t(files.size()), count, name_of(split),
                                fmt::join(missing, ", ")));
  return ordered;
}

std::vector<fs::path> shards_present(const fs::path& folder, Split split) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : list(folder))
    if (const auto name = parse_shard_name(entry.path().filename().string()); name && name->split == split) {
      refuse_link_out(folder, entry.path());
      files.push_back(entry.path());
    }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<Split> splits_in(const fs::path& folder) {
  std::array<bool, 3> present{};
  for (const fs::directory_entry& entry : list(folder))
    if (const auto name = parse_shard_name(entry.path().filename().string()))
      present[static_cast<std::size_t>(name->split)] = true;
  std::vector<Split> found;
  for (Split split : kSplits)
    if (present[static_cast<std::size_t>(split)]) found.push_back(split);
  return found;
}

std::vector<fs::path> publish_shards(const fs::path& folder, Split split, const std::vector<fs::path>& partial_files) {
  for (const fs::path& old : shards_present(folder, split)) fs::remove(old);
  sync_to_disk(folder);
  std::vector<fs::path> names(partial_files.size());
  for (std::size_t i = names.size(); i-- > 0;) {
    names[i] = folder / shard_name(split, static_cast<std::int64_t>(i), static_cast<std::int64_t>(names.size()));
    fs::rename(partial_files[i], names[i]);
  }
  sync_to_disk(folder);
  return names;
}

std::int64_t first_sample(std::int64_t index, std::int64_t count, std::int64_t samples) {
  return static_cast<std::int64_t>(static_cast<__int128>(index) * samples / count);
}

void write_shard_header(hid_t file, const ShardHeader& header) {
  hdf5::write_text(file, "format", kFormat);
  hdf5::write_number(file, "version", kShardVersion);
  hdf5::write_text(file, "task", header.task);
  hdf5::write_text(file, "split", name_of(header.split));
  hdf5::write_number(file, "shard_index", header.shard_index);
  hdf5::write_number(file, "shard_count", header.shard_count);
  hdf5::write_number(file, "num_samples", header.num_samples);
  hdf5::write_number(file, "total_samples", header.total_samples);
  hdf5::write_texts(file, "class_names", header.class_names);
  hdf5::write_number(file, "class_names_crc32c", names_crc(header.class_names));
  hdf5::write_numbers<double>(file, "channel_mean", header.channel_mean);
  hdf5::write_numbers<double>(file, "channel_std", header.channel_std);
  hdf5::write_text(file, "source", header.source);
  hdf5::write_text(file, "created_by", header.created_by);
  if (!header.encoding.empty()) {
    hdf5::write_text(file, "encoding", header.encoding);
    hdf5::write_number(file, "channels", header.channels);
  }
  if (!header.color_values.empty()) {
    hdf5::write_numbers<double>(file, "color_values", header.color_values);
    hdf5::write_numbers<double>(file, "color_vectors", header.color_vectors);
  }
  hdf5::write_text(file, "set_sha256", header.set_sha256);
}

ShardHeader read_shard_header(hid_t file) {
  if (!hdf5::has_attribute(file, "format") || hdf5::read_text(file, "format") != kFormat)
    fail(file, "an HDF5 file, but not a convoy data set (attribute \"format\" is not \"convoy-dataset\"). To read it "
               "as it is, name its datasets: --data.images=/x --data.labels=/y");
  const auto version = hdf5::read_number<std::int64_t>(file, "version");
  if (version != kShardVersion)
    fail(file, fmt::format("version {} of the format; this convoy reads version {}", version, kShardVersion));
  ShardHeader header;
  header.task = hdf5::read_text(file, "task");
  const std::string split = hdf5::read_text(file, "split");
  const auto known = std::find_if(kSplits.begin(), kSplits.end(), [&](Split s) { return name_of(s) == split; });
  if (known == kSplits.end()) fail(file, fmt::format("attribute \"split\" is \"{}\"", split));
  header.split = *known;
  header.shard_index = hdf5::read_number<std::int64_t>(file, "shard_index");
  header.shard_count = hdf5::read_number<std::int64_t>(file, "shard_count");
  header.num_samples = hdf5::read_number<std::int64_t>(file, "num_samples");
  header.total_samples = hdf5::read_number<std::int64_t>(file, "total_samples");
  header.class_names = hdf5::read_texts(file, "class_names");
  if (hdf5::read_number<std::uint32_t>(file, "class_names_crc32c") != names_crc(header.class_names))
    fail(file, "the attribute \"class_names\" does not match its CRC-32C: damaged or changed by hand");
  header.channel_mean = hdf5::read_numbers<double>(file, "channel_mean");
  header.channel_std = hdf5::read_numbers<double>(file, "channel_std");
  header.source = hdf5::read_text(file, "source");
  header.created_by = hdf5::read_text(file, "created_by");
  if (hdf5::has_attribute(file, "encoding")) {
    header.encoding = hdf5::read_text(file, "encoding");
    header.channels = hdf5::read_number<std::int64_t>(file, "channels");
    if (header.encoding != "jpeg" && header.encoding != "png")
      fail(file, fmt::format("attribute \"encoding\" is \"{}\"; this convoy reads jpeg and png", header.encoding));
    if (header.channels != 1 && header.channels != 3)
      fail(file, fmt::format("attribute \"channels\" is {}; expected 1 or 3", header.channels));
  }
  if (hdf5::has_attribute(file, "color_values")) {
    header.color_values = hdf5::read_numbers<double>(file, "color_values");
    header.color_vectors = hdf5::read_numbers<double>(file, "color_vectors");
    if (header.color_values.size() != 3 || header.color_vectors.size() != 9)
      fail(file, fmt::format("{} color_values and {} color_vectors; expected 3 and 9", header.color_values.size(),
                             header.color_vectors.size()));
  }
  header.set_sha256 = hdf5::read_text(file, "set_sha256");
  return header;
}

}  // namespace convoy
