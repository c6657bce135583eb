// make_corpus DIR: writes small valid inputs of every kind, DIR/TARGET/*, with convoy's own writers where it has them.
#include <hdf5.h>
#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "io/checkpoint_samples.h"
#include "io/dataset_fixture.h"
#include "io/hdf5.h"
#include "io/import/import.h"
#include "io/jpeg.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "io/test_pictures.h"
#include "launch/config.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw Error("zlib");
  std::string out(deflateBound(&stream, bytes.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

void make_texts(const fs::path& corpus) {
  const Config config = Config::from_text("train", "[model]\nname = lenet-5\n[data]\npath = \"a # b\"\n", "corpus");
  write_bytes(corpus / "config/whole.cfg", config.text());
  write_bytes(corpus / "config/small.cfg",
              "# five epochs\nrun = lenet ; of 1998\nseed=7\n[train]\nepochs = 5\nbatch=128\n\n[optim]\nschedule = step\n"
              "milestones = 3,4\nlearning-rate = 1e-2\n[data]\npath = \"with # \\\" inside\"\nflip = yes\ncrop=28x28\r\n");
  write_bytes(corpus / "command_line/all.txt",
              "--train.epochs=5\n--data.path\ndata\n--data.flip\n--virtual-workers=8\n--optim.milestones=1,2,3\n--resume=latest");
  write_bytes(corpus / "command_line/words.txt", "data/mnist\n--format=json\n--data.path=x");
  write_bytes(corpus / "run_folder/status.json",
              "{\n  \"status\": 75,\n  \"reason\": \"stopped by a signal\",\n  \"step\": 120,\n  \"epoch\": 1.5,\n"
              "  \"checkpoint\": \"checkpoints/step-00000120.h5\",\n  \"rank\": null,\n"
              "  \"time\": \"2025-01-31T12:00:00Z\"\n}\n");
  write_bytes(corpus / "run_folder/metrics.jsonl",
              "{\"step\": 1, \"loss\": 2.5}\n{\"epoch\": 1}\n{\"step\": 3, \"loss\": [1, {\"a\": null}]}\n{\"step\": 4}\n{\"torn");
}

void make_idx(const fs::path& folder) {
  const std::string images("\0\0\x08\x03\0\0\0\x03\0\0\0\x02\0\0\0\x02" "abcdefghijkl", 28);
  const std::string labels("\0\0\x08\x01\0\0\0\x03\0\x01\x02", 11);
  const std::string floats("\0\0\x0d\x03\0\0\0\x03\0\0\0\x01\0\0\0\x01\x3f\x80\0\0\xbf\0\0\0\0\0\0\0", 28);
  write_bytes(folder / "images", images);
  write_bytes(folder / "labels", labels);
  write_bytes(folder / "floats", floats);
  write_bytes(folder / "images.gz", gzip(images));
  write_bytes(folder / "labels.gz", gzip(labels));
  write_bytes(folder / "two-members.gz", gzip(images.substr(0, 9)) + gzip(images.substr(9)));
}

void make_cifar(const fs::path& folder) {
  std::string ten, hundred;
  for (int i = 0; i < 2; ++i) {
    const std::string image(3072, static_cast<char>('a' + i));
    ten += static_cast<char>(i) + image;
    hundred += std::string(2, static_cast<char>(i)) + image;
  }
  write_bytes(folder / "ten.bin", ten);
  write_bytes(folder / "ten.bin.gz", gzip(ten));
  write_bytes(folder / "hundred.bin", hundred);
  write_bytes(folder / "names.txt", "airplane\nautomobile\nbird\ncat\ndeer\r\ndog\nfrog\nhorse\nship\ntruck\n\n");
}

void append_chunk(std::string& png, const std::string& type_and_data) {
  const auto put = [&](std::size_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) png += static_cast<char>(value >> shift & 255);
  };
  put(type_and_data.size() - 4);
  png += type_and_data;
  put(crc32(0, reinterpret_cast<const Bytef*>(type_and_data.data()), static_cast<uInt>(type_and_data.size())));
}

/// A PNG of 3 x 2 pixels of any kind, its rows not filtered.
std::string png_of(int bits, int kind, const std::string& rows, const std::string& other_chunks = "", int interlace = 0) {
  std::string png = "\x89PNG\r\n\x1a\n";
  append_chunk(png, std::string("IHDR\0\0\0\x03\0\0\0\x02", 12) + static_cast<char>(bits) + static_cast<char>(kind) +
                        std::string(2, '\0') + static_cast<char>(interlace));
  png += other_chunks;
  std::string packed(compressBound(rows.size()), '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()), rows.size());
  append_chunk(png, "IDAT" + packed.substr(0, size));
  append_chunk(png, "IEND");
  return png;
}

void make_png(const fs::path& corpus) {
  Tensor colour(Shape{7, 5, 3}, DType::u8);
  for (std::size_t i = 0; i < colour.size_bytes(); ++i) colour.bytes()[i] = std::byte(i * 5);
  write_png(corpus / "png/colour.png", colour);
  write_png(corpus / "png/gray.png", Tensor::view(colour.bytes(), Shape{7, 15}, DType::u8));
  std::string palette;
  append_chunk(palette, std::string("PLTE\0\1\2\3\4\5", 10));
  append_chunk(palette, std::string("tRNS\0\x80", 6));
  write_bytes(corpus / "png/palette.png", png_of(1, 3, std::string("\0\xa0\0\x40", 4), palette));
  write_bytes(corpus / "png/gray16.png", png_of(16, 0, std::string("\0abcdef\0ghijkl", 14)));
  write_bytes(corpus / "png/rgba.png", png_of(8, 6, std::string("\0abcdefghijkl\0mnopqrstuvwx", 26)));
  write_bytes(corpus / "png/gray-alpha.png", png_of(8, 4, std::string("\0abcdef\0ghijkl", 14)));
  write_bytes(corpus / "png/interlaced.png", png_of(8, 0, std::string("\0a\0b\0c\0d\0efg", 11), "", 1));
  for (const char* name : {"colour", "palette"})
    write_bytes(corpus / "image_folder" / name, std::string(name) + ".png\n" + bytes_of(corpus / "png" / (std::string(name) + ".png")));
}

void make_jpeg(const fs::path& corpus) {
  const std::string color = text_of_bytes(encode_jpeg(test_picture(19, 23), 80));
  write_bytes(corpus / "jpeg/color.jpg", color);
  write_bytes(corpus / "jpeg/gray.jpg", text_of_bytes(encode_jpeg(test_picture(9, 33, 1), 60)));
  write_bytes(corpus / "jpeg/turned.jpg", with_orientation(color, 6));
  write_bytes(corpus / "image_folder/photo", "photo.jpg\n" + color);
}

/// Pictures as they lie in an encoded data set.
void make_encoded_shard(const fs::path& corpus) {
  const TemporaryFolder source, output;
  fs::create_directory(source.path() / "cat");
  for (int i = 0; i < 4; ++i)
    write_bytes(source.path() / "cat" / std::to_string(i), text_of_bytes(encode_jpeg(test_picture(8 + i, 11, 3, i), 70)));
  ImportOptions options;
  options.source = source.path();
  options.output = output.path();
  options.shards = 1;
  import_image_folder(options);
  fs::copy_file(output.path() / "train-00000-of-00001.h5", corpus / "shard/jpeg.h5");
}

void make_shards(const fs::path& corpus) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 11, 1, Shape{3, 2, 1});
  fs::copy_file(folder.path() / "train-00000-of-00001.h5", corpus / "shard/u8.h5");
  ShardWriter writer(folder.path(), {.split = Split::train, .sample = Shape{2, 2, 2, 3}, .dtype = DType::f32, .samples = 4,
                                     .shards = 1, .class_names = {"cat", "dog"}, .source = "the corpus"});
  const std::vector<float> image(24, 0.5f);
  for (int i = 0; i < 4; ++i) writer.add(reinterpret_cast<const std::byte*>(image.data()), i % 2, "corpus");
  writer.seal(writer.channel_mean(), writer.channel_std());
  writer.commit();
  fs::copy_file(folder.path() / "train-00000-of-00001.h5", corpus / "shard/f32.h5");
}

