// The CUDA device, emulated: its memory, order, captures and sums.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "support/emulated_cuda.h"

namespace convoy::test {
namespace {

class CudaDevice : public testing::Test {
 protected:
  std::vector<float> values(const DeviceMemory& memory, std::size_t n, std::size_t offset = 0) {
    std::vector<float> found(n);
    device().copy(Stream::compute, found.data(), memory.get() + offset * sizeof(float), n * sizeof(float));
    device().synchronize(Stream::compute);
    return found;
  }
  DeviceMemory with_values(Device& on, const std::vector<float>& from) {
    DeviceMemory memory = on.allocate(from.size() * sizeof(float));
    on.copy(Stream::compute, memory.get(), from.data(), from.size() * sizeof(float));
    return memory;
  }
  Device& device() { return backend_->device(); }
  static float* floats(const DeviceMemory& memory) { return reinterpret_cast<float*>(memory.get()); }
  static std::vector<float> random(std::size_t n, const char* purpose) {
    std::vector<float> drawn(n);
    const RandomKey key(7, purpose);
    for (std::size_t i = 0; i < n; ++i) drawn[i] = static_cast<float>(key.normal(i));
    return drawn;
  }

  std::unique_ptr<Backend> backend_ = make_emulated_cuda_backend();
  std::unique_ptr<Device> host_ = make_host_device();
};

TEST_F(CudaDevice, GivesMemoryFilledWithZeros) {
  EXPECT_FALSE(device().is_host());
  EXPECT_NE(device().native_stream(Stream::compute), device().native_stream(Stream::copy));
  for (const float x : values(device().allocate(400), 100)) EXPECT_EQ(x, 0);
  const DeviceMemory staging = device().allocate_staging(64);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(staging.get()[i], std::byte{0});
}

TEST_F(CudaDevice, SaysWhatWasWantedWhereMemoryEnds) {
  try {
    static_cast<void>(device().allocate(std::size_t{1} << 50));
    FAIL() << "no error";
  } catch (const LibraryError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("wanted 1125899906842624 bytes of emulated device"), std::string::npos) << message;
    EXPECT_NE(message.find("are free"), std::string::npos) << message;
  }
  EXPECT_NO_THROW(static_cast<void>(device().allocate(16)));  // the error is not left to a later call
}

TEST_F(CudaDevice, RejectsAnOrdinalThatIsNotThere) { EXPECT_THROW(make_emulated_cuda_backend(64), UsageError); }

TEST_F(CudaDevice, OrdersStreamsByEvents) {
  const DeviceMemory from = device().allocate_staging(4), there = device().allocate(4), to = device().allocate_staging(4);
  const auto copied = device().make_event(), read = device().make_event();
  device().wait(Stream::compute, *copied);  // no record yet: no wait
  EXPECT_TRUE(device().done(*copied));
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    set_emulator_seed(seed);
    const float sent = static_cast<float>(seed) + 1;
    std::memcpy(from.get(), &sent, 4);
    device().copy(Stream::copy, there.get(), from.get(), 4);
    device().record(Stream::copy, *copied);
    device().wait(Stream::compute, *copied);
    device().copy(Stream::compute, to.get(), there.get(), 4);
    device().record(Stream::compute, *read);
    while (!device().done(*read)) {
    }
    float found = 0;
    std::memcpy(&found, to.get(), 4);
    EXPECT_EQ(found, sent) << seed;
  }
}

TEST_F(CudaDevice, AnswersAboutEventsToOtherThreads) {
  const auto event = device().make_event();
  const DeviceMemory memory = device().allocate(4);
  device().fill_zero(Stream::compute, memory.get(), 4);
  device().record(Stream::compute, *event);
  bool passed = false;
  std::thread([&] {
    while (!(passed = device().done(*event))) {
    }
  }).join();
  EXPECT_TRUE(passed);
}

TEST_F(CudaDevice, ReplaysWhatWasCapturedWithAForkToAnotherStream) {
  const std::vector<float> ones(5, 1.0f);
  const DeviceMemory sum = with_values(device(), ones), one = with_values(device(), ones), copied = device().allocate(20);
  const auto fork = device().make_event(), join = device().make_event();
  device().synchronize(Stream::compute);
  const auto replay = device().capture([&] {
    device().add(Stream::compute, floats(sum), floats(sum), floats(one), 5, SumRounding::none);
    device().record(Stream::compute, *fork);
    device().wait(Stream::communication, *fork);
    device().copy(Stream::communication, copied.get(), sum.get(), 20);
    device().record(Stream::communication, *join);
    device().wait(Stream::compute, *join);
    device().add(Stream::compute, floats(sum), floats(sum), floats(one), 5, SumRounding::none);
  });
  EXPECT_EQ(values(sum, 5), ones);
  for (int launch = 1; launch <= 5; ++launch) {
    set_emulator_seed(static_cast<std::uint64_t>(launch));
    replay->launch();
    EXPECT_EQ(values(copied, 5), std::vector<float>(5, static_cast<float>(2 * launch)));
    EXPECT_EQ(values(sum, 5), std::vector<float>(5, static_cast<float>(2 * launch + 1)));
  }
}

