#include "io/hdf5_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>

#include "io/hdf5.h"

namespace convoy::hdf5 {
namespace {

constexpr haddr_t kMaxAddress = static_cast<haddr_t>(std::numeric_limits<off_t>::max());

/// HDF5's part comes first, so that a pointer to it is a pointer to the whole (as in every driver of HDF5 itself).
struct ReaderFile {
  H5FD_t hdf5;
  int descriptor;
  haddr_t end_allocated, end;
};

ReaderFile& self(H5FD_t* file) { return *reinterpret_cast<ReaderFile*>(file); }
const ReaderFile& self(const H5FD_t* file) { return *reinterpret_cast<const ReaderFile*>(file); }

/// Leaves words on HDF5's error stack.
void explain(hid_t kind, const char* words) {
  static_cast<void>(H5Epush2(H5E_DEFAULT, __FILE__, "convoy", __LINE__, H5E_ERR_CLS, H5E_IO, kind, "%s", words));
}

H5FD_t* open_reader(const char* name, unsigned flags, hid_t access, haddr_t) {
  if ((flags & (H5F_ACC_RDWR | H5F_ACC_TRUNC | H5F_ACC_CREAT)) != 0) return nullptr;
  const auto* given = static_cast<const int*>(H5Pget_driver_info(access));
  const int descriptor = given != nullptr && *given >= 0
                             ? ::fcntl(*given, F_DUPFD_CLOEXEC, 0)
                             : ::open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not make us wait for its writer
  struct stat status {};
  if (descriptor < 0 || ::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    explain(H5E_CANTOPENFILE, descriptor < 0 ? std::strerror(errno) : "not a regular file");
    if (descriptor >= 0) ::close(descriptor);
    return nullptr;
  }
  auto* file = new (std::nothrow) ReaderFile{};
  if (file == nullptr) {
    ::close(descriptor);
    return nullptr;
  }
  file->descriptor = descriptor;
  file->end = static_cast<haddr_t>(status.st_size);
  return &file->hdf5;
}

herr_t close_reader(H5FD_t* file) {
  ::close(self(file).descriptor);
  delete &self(file);
  return 0;
}

herr_t query(const H5FD_t*, unsigned long* flags) {
  if (flags != nullptr) *flags = H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

haddr_t get_end_allocated(const H5FD_t* file, H5FD_mem_t) { return self(file).end_allocated; }
herr_t set_end_allocated(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  self(file).end_allocated = address;
  return 0;
}
haddr_t get_end(const H5FD_t* file, H5FD_mem_t) { return self(file).end; }

herr_t read_bytes(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t size, void* buffer) {
  const ReaderFile& f = self(file);
  if (address > f.end || size > f.end - address) {
    explain(H5E_READERROR, "it points beyond the end of the file");
    return -1;
  }
  for (auto* next = static_cast<char*>(buffer); size > 0;) {
    const ssize_t got = pread(f.descriptor, next, size, static_cast<off_t>(address));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      explain(H5E_READERROR, got < 0 ? std::strerror(errno) : "the file became shorter");
      return -1;
    }
    next += got;
    address += static_cast<haddr_t>(got);
    size -= static_cast<size_t>(got);
  }
  return 0;
}

herr_t write_bytes(H5FD_t*, H5FD_mem_t, hid_t, haddr_t, size_t, const void*) { return -1; }

hid_t register_driver() {
  H5FD_class_t driver{};
#ifdef H5FD_CLASS_VERSION  // HDF5 1.14 and later
  driver.version = H5FD_CLASS_VERSION;
  driver.value = static_cast<H5FD_class_value_t>(401);  // of the range for drivers that are not in HDF5's registry
#endif
  static_cast<void>(H5PLset_loading_state(0));  // a file must not choose code to load
  driver.name = "convoy-reader";
  driver.maxaddr = kMaxAddress;
  driver.fc_degree = H5F_CLOSE_SEMI;
  driver.fapl_size = sizeof(int);  // a descriptor, which HDF5 copies as bytes
  driver.open = open_reader;
  driver.close = close_reader;
  driver.query = query;
  driver.get_eoa = get_end_allocated;
  driver.set_eoa = set_end_allocated;
  driver.get_eof = get_end;
  driver.read = read_bytes;
  driver.write = write_bytes;
  const H5FD_mem_t map[H5FD_MEM_NTYPES] = H5FD_FLMAP_DICHOTOMY;
  std::copy(std::begin(map), std::end(map), std::begin(driver.fl_map));
  return CONVOY_HDF5(H5FDregister(&driver));  // copies the struct
}

}  // namespace

void set_reader(hid_t access, int descriptor) {
  static const hid_t driver = register_driver();
  CONVOY_HDF5(H5Pset_driver(access, driver, &descriptor));
}

}  // namespace convoy::hdf5
