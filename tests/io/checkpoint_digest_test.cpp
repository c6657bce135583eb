#include <cmath>
#include <functional>

#include "core/random/sha256.h"
#include "io/checkpoint.h"
#include "io/checkpoint_samples.h"

namespace convoy {
namespace {

using test::sample_checkpoint;

// The lines are written out here by hand from the documentation of digest_of, apart from the code that makes them.
TEST(Digest, IsTheHashOfTheDocumentedLines) {
  Checkpoint c;
  c.parameters["w"] = Tensor(Shape{2, 1}, DType::f32);
  c.parameters["w"].values<float>()[0] = 1;
  c.state["s"] = Tensor(Shape{}, DType::u8);
  c.step = 12;
  c.updates = 11;
  c.best = {0.5, 10};
  c.ledgers = {{1, 2, 3, 4}};
  c.skipped_steps = {7};
  c.run_record["plan"] = "a\tb";
  const std::string lines =
      "@best\t3fe0000000000000\t10\n"
      "@ledger\t0\t1\t2\t3\t4\n"
      "@loss_scale\t3ff0000000000000\n"
      "@loss_scale_counter\t0\n"
      "@run_record\tplan\ta\\tb\n"
      "@skipped\t0\t7\n"
      "@step\t12\n"
      "@updates\t11\n"
      "parameters/w\tfloat32\t[2, 1]\t" + hex(sha256(std::string_view("\0\0\x80\x3f\0\0\0\0", 8))) + "\n" +
      "state/s\tuint8\t[]\t" + hex(sha256(std::string_view("\0", 1))) + "\n";
  EXPECT_EQ(digest_of(c), hex(sha256(lines)));
}

TEST(Digest, SurvivesSavingAndLoading) {
  const test::ScratchFolder folder;
  write_checkpoint(folder / "a.h5", sample_checkpoint());
  EXPECT_EQ(digest_of(read_checkpoint(folder / "a.h5")), digest_of(sample_checkpoint()));
}

TEST(Digest, DoesNotDependOnTheOrderOfInsertion) {
  const Checkpoint forward = sample_checkpoint();
  Checkpoint backward = forward;
  backward.parameters.clear();
  backward.run_record.clear();
  for (auto it = forward.parameters.rbegin(); it != forward.parameters.rend(); ++it) backward.parameters.insert(*it);
  for (auto it = forward.run_record.rbegin(); it != forward.run_record.rend(); ++it) backward.run_record.insert(*it);
  EXPECT_EQ(digest_of(forward), digest_of(backward));
}

TEST(Digest, DoesNotDependOnWorldSizeConfigMetricsEpochOrGraph) {
  Checkpoint other = sample_checkpoint();
  other.world_size = 64;
  other.config = "else";
  other.metrics = "";
  other.epoch = 9;
  other.graph_hash = "ffff";
  EXPECT_EQ(digest_of(other), digest_of(sample_checkpoint()));
}

TEST(Digest, ChangesWithEveryBitOfEveryTensor) {
  Checkpoint c = sample_checkpoint();
  const std::string before = digest_of(c);
  std::size_t bits = 0;
  for (auto tensors : {&Checkpoint::parameters, &Checkpoint::optimizer, &Checkpoint::state, &Checkpoint::averages})
    for (auto& [name, tensor] : c.*tensors)
      for (std::size_t bit = 0; bit < 8 * tensor.size_bytes(); bit += 1 + tensor.size_bytes() / 16, ++bits) {
        const std::byte mask{static_cast<unsigned char>(1u << bit % 8)};
        tensor.bytes()[bit / 8] ^= mask;
        ASSERT_NE(digest_of(c), before) << name << " bit " << bit;
        tensor.bytes()[bit / 8] ^= mask;
      }
  EXPECT_GT(bits, 500u);
  EXPECT_EQ(digest_of(c), before);
}

TEST(Digest, ChangesWithEveryStateAttribute) {
  const std::string before = digest_of(sample_checkpoint());
  const std::vector<std::function<void(Checkpoint&)>> changes{
      [](Checkpoint& c) { c.step += 1; },
      [](Checkpoint& c) { c.updates += 1; },
      [](Checkpoint& c) { c.loss_scale *= 2; },
      [](Checkpoint& c) { c.loss_scale = std::nextafter(c.loss_scale, 0); },
      [](Checkpoint& c) { c.loss_scale_counter += 1; },
      [](Checkpoint& c) { c.ledgers[1].epoch += 1; },
      [](Checkpoint& c) { c.ledgers[1].count += 1; },
      [](Checkpoint& c) { c.ledgers[1].sum += 1; },
      [](Checkpoint& c) { c.ledgers[1].exclusive_or += 1; },
      [](Checkpoint& c) { c.ledgers.pop_back(); },
      [](Checkpoint& c) { c.best->first = 0.3; },
      [](Checkpoint& c) { c.best->second += 1; },
      [](Checkpoint& c) { c.best.reset(); },
      [](Checkpoint& c) { c.skipped_steps[0] += 1; },
      [](Checkpoint& c) { c.skipped_steps.push_back(99); },
      [](Checkpoint& c) { std::swap(c.skipped_steps[0], c.skipped_steps[1]); },
      [](Checkpoint& c) { c.run_record["batch"] = "129"; },
      [](Checkpoint& c) { c.run_record["new"] = ""; },
      [](Checkpoint& c) { c.run_record.erase("empty"); }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Checkpoint changed = sample_checkpoint();
    changes[i](changed);
    EXPECT_NE(digest_of(changed), before) << "change " << i;
  }
}

TEST(Digest, ChangesWithNamesShapesAndTypes) {
  const std::string before = digest_of(sample_checkpoint());
  const std::vector<std::function<void(Checkpoint&)>> changes{
      [](Checkpoint& c) { c.parameters["conv1/filters"] = c.parameters["conv1/filters"].reshaped({6, 25}); },
      [](Checkpoint& c) {
        Tensor& bias = c.parameters["conv1/bias"];  // the same bytes under another type
        Tensor other(bias.shape(), DType::u32);
        std::memcpy(other.bytes(), bias.bytes(), other.size_bytes());
        bias = other;
      },
      [](Checkpoint& c) { std::swap(c.parameters["conv1/bias"], c.parameters["scalar"]); },
      [](Checkpoint& c) { std::swap(c.state, c.averages); },
      [](Checkpoint& c) { c.optimizer.erase("momentum/empty"); }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Checkpoint changed = sample_checkpoint();
    changes[i](changed);
    EXPECT_NE(digest_of(changed), before) << "change " << i;
  }
}

}  // namespace
}  // namespace convoy
