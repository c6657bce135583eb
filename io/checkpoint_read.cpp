#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "io/checkpoint.h"
#include "io/checkpoint_format.h"
#include "io/checkpoint_hdf5.h"
#include "io/checkpoint_scan.h"
#include "io/crc32c.h"
#include "io/hdf5.h"
#include "io/hdf5_descriptor.h"
#include "io/rehearsal.h"

namespace convoy {
namespace checkpoint_format {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kOldestSuperblock = 2;  // the first whose metadata HDF5 checksums

/// What "/" holds beside the groups of tensors.
constexpr std::array<const char*, 6> kPlainDatasets{"ledgers", "skipped_steps", "run_record", "mode", "config", "metrics"};

enum class Depth { metadata, all };  // without the bytes of datasets, or with them

class Scanner {
 public:
  /// `descriptor` < 0: the file of that path.
  Scanner(int descriptor, const fs::path& path, Depth depth) : descriptor_(descriptor), path_(path), depth_(depth) {}
  Scan run();

 private:
  /// Runs `read` and records its outcome under `name`.
  void attempt(const std::string& name, const std::function<void()>& read);
  void open();
  void scan_root();
  void scan_group(hid_t group, const std::string& path, const TensorGroup& target, std::size_t depth);
  void scan_member(hid_t group, const std::string& path, const std::string& name, const TensorGroup& target,
                   std::size_t depth);
  void scan_attributes();
  void scan_lists();
  void check_content();

  hdf5::Object open_member(hid_t parent, const std::string& name);
  hdf5::Object open_dataset(const std::string& name);
  Tensor read_tensor(hid_t dataset, std::uint32_t& checksum);
  std::string read_text(hid_t dataset);
  void read_bytes(hid_t dataset, hid_t type, void* bytes, std::uint64_t size_bytes, DType dtype, const Shape& shape);
  void take_space(hid_t dataset, std::uint64_t size_bytes);
  template <typename T>
  void scan_number(const char* name, T& value);

