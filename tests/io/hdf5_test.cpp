#include "io/hdf5.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <numeric>
#include <thread>

#include "core/tensor/error.h"
#include "io/temporary_folder.h"

namespace convoy {
namespace {

Tensor counting(Shape shape) {
  Tensor tensor(shape, DType::f32);
  auto values = tensor.values<float>();
  std::iota(values.begin(), values.end(), 1.0f);
  return tensor;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Hdf5, DatasetsAndAttributesComeBackAsWritten) {
  const TemporaryFolder folder;
  const std::vector<std::string> names{"T-shirt/top", "", "naïve"};
  const std::vector<double> means{1.5, -2};
  {
    hdf5::File file = hdf5::create_file(folder.path() / "a.h5");
    hdf5::write_dataset(file.get(), "/parameters/conv1/filters", counting({2, 3}));
    hdf5::write_text(file.get(), "format", "a test");
    hdf5::write_text(file.get(), "empty", "");
    hdf5::write_texts(file.get(), "class_names", names);
    hdf5::write_texts(file.get(), "none", {});
    hdf5::write_number<std::int64_t>(file.get(), "step", -5);
    hdf5::write_number<std::uint64_t>(file.get(), "sum", ~std::uint64_t{0});
    hdf5::write_numbers<double>(file.get(), "means", means);
    hdf5::close(file);
  }
  const hdf5::File file = hdf5::open_file(folder.path() / "a.h5");
  const Tensor back = hdf5::read_dataset(file.get(), "/parameters/conv1/filters");
  EXPECT_EQ(back.shape(), (Shape{2, 3}));
  EXPECT_EQ(back.values<float>()[5], 6.0f);
  EXPECT_EQ(hdf5::read_text(file.get(), "format"), "a test");
  EXPECT_EQ(hdf5::read_text(file.get(), "empty"), "");
  EXPECT_EQ(hdf5::read_texts(file.get(), "class_names"), names);
  EXPECT_TRUE(hdf5::read_texts(file.get(), "none").empty());
  EXPECT_EQ(hdf5::read_number<std::int64_t>(file.get(), "step"), -5);
  EXPECT_EQ(hdf5::read_number<std::uint64_t>(file.get(), "sum"), ~std::uint64_t{0});
  EXPECT_EQ(hdf5::read_numbers<double>(file.get(), "means"), means);
  EXPECT_EQ(hdf5::members(file.get()), std::vector<std::string>{"parameters"});
  EXPECT_TRUE(hdf5::exists(file.get(), "/parameters/conv1/filters"));
  EXPECT_FALSE(hdf5::exists(file.get(), "/parameters/conv2/filters"));
}

TEST(Hdf5, AttributesOfAnySizeAndNumberAreStored) {
  const TemporaryFolder folder;
  const std::string large(300'000, 'x'), middle(30'000, 'y');
  {
    hdf5::File file = hdf5::create_file(folder.path() / "a.h5");
    for (int i = 0; i < 40; ++i) hdf5::write_text(file.get(), "a" + std::to_string(i), middle);
    hdf5::write_text(file.get(), "large", large);
    hdf5::close(file);
  }
  const hdf5::File file = hdf5::open_file(folder.path() / "a.h5");
  EXPECT_EQ(hdf5::read_text(file.get(), "large"), large);
  EXPECT_EQ(hdf5::read_text(file.get(), "a39"), middle);
  EXPECT_EQ(hdf5::attribute_names(file.get()).size(), 41u);
}

TEST(Hdf5, AFlippedBitInADatasetIsNamed) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.h5";
  std::int64_t offset = 0;
  {
    hdf5::File file = hdf5::create_file(path);
    hdf5::write_dataset(file.get(), "/x", counting({100}));
    offset = static_cast<std::int64_t>(H5Dget_offset(hdf5::open_dataset(file.get(), "/x").get()));
    hdf5::close(file);
  }
  flip_bit(path, offset + 41, 3);
  const hdf5::File file = hdf5::open_file(path);
  const std::string message = message_of([&] { hdf5::read_dataset(file.get(), "/x"); });
  EXPECT_NE(message.find("a.h5, /x: the content is damaged"), std::string::npos) << message;
}

TEST(Hdf5, WritingTwiceGivesTheSameBytes) {
  const TemporaryFolder folder;
  for (const char* name : {"a.h5", "b.h5"}) {
    hdf5::File file = hdf5::create_file(folder.path() / name);
    hdf5::write_dataset(file.get(), "/x/y", counting({10}));
    hdf5::write_text(file.get(), "format", "a test");
    hdf5::close(file);
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // the clock's second is not among the bytes
  }
  EXPECT_TRUE(bytes_of(folder.path() / "a.h5") == bytes_of(folder.path() / "b.h5"));
}

TEST(Hdf5, MissingAndForeignFilesAreDataErrors) {
  const TemporaryFolder folder;
  EXPECT_THROW(hdf5::open_file(folder.path() / "none.h5"), DataError);
  std::ofstream(folder.path() / "text.h5") << "not HDF5 at all";
  const std::string message = message_of([&] { hdf5::open_file(folder.path() / "text.h5"); });
  EXPECT_NE(message.find("text.h5"), std::string::npos) << message;
  EXPECT_NE(message.find("H5Fopen"), std::string::npos) << message;
}

TEST(Hdf5, MissingNamesAndWrongKindsAreDataErrors) {
  const TemporaryFolder folder;
  {
    hdf5::File file = hdf5::create_file(folder.path() / "a.h5");
    hdf5::write_text(file.get(), "format", "a test");
    hdf5::write_numbers<double>(file.get(), "means", std::vector<double>{1, 2});
    hdf5::close(file);
  }
  const hdf5::File file = hdf5::open_file(folder.path() / "a.h5");
  EXPECT_THROW(hdf5::read_number<std::int64_t>(file.get(), "format"), DataError);
  EXPECT_THROW(hdf5::read_number<double>(file.get(), "means"), DataError);
  EXPECT_THROW(hdf5::read_text(file.get(), "means"), DataError);
  EXPECT_THROW(hdf5::read_text(file.get(), "none"), DataError);
  EXPECT_THROW(hdf5::read_dataset(file.get(), "/none"), DataError);
}

TEST(Hdf5, AFailedCallCarriesItsTextAndHdf5sWords) {
  const std::string message = message_of([] { CONVOY_HDF5(H5Dopen2(-1, "x", H5P_DEFAULT)); });
  EXPECT_NE(message.find("H5Dopen2(-1, \"x\""), std::string::npos) << message;
  EXPECT_NE(message.find("hdf5_test.cpp"), std::string::npos) << message;
}

}  // namespace
}  // namespace convoy