void make_foreign(const fs::path& file, H5F_libver_t oldest, bool packed, hid_t type) {
  const hdf5::Properties access(CONVOY_HDF5(H5Pcreate(H5P_FILE_ACCESS)));
  CONVOY_HDF5(H5Pset_libver_bounds(access.get(), oldest, H5F_LIBVER_LATEST));
  const hdf5::File opened(CONVOY_HDF5(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get())));
  const hsize_t extents[] = {9, 4, 3}, chunk[] = {2, 4, 3}, label_extent[] = {9};
  const hdf5::Space space(CONVOY_HDF5(H5Screate_simple(3, extents, nullptr)));
  const hdf5::Space label_space(CONVOY_HDF5(H5Screate_simple(1, label_extent, nullptr)));
  const hdf5::Properties creation(CONVOY_HDF5(H5Pcreate(H5P_DATASET_CREATE)));
  if (packed) {
    CONVOY_HDF5(H5Pset_chunk(creation.get(), 3, chunk));
    CONVOY_HDF5(H5Pset_shuffle(creation.get()));
    CONVOY_HDF5(H5Pset_deflate(creation.get(), 6));
    CONVOY_HDF5(H5Pset_fletcher32(creation.get()));
  }
  const hdf5::Dataset images(
      CONVOY_HDF5(H5Dcreate2(opened.get(), "x", type, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT)));
  const hdf5::Dataset labels(CONVOY_HDF5(
      H5Dcreate2(opened.get(), "y", H5T_STD_I64LE, label_space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)));
  std::vector<std::uint8_t> pixels(9 * 12), classes(9);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 2);
  for (std::size_t i = 0; i < classes.size(); ++i) classes[i] = static_cast<std::uint8_t>(i % 3);
  CONVOY_HDF5(H5Dwrite(images.get(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, pixels.data()));
  CONVOY_HDF5(H5Dwrite(labels.get(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, classes.data()));
}

void make_checkpoints(const fs::path& folder) {
  Checkpoint checkpoint = test::sample_checkpoint(7);
  checkpoint.config = "[train]\nepochs = 5\n";
  write_checkpoint(folder / "every-type.h5", checkpoint);
  Checkpoint tiny;
  tiny.step = 7;
  tiny.parameters["w"] = test::random_tensor({3}, DType::f32, 1);
  write_checkpoint(folder / "tiny.h5", tiny);
}

void make_all(const fs::path& corpus) {
  fs::remove_all(corpus);
  for (const char* target : {"config", "command_line", "run_folder", "idx", "cifar", "png", "jpeg", "image_folder", "shard", "foreign",
                             "checkpoint", "safetensors"})
    fs::create_directories(corpus / target);
  make_texts(corpus);
  make_idx(corpus / "idx");
  make_cifar(corpus / "cifar");
  make_png(corpus);
  make_jpeg(corpus);
  make_shards(corpus);
  make_encoded_shard(corpus);
  make_foreign(corpus / "foreign/h5py.h5", H5F_LIBVER_EARLIEST, false, H5T_STD_U8LE);  // as h5py writes by default
  make_foreign(corpus / "foreign/packed.h5", H5F_LIBVER_EARLIEST, true, H5T_STD_U16BE);
  make_foreign(corpus / "foreign/latest.h5", H5F_LIBVER_LATEST, true, H5T_IEEE_F32LE);
  make_checkpoints(corpus / "checkpoint");
  Safetensors content{{{"w", test::random_tensor({2, 3}, DType::f32, 1)}, {"n", test::random_tensor({}, DType::i64, 2)}},
                      {{"format", "pt"}}};
  write_safetensors(corpus / "safetensors/two", content);
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIR\n", argv[0]);
    return 2;
  }
  try {
    convoy::make_all(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_corpus: %s\n", error.what());
    return 1;
  }
  return 0;
}
