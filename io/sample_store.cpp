#include "io/sample_store.h"

#include <fmt/format.h>

#include <array>
#include <mutex>
#include <optional>
#include <vector>

#include "core/tensor/error.h"
#include "io/files.h"

namespace convoy {
namespace {

/// Where rows lie: row r starts at offsets[r / rows_per_piece] + (r % rows_per_piece) row_bytes.
struct Placement {
  std::int64_t rows_per_piece = 1;
  std::vector<std::int64_t> offsets;
};

class PreadStore : public SampleStore {
 public:
  PreadStore(const std::filesystem::path& path, std::size_t row_bytes, Placement placement)
      : file_(open_for_reading(path)), row_bytes_(row_bytes), placement_(std::move(placement)) {}

  bool read(std::int64_t row, std::byte* out, std::string& why) const override {
    std::int64_t offset = placement_.offsets[0];
    if (placement_.offsets.size() == 1) {
      offset += row * static_cast<std::int64_t>(row_bytes_);
    } else {
      const std::int64_t piece = row / placement_.rows_per_piece;
      offset = placement_.offsets[static_cast<std::size_t>(piece)] +
               row % placement_.rows_per_piece * static_cast<std::int64_t>(row_bytes_);
    }
    return read_exactly(file_.get(), out, row_bytes_, offset, why);
  }
  std::size_t size_bytes(std::int64_t) const override { return row_bytes_; }
  bool uses_hdf5() const override { return false; }

 private:
  FileDescriptor file_;
  std::size_t row_bytes_;
  Placement placement_;
};

class Hdf5Store : public SampleStore {
 public:
  Hdf5Store(hdf5::Dataset dataset, const Shape& shape, DType dtype)
      : dataset_(std::move(dataset)), row_(shape.with(0, 1)), dtype_(dtype) {}

  bool read(std::int64_t row, std::byte* out, std::string& why) const override {
    Tensor view = Tensor::view(out, row_, dtype_);
    // One lock for all files: HDF5 takes one of its own inside each call, and threads that queue there gain nothing.
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    try {
      hdf5::read_rows(dataset_, row, view);
    } catch (const Error& error) {
      why = error.what();
      return false;
    }
    return true;
  }
  std::size_t size_bytes(std::int64_t) const override { return static_cast<std::size_t>(row_.elements()) * size_of(dtype_); }
  bool uses_hdf5() const override { return true; }

 private:
  hdf5::Dataset dataset_;
  Shape row_;
  DType dtype_;
};

class EncodedStore : public SampleStore {
 public:
  EncodedStore(const std::filesystem::path& path, std::int64_t start, std::vector<std::uint64_t> offsets)
      : file_(open_for_reading(path)), start_(start), offsets_(std::move(offsets)) {}

  bool read(std::int64_t row, std::byte* out, std::string& why) const override {
    const auto first = static_cast<std::int64_t>(offsets_[static_cast<std::size_t>(row)]);
    return read_exactly(file_.get(), out, size_bytes(row), start_ + first, why);
  }
  std::size_t size_bytes(std::int64_t row) const override {
    const auto r = static_cast<std::size_t>(row);
    return offsets_[r + 1] - offsets_[r];
  }
  bool uses_hdf5() const override { return false; }

 private:
  FileDescriptor file_;
  std::int64_t start_;
  std::vector<std::uint64_t> offsets_;
};

/// Chunks must hold whole rows and pass no filter; every chunk must exist.
std::optional<Placement> place_chunks(const hdf5::Dataset& dataset, hid_t creation, const Shape& shape) {
  std::array<hsize_t, H5S_MAX_RANK> chunk{}, coordinate{};
  if (CONVOY_HDF5(H5Pget_chunk(creation, static_cast<int>(chunk.size()), chunk.data())) != shape.rank()) return std::nullopt;
  for (int axis = 1; axis < shape.rank(); ++axis)
    if (chunk[static_cast<std::size_t>(axis)] != static_cast<hsize_t>(shape[axis])) return std::nullopt;
  Placement placement{.rows_per_piece = static_cast<std::int64_t>(chunk[0]), .offsets = {}};
  for (std::int64_t row = 0; row < shape[0]; row += placement.rows_per_piece) {
    coordinate[0] = static_cast<hsize_t>(row);
    unsigned filters = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    CONVOY_HDF5(H5Dget_chunk_info_by_coord(dataset.get(), coordinate.data(), &filters, &address, &size));
    if (address == HADDR_UNDEF) return std::nullopt;
    placement.offsets.push_back(static_cast<std::int64_t>(address));
  }
  return placement;
}

std::optional<Placement> find_placement(const hdf5::Dataset& dataset, const Shape& shape, DType dtype) {
  const hdf5::Type stored(CONVOY_HDF5(H5Dget_type(dataset.get())));
  if (H5Tequal(stored.get(), hdf5::stored_type(dtype)) <= 0) return std::nullopt;  // other byte order or padding
  const hdf5::Properties creation(CONVOY_HDF5(H5Dget_create_plist(dataset.get())));
  if (CONVOY_HDF5(H5Pget_nfilters(creation.get())) > 0 || H5Pget_external_count(creation.get()) > 0) return std::nullopt;
  const H5D_layout_t layout = H5Pget_layout(creation.get());
  if (layout == H5D_CHUNKED) return place_chunks(dataset, creation.get(), shape);
  if (layout != H5D_CONTIGUOUS) return std::nullopt;
  const haddr_t address = H5Dget_offset(dataset.get());
  if (address == HADDR_UNDEF) return std::nullopt;
  return Placement{.rows_per_piece = 1, .offsets = {static_cast<std::int64_t>(address)}};
}

}  // namespace

std::unique_ptr<SampleStore> open_store(const std::filesystem::path& path, hdf5::Dataset dataset, DType dtype) {
  const Shape shape = hdf5::shape_of(dataset);
  auto placement = find_placement(dataset, shape, dtype);
  if (!placement || placement->offsets.empty()) return std::make_unique<Hdf5Store>(std::move(dataset), shape, dtype);
  // A single chunk is a single piece, as contiguous storage is.
  const auto row_bytes = static_cast<std::size_t>(shape.elements(1, shape.rank())) * size_of(dtype);
  return std::make_unique<PreadStore>(path, row_bytes, std::move(*placement));
}

std::unique_ptr<SampleStore> open_encoded_store(const std::filesystem::path& path, const hdf5::Dataset& image_bytes,
                                                std::vector<std::uint64_t> offsets) {
  const auto fail = [&](const std::string& what) {
    throw DataError(fmt::format("{}: {}. Import it again", hdf5::where(image_bytes.get()), what));
  };
  const Shape shape = hdf5::shape_of(image_bytes);
  const auto placement = find_placement(image_bytes, shape, DType::u8);
  if (shape.rank() != 1 || !placement || placement->offsets.size() != 1)
    fail("expected contiguous uint8 of one axis; another program has rewritten this file");
  if (offsets.front() != 0 || offsets.back() != static_cast<std::uint64_t>(shape[0]))
    fail(fmt::format("image_offsets go from {} to {}, but there are {} bytes", offsets.front(), offsets.back(), shape[0]));
  for (std::size_t i = 1; i < offsets.size(); ++i)
    if (offsets[i] <= offsets[i - 1])
      fail(fmt::format("sample {} ends at {} but begins at {} (image_offsets)", i - 1, offsets[i], offsets[i - 1]));
  return std::make_unique<EncodedStore>(path, placement->offsets[0], std::move(offsets));
}

}  // namespace convoy
