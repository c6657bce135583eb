#include "io/import/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/random/sha256.h"
#include "core/tensor/error.h"
#include "io/import/folder_scan.h"
#include "io/shard.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeyDigits = 16;  // of the key, in names of files

/// Writes lists and the report's first part; learns what kinds of files there are.
class Search : public ScanSink {
 public:
  Search(const ImportOptions& options, SearchReport& report)
      : options_(options), report_(report), part_(search_part(options)) {}

  void split(Split split) override {
    close_list();
    plans_.push_back({split});
    list_ = std::make_unique<FileListWriter>(list_of(options_, split));
  }
  void picture(const ListedFile& file, std::span<const std::byte> start) override {
    list_->add(file);
    if (kind_of(start) == PictureKind::jpeg) {
      has_jpeg_ = true;
      return;
    }
    // PNG's header, from its extents to its colour type (PNG specification, section 11.2.2).
    constexpr std::size_t kBegin = 16, kEnd = 26;
    const std::string header(reinterpret_cast<const char*>(start.data()), std::min(start.size(), kEnd));
    const std::string kind = header.size() < kEnd ? header : header.substr(kBegin);
    if (png_kind_.empty()) png_kind_ = kind;
    if (kind != png_kind_) pngs_differ_ = true;
  }
  void other(const fs::path& file, Fate fate, const std::string& why) override {
    part_.add(file, fate, why);
    if (fate == Fate::bad) ++report_.bad_count;
    auto& list = fate == Fate::bad ? report_.bad : report_.other;
    if (list.size() < kSkippedListed) list.push_back({file, why});
  }
  void hidden(const fs::path& file) override {
    part_.add(file, Fate::left_out, "hidden: its name starts with a dot");
    ++report_.hidden;
  }

  void finish() {
    close_list();
    part_.write();
  }
  const std::vector<SplitPlan>& plans() const { return plans_; }
  const std::vector<std::int64_t>& sizes() const { return sizes_; }
  const std::string& digests() const { return digests_; }
  /// What auto stands for.
  std::string encoding() const { return has_jpeg_ ? "jpeg" : pngs_differ_ ? "png" : "raw"; }

 private:
  void close_list() {
    if (!list_) return;
    plans_.back().files = list_->count();
    sizes_.push_back(list_->size_bytes());
    digests_ += list_->close() + " ";
    list_.reset();
  }

  const ImportOptions& options_;
  SearchReport& report_;
  ReportPart part_;
  std::unique_ptr<FileListWriter> list_;
  std::vector<SplitPlan> plans_;
  std::vector<std::int64_t> sizes_;  // bytes of all files, per split
  std::string digests_, png_kind_;
  bool has_jpeg_ = false, pngs_differ_ = false;
};

/// A list of test pictures need not name every class: where the output holds the training split already, its classes count.
std::vector<std::string> classes_of_list(const ImportOptions& options) {
  if (options.list_split == Split::train) return options.class_names;
  const auto train = stored_train_header(options);
  if (!train) return options.class_names;
  if (!options.class_names.empty() && options.class_names != train->class_names)
    throw UsageError(fmt::format("{} holds a train split of other classes ({} of them); leave class-names away, or give the same",
                                 options.output.string(), train->class_names.size()));
  return train->class_names;
}

void check_options(const ImportOptions& options) {
  if (options.encoding != "auto" && options.encoding != "jpeg" && options.encoding != "png" && options.encoding != "raw")
    throw UsageError(fmt::format("encoding is \"{}\", expected auto, jpeg, png or raw", options.encoding));
  if (options.channels != 1 && options.channels != 3)
    throw UsageError(fmt::format("channels is {}, expected 1 or 3", options.channels));
  if (options.quality < 1 || options.quality > 100)
    throw UsageError(fmt::format("quality is {}, expected 1 to 100", options.quality));
  if (options.resize_short < 0) throw UsageError(fmt::format("resize-short is {}, expected 0 or more", options.resize_short));
}