  int descriptor_;
  fs::path path_;
  Depth depth_;
  Scan scan_;
  hdf5::File file_;
  std::uint64_t file_size_ = 0;
  std::uint64_t unclaimed_ = 0;  // bytes of the file that no dataset has claimed yet
  std::set<haddr_t> visited_;    // addresses of objects: hard links must not make a cycle or a copy
  TensorChecksums checksums_;
  std::uint32_t content_checksum_ = 0;
  std::optional<DamagedBytes> damage_;  // of the dataset being read
};

[[noreturn]] void refuse(const std::string& why) { throw DataError(why); }

void Scanner::attempt(const std::string& name, const std::function<void()>& read) {
  ScanItem item{name, ""};
  damage_.reset();
  try {
    read();
  } catch (const Error& error) {
    item.problem = error.what();
    item.damage = std::exchange(damage_, std::nullopt);
  }
  scan_.items.push_back(std::move(item));
}

Scan Scanner::run() {
  attempt("file", [&] { open(); });
  if (scan_.first_problem()) return std::move(scan_);
  scan_attributes();
  if (scan_.first_problem()) return std::move(scan_);  // of another format or version: the rest means nothing
  scan_root();
  scan_lists();
  if (!scan_.first_problem()) attempt("@content_crc32c", [&] { check_content(); });
  return std::move(scan_);
}

void Scanner::open() {
  struct stat status{};
  if ((descriptor_ < 0 ? stat(path_.c_str(), &status) : fstat(descriptor_, &status)) != 0)
    refuse("there is no such file");
  if (!S_ISREG(status.st_mode)) refuse("not a file");
  file_size_ = unclaimed_ = static_cast<std::uint64_t>(status.st_size);
  file_ = descriptor_ < 0 ? hdf5::open_file(path_) : hdf5::open_descriptor(descriptor_, path_);
  H5F_info2_t info{};
  CONVOY_HDF5(H5Fget_info2(file_.get(), &info));
  if (info.super.version < kOldestSuperblock)
    refuse(fmt::format("an HDF5 file with superblock {}, whose metadata has no checksums; convoy writes {} or later, "
                       "so another program has rewritten this file",
                       info.super.version, kOldestSuperblock));
  check_group_is_plain(file_.get());
}

template <typename T>
void Scanner::scan_number(const char* name, T& value) {
  attempt(std::string("@") + name, [&] { value = hdf5::read_number<T>(file_.get(), name); });
}

void Scanner::scan_attributes() {
  const hid_t root = file_.get();
  Checkpoint& c = scan_.checkpoint;
  attempt("@format", [&] {
    const std::string format = read_fixed_text(root, "format");
    if (format != kFormat) refuse(fmt::format("expected \"{}\", found \"{}\": not a checkpoint", kFormat, format));
    const auto version = hdf5::read_number<std::int64_t>(root, "version");
    if (version < 1 || version > kVersion)
      refuse(fmt::format("format version {}, but this convoy reads up to {}; use a newer convoy", version, kVersion));
  });
  if (scan_.first_problem()) return;
  scan_number("step", c.step);
  scan_number("updates", c.updates);
  scan_number("loss_scale", c.loss_scale);
  scan_number("loss_scale_counter", c.loss_scale_counter);
  scan_number("epoch", c.epoch);
  scan_number("world_size", c.world_size);
  scan_number(kContentChecksum, content_checksum_);
  attempt("@graph_hash", [&] { c.graph_hash = read_fixed_text(root, "graph_hash"); });
  attempt("@best_metric", [&] {
    if (!hdf5::has_attribute(root, "best_metric") && !hdf5::has_attribute(root, "best_step")) return;
    c.best = {hdf5::read_number<double>(root, "best_metric"), hdf5::read_number<std::int64_t>(root, "best_step")};
  });
}

void Scanner::scan_root() {
  const auto known = [](const std::string& name) {
    const auto is_name = [&](const char* other) { return name == other; };
    return std::any_of(kPlainDatasets.begin(), kPlainDatasets.end(), is_name) ||
           std::any_of(kGroups.begin(), kGroups.end(), [&](const TensorGroup& group) { return name == group.name; });
  };
  attempt("file", [&] {
    for (const std::string& name : hdf5::members(file_.get()))
      if (!known(name)) refuse(fmt::format("\"/{}\" is unknown to this format", name));
  });
  for (const TensorGroup& target : kGroups) {
    const std::string path = std::string("/") + target.name;
    attempt(path, [&] {
      const hdf5::Object group = open_member(file_.get(), target.name);
      if (H5Iget_type(group.get()) != H5I_GROUP) refuse("expected a group, found another object");
      scan_group(group.get(), path, target, 1);
    });
  }
}

void Scanner::scan_group(hid_t group, const std::string& path, const TensorGroup& target, std::size_t depth) {
  check_group_is_plain(group);
  for (const std::string& name : hdf5::members(group)) scan_member(group, path, name, target, depth);
}

void Scanner::scan_member(hid_t group, const std::string& path, const std::string& name, const TensorGroup& target,
                          std::size_t depth) {
  const std::string inner = path + "/" + name;
  attempt(inner, [&] {
    if (depth >= kMaxDepth || inner.size() > kMaxName + 1) refuse("nested too deeply for a checkpoint");
    const hdf5::Object object = open_member(group, name);
    const H5I_type_t type = H5Iget_type(object.get());
    if (type == H5I_GROUP) return scan_group(object.get(), inner, target, depth + 1);
    if (type != H5I_DATASET) refuse("neither a group nor a dataset");
    std::uint32_t checksum = 0;
    Tensor tensor = read_tensor(object.get(), checksum);
    checksums_[inner.substr(1)] = checksum;
    (scan_.checkpoint.*target.tensors)[inner.substr(std::string(target.name).size() + 2)] = std::move(tensor);
  });
}

void Scanner::scan_lists() {
  Checkpoint& c = scan_.checkpoint;
  std::uint32_t ignored = 0;
  attempt("/ledgers", [&] {
    const Tensor rows = read_tensor(open_dataset("ledgers").get(), ignored);
    if (rows.dtype() != DType::u64 || rows.shape().rank() != 2 || rows.shape()[1] != 4)
      refuse(fmt::format("expected uint64 [n, 4], found {} {}", name_of(rows.dtype()), rows.shape().str()));
    const auto v = rows.values<std::uint64_t>();
    for (std::size_t i = 0; i + 4 <= v.size(); i += 4)
      c.ledgers.push_back({static_cast<std::int64_t>(v[i]), v[i + 1], v[i + 2], v[i + 3]});
  });
  attempt("/skipped_steps", [&] {
    const Tensor steps = read_tensor(open_dataset("skipped_steps").get(), ignored);
    if (steps.dtype() != DType::i64 || steps.shape().rank() != 1)
      refuse(fmt::format("expected int64 [n], found {} {}", name_of(steps.dtype()), steps.shape().str()));
    const auto v = steps.values<std::int64_t>();
    c.skipped_steps.assign(v.begin(), v.end());
  });
  attempt("/run_record",
          [&] { c.run_record = run_record_from_json(read_text(open_dataset("run_record").get())); });
  if (H5Lexists(file_.get(), "mode", H5P_DEFAULT) > 0)
    attempt("/mode", [&] { c.mode = run_record_from_json(read_text(open_dataset("mode").get())); });
  attempt("/config", [&] { c.config = read_text(open_dataset("config").get()); });
  attempt("/metrics", [&] { c.metrics = read_text(open_dataset("metrics").get()); });
}

void Scanner::check_content() {
  const std::uint32_t found = content_checksum(scan_.checkpoint, checksums_);
  if (found != content_checksum_)
    refuse(fmt::format("attributes, names and shapes have the CRC-32C {:08x}, but {:08x} was stored when the file was "
                       "written",
                       found, content_checksum_));
}

/// The object behind a hard link; soft, external and user-defined links are never followed.
hdf5::Object Scanner::open_member(hid_t parent, const std::string& name) {
  hdf5::quiet();
  H5L_info_t link{};
  if (H5Lexists(parent, name.c_str(), H5P_DEFAULT) <= 0 || H5Lget_info(parent, name.c_str(), &link, H5P_DEFAULT) < 0)
    refuse("missing");
  if (link.type != H5L_TYPE_HARD) refuse("a soft or external link; a checkpoint holds its data itself");
  hdf5::Object object(H5Oopen(parent, name.c_str(), H5P_DEFAULT));
  if (!object.valid()) refuse("cannot be opened: " + hdf5::take_error_stack());
  H5O_info_t info{};
  CONVOY_HDF5(H5Oget_info2(object.get(), &info, H5O_INFO_BASIC));
  if (!visited_.insert(info.addr).second) refuse("a second link to an object that was read already");
  return object;
}

hdf5::Object Scanner::open_dataset(const std::string& name) {
  hdf5::Object object = open_member(file_.get(), name);
  if (H5Iget_type(object.get()) != H5I_DATASET) refuse("expected a dataset, found another object");
  return object;
}

Tensor Scanner::read_tensor(hid_t dataset, std::uint32_t& checksum) {
  check_dataset_is_plain(dataset);
  const DType dtype = stored_dtype(dataset);
  const Shape shape = stored_shape(dataset);
  std::uint64_t size_bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(shape.elements()), size_of(dtype), &size_bytes))
    refuse(fmt::format("the extents {} cannot be right", shape.str()));
  take_space(dataset, size_bytes);
  Tensor tensor(shape, dtype);
  read_bytes(dataset, tensor_file_type(dtype).get(), tensor.bytes(), size_bytes, dtype, shape);
  checksum = crc32c(tensor.bytes(), size_bytes);
  return tensor;
}

