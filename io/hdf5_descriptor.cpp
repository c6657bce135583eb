#include "io/hdf5_descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "io/hdf5_reader.h"
#include "io/write_fault.h"

namespace convoy::hdf5 {
namespace {

/// What a file access property list carries to the driver's open; HDF5 copies it as bytes.
struct DriverInfo {
  int descriptor;
  int* error;
};

/// HDF5's part comes first, so that a pointer to it is a pointer to the whole (as in every driver of HDF5 itself).
struct DriverFile {
  H5FD_t hdf5;
  DriverInfo info;
  haddr_t end_allocated;
  haddr_t end_written;
};

constexpr haddr_t kMaxAddress = static_cast<haddr_t>(std::numeric_limits<off_t>::max());

DriverFile& self(H5FD_t* file) { return *reinterpret_cast<DriverFile*>(file); }
const DriverFile& self(const H5FD_t* file) { return *reinterpret_cast<const DriverFile*>(file); }

H5FD_t* open_driver(const char*, unsigned, hid_t access, haddr_t) {
  const auto* info = static_cast<const DriverInfo*>(H5Pget_driver_info(access));
  auto* file = info ? new (std::nothrow) DriverFile{} : nullptr;
  if (file == nullptr) return nullptr;
  file->info = *info;
  struct stat status{};
  if (fstat(info->descriptor, &status) == 0) file->end_written = static_cast<haddr_t>(status.st_size);
  return &file->hdf5;
}

herr_t close_driver(H5FD_t* file) {
  delete &self(file);
  return 0;
}

herr_t query(const H5FD_t*, unsigned long* flags) {
  if (flags)
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

haddr_t get_end_allocated(const H5FD_t* file, H5FD_mem_t) { return self(file).end_allocated; }

herr_t set_end_allocated(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  self(file).end_allocated = address;
  return 0;
}

haddr_t get_end_written(const H5FD_t* file, H5FD_mem_t) { return self(file).end_written; }

/// Bytes beyond the end read as zero. After an error nobody will use what was read.
herr_t read_bytes(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, void* buffer) {
  auto* next = static_cast<char*>(buffer);
  while (size > 0) {
    const ssize_t got = pread(self(file).info.descriptor, next, size, static_cast<off_t>(address));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    next += got;
    address += static_cast<haddr_t>(got);
    size -= static_cast<size_t>(got);
  }
  std::memset(next, 0, size);
  return 0;
}

/// Asks the kernel to start bringing these bytes to the disk while the next are prepared. A hint: fsync decides.
void start_write_back(int descriptor, haddr_t address, std::size_t size) {
  constexpr std::size_t kWorthIt = std::size_t{256} << 10;
  if (size >= kWorthIt)
    static_cast<void>(sync_file_range(descriptor, static_cast<off_t>(address), static_cast<off_t>(size),
                                      SYNC_FILE_RANGE_WRITE));
}

herr_t write_bytes(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, const void* buffer) {
  DriverFile& f = self(file);
  const auto* next = static_cast<const char*>(buffer);
  f.end_written = std::max(f.end_written, address + size);
  while (size > 0 && *f.info.error == 0) {
    const ssize_t written = write_at(f.info.descriptor, next, size, static_cast<std::int64_t>(address));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      *f.info.error = written < 0 ? errno : ENOSPC;
      break;
    }
    start_write_back(f.info.descriptor, address, static_cast<std::size_t>(written));
    next += written;
    address += static_cast<haddr_t>(written);
    size -= static_cast<size_t>(written);
  }
  return 0;
}

/// The file ends where HDF5's allocation ends: its readers take a shorter one for cut.
herr_t truncate_file(H5FD_t* file, hid_t, hbool_t) {
  DriverFile& f = self(file);
  if (*f.info.error == 0 && ftruncate(f.info.descriptor, static_cast<off_t>(f.end_allocated)) != 0)
    *f.info.error = errno;
  f.end_written = f.end_allocated;
  return 0;
}

hid_t register_driver() {
  H5FD_class_t driver{};
#ifdef H5FD_CLASS_VERSION  // HDF5 1.14 and later
  driver.version = H5FD_CLASS_VERSION;
  driver.value = static_cast<H5FD_class_value_t>(400);  // of the range for drivers that are not in HDF5's registry
#endif
  driver.name = "convoy-descriptor";
  driver.maxaddr = kMaxAddress;
  driver.fc_degree = H5F_CLOSE_WEAK;
  driver.fapl_size = sizeof(DriverInfo);
  driver.open = open_driver;
  driver.close = close_driver;
  driver.query = query;
  driver.get_eoa = get_end_allocated;
  driver.set_eoa = set_end_allocated;
  driver.get_eof = get_end_written;
  driver.read = read_bytes;
  driver.write = write_bytes;
  driver.truncate = truncate_file;
  const H5FD_mem_t map[H5FD_MEM_NTYPES] = H5FD_FLMAP_DICHOTOMY;
  std::copy(std::begin(map), std::end(map), std::begin(driver.fl_map));
  return CONVOY_HDF5(H5FDregister(&driver));  // copies the struct
}

Properties access_through(const DriverInfo& info) {
  static const hid_t driver = register_driver();
  Properties access(CONVOY_HDF5(H5Pcreate(H5P_FILE_ACCESS)));
  CONVOY_HDF5(H5Pset_driver(access.get(), driver, &info));
  CONVOY_HDF5(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_LATEST));
  return access;
}

}  // namespace

File open_descriptor(int descriptor, const std::filesystem::path& name) {
  const Properties access(CONVOY_HDF5(H5Pcreate(H5P_FILE_ACCESS)));
  CONVOY_HDF5(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_LATEST));
  CONVOY_HDF5(H5Pset_fclose_degree(access.get(), H5F_CLOSE_SEMI));
  set_reader(access.get(), descriptor);
  File file(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access.get()));
  if (!file.valid())
    throw DataError(fmt::format("{}: cannot be opened as HDF5 (not HDF5, cut short or damaged). HDF5: {}", name.string(),
                                take_error_stack()));
  return file;
}

DescriptorFile::DescriptorFile(int descriptor, const std::filesystem::path& path, Mode mode) {
  const Properties access = access_through({descriptor, &error_});
  const Properties creation(CONVOY_HDF5(H5Pcreate(H5P_FILE_CREATE)));
  // All attributes of "/" stay in its header, which is checksummed as a whole.
  CONVOY_HDF5(H5Pset_attr_phase_change(creation.get(), std::numeric_limits<std::uint16_t>::max() - 1, 0));
  CONVOY_HDF5(H5Pset_obj_track_times(creation.get(), false));
  file_ = File(mode == Mode::create ? H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get())
                                    : H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()));
  if (!file_.valid())
    throw LibraryError(fmt::format("cannot {} {}. HDF5: {}", mode == Mode::create ? "create" : "open", path.string(),
                                   take_error_stack()));
}

void DescriptorFile::close() { hdf5::close(file_); }

}  // namespace convoy::hdf5