/// Parts of reports by which an older import would take this one's shards for its own.
void remove_other_parts(const ImportOptions& options, const ImportPlan& plan) {
  const std::string own = "-" + plan.key.substr(0, kKeyDigits) + ".tsv";
  for (const fs::directory_entry& entry : fs::directory_iterator(work_folder(options)))
    if (entry.path().extension() == ".tsv" && entry.path() != search_part(options) &&
        !entry.path().filename().string().ends_with(own))
      fs::remove(entry.path());
}

}  // namespace

fs::path work_folder(const ImportOptions& options) { return options.output / ".import"; }
fs::path list_of(const ImportOptions& options, Split split) { return work_folder(options) / name_of(split); }
fs::path search_part(const ImportOptions& options) { return work_folder(options) / "search.tsv"; }
fs::path shard_part(const ImportOptions& options, const ImportPlan& plan, Split split, int shard) {
  return work_folder(options) / fmt::format("{}-{:05}-{}.tsv", name_of(split), shard, plan.key.substr(0, kKeyDigits));
}

ImportPlan search_pictures(const ImportOptions& options, SearchReport& report) {
  check_options(options);
  fs::create_directories(work_folder(options));
  Search search(options, report);
  ImportPlan plan;
  plan.class_names = fs::is_directory(options.source)
                         ? scan_image_folder(options.source, options.class_names, search)
                         : scan_list(options.source, classes_of_list(options), options.list_split, search);
  search.finish();
  plan.form = {options.encoding == "auto" ? search.encoding() : options.encoding, options.channels, options.resize_short,
               options.quality};
  plan.splits = search.plans();
  std::string key = fmt::format("import-2 {} {} {} {} {}\n", plan.form.encoding, plan.form.channels, plan.form.resize_short,
                                plan.form.quality, search.digests());
  for (std::size_t i = 0; i < plan.splits.size(); ++i) {
    SplitPlan& split = plan.splits[i];
    const auto average = static_cast<std::size_t>(search.sizes()[i] / std::max<std::int64_t>(split.files, 1));
    split.shards = options.shards > 0 ? options.shards : default_shards(split.files, average);
    if (split.shards > split.files && split.files > 0)
      throw UsageError(fmt::format("{} samples cannot be cut into {} shards; choose 1 to {}", split.files, split.shards, split.files));
    key += fmt::format("{} {}\n", name_of(split.split), split.shards);
  }
  for (const std::string& name : plan.class_names) key += name + '\0';
  plan.key = hex(Sha256().update(key).finish());
  remove_other_parts(options, plan);
  return plan;
}

std::optional<ShardHeader> stored_train_header(const ImportOptions& options) {
  const std::vector<fs::path> shards = find_shards(options.output, Split::train);
  if (shards.empty()) return std::nullopt;
  return read_shard_header(hdf5::open_file(shards.front()).get());
}

std::string text_of(const ImportPlan& plan) {
  nlohmann::json json{{"encoding", plan.form.encoding},       {"channels", plan.form.channels},
                      {"resize_short", plan.form.resize_short}, {"quality", plan.form.quality},
                      {"key", plan.key},                      {"classes", plan.class_names},
                      {"splits", nlohmann::json::array()}};
  for (const SplitPlan& split : plan.splits)
    json["splits"].push_back({static_cast<int>(split.split), split.files, split.shards});
  return json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

ImportPlan plan_from(const std::string& text) {
  const auto json = nlohmann::json::parse(text);
  ImportPlan plan{.form = {json["encoding"], json["channels"], json["resize_short"], json["quality"]},
                  .key = json["key"],
                  .splits = {},
                  .class_names = json["classes"]};
  for (const auto& split : json["splits"]) plan.splits.push_back({static_cast<Split>(split[0].get<int>()), split[1], split[2]});
  return plan;
}

StorageOrder::StorageOrder(const SplitPlan& plan) {
  if (plan.split == Split::train && plan.files > 0)
    shuffled_.emplace(RandomKey(0, "import"), static_cast<std::uint64_t>(plan.files));
}

std::int64_t StorageOrder::operator()(std::int64_t position) const {
  return shuffled_ ? static_cast<std::int64_t>((*shuffled_)(static_cast<std::uint64_t>(position))) : position;
}

}  // namespace convoy