std::string Scanner::read_text(hid_t dataset) {
  check_dataset_is_plain(dataset);
  const hdf5::Type type(CONVOY_HDF5(H5Dget_type(dataset)));
  if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) != 0 || stored_shape(dataset) != Shape{})
    refuse("expected one string of fixed length, found another type");
  const std::size_t size_bytes = H5Tget_size(type.get());
  take_space(dataset, size_bytes);
  std::string text(size_bytes, '\0');
  read_bytes(dataset, type.get(), text.data(), size_bytes, DType::u8, Shape{static_cast<std::int64_t>(size_bytes)});
  if (const std::size_t end = text.find('\0'); end != text.npos) text.resize(end);
  return text;
}

/// None where the file is older than this attribute.
std::optional<WordSums> stored_sums(hid_t dataset) {
  if (!hdf5::has_attribute(dataset, kWordSums)) return {};
  const auto pair = hdf5::read_numbers<std::uint64_t>(dataset, kWordSums);
  return pair.size() == 2 ? std::optional(WordSums{pair[0], pair[1]}) : std::nullopt;
}

/// Before memory is taken: the file must really hold as many bytes, and no two datasets the same.
void Scanner::take_space(hid_t dataset, std::uint64_t size_bytes) {
  if (H5Dget_storage_size(dataset) != size_bytes) refuse("the stored size does not fit the extents");
  if (size_bytes == 0) return;
  const haddr_t offset = H5Dget_offset(dataset);
  if (offset == HADDR_UNDEF || size_bytes > file_size_ || offset > file_size_ - size_bytes)
    refuse("its bytes lie beyond the end of the file");
  if (size_bytes > unclaimed_) refuse("shares its bytes with another dataset");
  unclaimed_ -= size_bytes;
}

