#include "io/safetensors.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "core/tensor/error.h"
#include "io/checkpoint_samples.h"

namespace convoy {
namespace {

using test::ScratchFolder;

std::string file_of(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + data;
}

Safetensors content() {
  Safetensors content;
  for (DType type : {DType::u8, DType::u16, DType::i32, DType::u32, DType::i64, DType::u64, DType::f32, DType::f64, DType::bf16, DType::f16})
    content.tensors[std::string(name_of(type))] = test::random_tensor({2, 3}, type, 5);
  content.tensors["scalar"] = test::random_tensor({}, DType::i64, 1);
  content.tensors["nothing"] = Tensor(Shape{0, 4}, DType::f32);
  content.metadata = {{"format", "pt"}, {"with \"quotes\"", "and\nlines"}};
  return content;
}

TEST(Safetensors, SaveThenLoadIsIdentity) {
  const ScratchFolder scratch;
  const Safetensors saved = content();
  write_safetensors(scratch / "a", saved);
  const Safetensors loaded = read_safetensors(scratch / "a");
  EXPECT_EQ(loaded.metadata, saved.metadata);
  ASSERT_EQ(loaded.tensors.size(), saved.tensors.size());
  for (const auto& [name, tensor] : saved.tensors) {
    const Tensor& found = loaded.tensors.at(name);
    EXPECT_EQ(found.shape(), tensor.shape()) << name;
    EXPECT_EQ(found.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(std::memcmp(found.bytes(), tensor.bytes(), tensor.size_bytes()), 0) << name;
  }
}

TEST(Safetensors, ReadsWhatTheFormatsPageShows) {
  const ScratchFolder scratch;
  const float values[]{1, 2};
  test::write_content(scratch / "a", file_of(R"({"x":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}  )",
                                             std::string(reinterpret_cast<const char*>(values), 8)));
  EXPECT_EQ(read_safetensors(scratch / "a").tensors.at("x").values<float>()[1], 2);
}

TEST(Safetensors, HostileFilesAreBadDataInOneSentence) {
  const ScratchFolder scratch;
  const auto entry = [](const std::string& name, const std::string& shape, const std::string& offsets, const std::string& type = "U8") {
    return "\"" + name + R"(":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  const std::string data(8, 'x'), whole = entry("a", "[8]", "[0,8]");
  struct Case {
    std::string bytes, says;
  };
  const Case cases[]{
      {"", "0 bytes"},
      {"1234567", "7 bytes"},
      {std::string(8, '\xff') + data, "the header's length is 18446744073709551615"},
      {std::string("\x09\0\0\0\0\0\0\0", 8) + data, "the header's length is 9"},
      {file_of("{" + whole, data), "no JSON"},
      {file_of("[1]", ""), "no JSON object"},
      {file_of("{\"a\":" + std::string(200, '['), data), "nested too deep"},
      {file_of("{" + whole + "," + whole + "}", data), "\"a\" stands twice"},
      {file_of(R"({"a":{"dtype":"U8","dtype":"U8","shape":[8],"data_offsets":[0,8]}})", data), "\"dtype\" stands twice"},
      {file_of(R"({"a":{"dtype":"U8","shape":[8]}})", data), "other fields"},
      {file_of(R"({"a":7})", data), "other fields"},
      {file_of("{" + entry("a", "[8]", "[0,8]", "F8_E4M3") + "}", data), "F8_E4M3"},
      {file_of("{" + entry("a", "[-8]", "[0,8]") + "}", data), "negative"},
      {file_of("{" + entry("a", "[8.0]", "[0,8]") + "}", data), "not whole"},
      {file_of("{" + entry("a", "[18446744073709551615]", "[0,8]") + "}", data), "an extent of 18446744073709551615"},
      {file_of("{" + entry("a", "[4294967296,4294967296]", "[0,8]") + "}", data), "more elements"},
      {file_of("{" + entry("a", "[4611686018427387905]", "[0,4]", "F32") + "}", data), "has another size"},
      {file_of("{" + entry("a", "[1,1,1,1,1,1,8]", "[0,8]") + "}", data), "7 axes"},
      {file_of("{" + entry("a", "[8]", "[8,0]") + "}", data), "has another size"},
      {file_of("{" + entry("a", "[8]", "[0,9]") + "}", data), "has another size"},
      {file_of("{" + entry("a", "[8]", "[0]") + "}", data), "no two numbers"},
      {file_of("{" + entry("a", "[4]", "[4,8]") + "}", data), "begins at byte 4 of the data, where 0 was due"},
      {file_of("{" + entry("a", "[5]", "[0,5]") + "," + entry("b", "[4]", "[4,8]") + "}", data), "begins at byte 4 of the data, where 5"},
      {file_of("{" + entry("a", "[4]", "[0,4]") + "}", data), "take 4 bytes, but the file holds 8"},
      {file_of("{" + entry("a", "[9]", "[0,9]") + "}", data), "take 9 bytes, but the file holds 8"},
      {file_of(R"({"__metadata__":{"a":1},)" + whole + "}", data), "no text"},
      {file_of(R"({"__metadata__":3,)" + whole + "}", data), "no object"},
  };
  for (const Case& hostile : cases) {
    test::write_content(scratch / "a", hostile.bytes);
    try {
      read_safetensors(scratch / "a");
      ADD_FAILURE() << "was read, expected: " << hostile.says;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(hostile.says), std::string::npos) << error.what();
      EXPECT_LT(std::string(error.what()).size(), 400u) << error.what();
    }
  }
  EXPECT_THROW(read_safetensors(scratch / "absent"), DataError);
}

TEST(Safetensors, RefusesNamesThatTheFormatCannotHold) {
  const ScratchFolder scratch;
  Safetensors bad;
  bad.tensors["\xff"] = Tensor(Shape{1}, DType::f32);
  EXPECT_THROW(write_safetensors(scratch / "a", bad), UsageError);
  Safetensors reserved;
  reserved.tensors["__metadata__"] = Tensor(Shape{1}, DType::f32);
  EXPECT_THROW(write_safetensors(scratch / "a", reserved), UsageError);
  EXPECT_FALSE(std::filesystem::exists(scratch / "a"));
}

constexpr char kPython[] = R"py(
import sys
from safetensors import safe_open
with safe_open(sys.argv[1], "np") as f:
    assert f.metadata()["with \"quotes\""] == "and\nlines"
    assert sorted(f.keys()) == ["float32", "int64", "nothing", "scalar"], list(f.keys())
    assert f.get_tensor("float32").tobytes().hex() == sys.argv[2]
    assert f.get_tensor("scalar").shape == () and f.get_tensor("nothing").shape == (0, 4)
)py";

TEST(Safetensors, IsReadableWithTheFormatsLibrary) {
  const std::string python = CONVOY_PEER_PYTHON;
  if (access(python.c_str(), X_OK) != 0 || std::system(("'" + python + "' -c 'import safetensors, numpy' 2>/dev/null").c_str()) != 0)
    GTEST_SKIP() << python << " with safetensors (PyPI: safetensors, numpy) is not installed";
  const ScratchFolder scratch;
  Safetensors saved = content();
  std::erase_if(saved.tensors, [](const auto& entry) {
    return entry.first != "float32" && entry.first != "int64" && entry.first != "scalar" && entry.first != "nothing";
  });
  write_safetensors(scratch / "a", saved);
  test::write_content(scratch / "read.py", kPython);
  std::string bytes;
  for (std::size_t i = 0; i < 24; ++i) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(saved.tensors.at("float32").bytes()[i]));
    bytes += digits;
  }
  const std::string command = "'" + python + "' '" + (scratch / "read.py").string() + "' '" + (scratch / "a").string() + "' " + bytes;
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace convoy