TEST_F(CudaDevice, EndsACaptureInWhichAnErrorIsThrown) {
  EXPECT_THROW(device().capture([] { throw UsageError("in a capture"); }), UsageError);
  EXPECT_NO_THROW(static_cast<void>(device().allocate(16)));
}

TEST_F(CudaDevice, AddsAsTheHostDoes) {
  for (const std::size_t n : {1u, 4u, 1023u, 4096u})
    for (const SumRounding rounding : {SumRounding::none, SumRounding::bf16}) {
      const auto a = random(n, "a"), b = random(n, "b");
      const DeviceMemory left = with_values(device(), a), right = with_values(device(), b);
      std::vector<float> expected(n);
      host_->add(Stream::compute, expected.data(), a.data(), b.data(), n, rounding);
      device().add(Stream::compute, floats(left), floats(left), floats(right), n, rounding);  // in place
      EXPECT_EQ(values(left, n), expected) << n;
    }
}

TEST_F(CudaDevice, AddsArraysThatBeginAnywhere) {
  const auto a = random(101, "a"), b = random(101, "b");
  const DeviceMemory left = with_values(device(), a), right = with_values(device(), b), to = device().allocate(404);
  device().add(Stream::compute, floats(to) + 1, floats(left) + 1, floats(right) + 1, 100, SumRounding::none);
  const std::vector<float> found = values(to, 101);
  EXPECT_EQ(found[0], 0);
  for (std::size_t i = 1; i < 101; ++i) EXPECT_EQ(found[i], a[i] + b[i]);
}

/// Five leaves [0, 5): ((0 1) (2 3)) 4, as a counter in base two has it. Rows {merges, slot, left...}.
TEST_F(CudaDevice, FoldsLeavesAsTheHostDoes) {
  constexpr std::int32_t kRows[5][4] = {{0, 0, 0, 0}, {1, 0, 0, 0}, {0, 1, 0, 0}, {2, 0, 1, 0}, {0, 1, 0, 0}};
  for (const std::size_t n : {3u, 64u, 1001u})
    for (const SumRounding rounding : {SumRounding::none, SumRounding::bf16}) {
      const DeviceMemory rows = device().allocate(sizeof kRows), leaf = device().allocate(4),
                         places = device().allocate(2 * n * sizeof(float));
      device().copy(Stream::compute, rows.get(), kRows, sizeof kRows);
      std::vector<float> expected(2 * n);
      for (std::int32_t i = 0; i < 5; ++i) {
        const auto gradient = random(n, ("leaf " + std::to_string(i)).c_str());
        const DeviceMemory there = with_values(device(), gradient);
        device().copy(Stream::compute, leaf.get(), &i, sizeof i);
        device().fold(Stream::compute, floats(places), floats(there), n,
                      {reinterpret_cast<const std::int32_t*>(rows.get()), 4,
                       reinterpret_cast<const std::int32_t*>(leaf.get())}, rounding);
        host_->fold(Stream::compute, expected.data(), gradient.data(), n, {kRows[0], 4, &i}, rounding);
      }
      EXPECT_EQ(values(places, 2 * n), expected) << n;
    }
}

TEST_F(CudaDevice, PacksToTwoBytesAndBackAsTheHostDoes) {
  for (const std::size_t n : {1u, 7u, 512u, 1001u}) {
    const auto from = random(n, "packed");
    std::vector<std::uint16_t> halves(n), found_halves(n);
    std::vector<float> expected(n);
    host_->pack_bf16(Stream::compute, halves.data(), from.data(), n);
    host_->unpack_bf16(Stream::compute, expected.data(), halves.data(), n);
    const DeviceMemory there = with_values(device(), from), packed = device().allocate(2 * n), back = device().allocate(4 * n);
    auto* const bits = reinterpret_cast<std::uint16_t*>(packed.get());
    device().pack_bf16(Stream::compute, bits, floats(there), n);
    device().unpack_bf16(Stream::compute, floats(back), bits, n);
    device().copy(Stream::compute, found_halves.data(), packed.get(), 2 * n);
    EXPECT_EQ(found_halves, halves);
    EXPECT_EQ(values(back, n), expected);
  }
}

}  // namespace
}  // namespace convoy::test