void Scanner::read_bytes(hid_t dataset, hid_t type, void* bytes, std::uint64_t size_bytes, DType dtype,
                         const Shape& shape) {
  const auto expected = hdf5::read_number<std::uint32_t>(dataset, kChecksum);
  if (depth_ == Depth::metadata) return;
  hdf5::quiet();
  if (size_bytes > 0 && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) < 0)
    refuse("cannot be read: " + hdf5::take_error_stack());
  const std::uint32_t found = crc32c(bytes, size_bytes);
  if (found == expected) return;
  damage_ = DamagedBytes{H5Dget_offset(dataset), size_bytes, found, expected, stored_sums(dataset), dtype, shape};
  refuse(fmt::format("its bytes have the CRC-32C {:08x}, but {:08x} was stored when the file was written", found,
                     expected));
}

}  // namespace

const ScanItem* Scan::first_problem() const {
  const auto bad = [](const ScanItem& item) { return !item.problem.empty(); };
  const auto found = std::find_if(items.begin(), items.end(), bad);
  return found == items.end() ? nullptr : &*found;
}

Scan scan_checkpoint(const fs::path& file) {
  try {
    rehearse("the file", [&] { Scanner(-1, file, Depth::metadata).run(); });
  } catch (const Error& error) {
    Scan scan;
    scan.items.push_back({"file", error.what(), {}});
    return scan;
  }
  return Scanner(-1, file, Depth::all).run();
}

Scan scan_checkpoint(int descriptor, const fs::path& name) { return Scanner(descriptor, name, Depth::all).run(); }

}  // namespace checkpoint_format

Checkpoint read_checkpoint(const std::filesystem::path& file) {
  const trace::Doing reading(trace::Activity::checkpoint, "reading " + file.filename().string());
  checkpoint_format::Scan scan = checkpoint_format::scan_checkpoint(file);
  if (const checkpoint_format::ScanItem* bad = scan.first_problem())
    throw DataError(fmt::format("checkpoint {}: {}: {}; `convoy checkpoint verify` lists everything that is wrong, and "
                                "`convoy checkpoint repair` turns a single flipped bit back",
                                file.string(), bad->name, bad->problem));
  return std::move(scan.checkpoint);
}

}  // namespace convoy
