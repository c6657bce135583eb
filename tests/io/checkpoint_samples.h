#pragma once
// Checkpoints to test with: small, but with every field, every element type and every odd shape in them.
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "core/random/philox.h"
#include "io/checkpoint.h"

namespace convoy::test {

/// A folder of its own for each test, removed at the end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "convoy-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make " + pattern);
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// Random bytes in every element: NaNs and denormals are welcome in tensors.
inline Tensor random_tensor(const Shape& shape, DType dtype, std::uint64_t seed) {
  Tensor tensor(shape, dtype);
  const RandomKey key(seed, "test");
  for (std::size_t i = 0; i < tensor.size_bytes(); ++i) tensor.bytes()[i] = static_cast<std::byte>(key.word(i));
  return tensor;
}

inline Checkpoint sample_checkpoint(std::int64_t step = 12000, std::uint64_t seed = 1) {
  Checkpoint c;
  c.parameters["conv1/filters"] = random_tensor({6, 5, 5, 1}, DType::f32, seed);
  c.parameters["conv1/bias"] = random_tensor({6}, DType::f32, seed + 1);
  c.parameters["dense/weights"] = random_tensor({40, 20}, DType::bf16, seed + 2);
  c.parameters["scalar"] = random_tensor({}, DType::f64, seed + 3);
  c.optimizer["momentum/conv1/filters"] = random_tensor({6, 5, 5, 1}, DType::f32, seed + 4);
  c.optimizer["momentum/empty"] = Tensor(Shape{0, 3}, DType::f32);
  c.state["bn1/mean"] = random_tensor({7}, DType::f16, seed + 5);
  c.state["counters with space/\u00fcber"] = random_tensor({2, 1, 2, 1, 2, 1}, DType::u64, seed + 6);
  for (DType t : {DType::u8, DType::u16, DType::i32, DType::u32, DType::i64})
    c.averages["typed/" + std::string(name_of(t))] = random_tensor({3, 5}, t, seed + 7);
  c.step = step;
  c.updates = step - 2;
  c.loss_scale = 1024.5;
  c.loss_scale_counter = 17;
  c.ledgers = {{3, 100, 4950, 0xffffffffffffffffULL}, {4, 28, 12, 5}};
  c.best = {0.1 + 0.2, step - 1000};
  c.skipped_steps = {5, 77};
  c.run_record = {{"batch", "128"}, {"precision", "fp32"}, {"plans", "a\tb\nc\\d \"quoted\" \u00e9"}, {"empty", ""}};
  c.config = "[train]\nepochs = 5\n" + std::string(100'000, '#') + "\nend";
  c.graph_hash = "0123abcd";
  c.world_size = 3;
  c.metrics = R"({"loss": 0.25, "accuracy": 0.9})";
  c.epoch = 3.75;
  return c;
}

inline std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_content(const std::filesystem::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary) << content;
}

inline bool same_tensors(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  const auto same = [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.dtype() == y.second.dtype() && x.second.shape() == y.second.shape() &&
           std::memcmp(x.second.bytes(), y.second.bytes(), x.second.size_bytes()) == 0;
  };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), same);
}

/// Every field and every bit.
inline bool identical(const Checkpoint& a, const Checkpoint& b) {
  return same_tensors(a.parameters, b.parameters) && same_tensors(a.optimizer, b.optimizer) &&
         same_tensors(a.state, b.state) && same_tensors(a.averages, b.averages) && a.step == b.step &&
         a.updates == b.updates && a.loss_scale == b.loss_scale && a.loss_scale_counter == b.loss_scale_counter &&
         a.ledgers == b.ledgers && a.best == b.best && a.skipped_steps == b.skipped_steps &&
         a.run_record == b.run_record && a.config == b.config && a.graph_hash == b.graph_hash &&
         a.world_size == b.world_size && a.metrics == b.metrics && a.epoch == b.epoch;
}

/// The message of the exception of type E that `call` throws; a test failure if it throws none.
template <typename E, typename Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "expected an exception";
  return {};
}

}  // namespace convoy::test
