// The module as this build made it. It loads without a device and without a driver.
#include "distributed/nccl_module.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "core/tensor/error.h"
#include "distributed/device_transport.h"
#include "support/on_ranks.h"

namespace convoy {
namespace {

TEST(NcclModule, LoadsAndNamesItsVersion) {
  const OpenedModule opened = open_module("convoy_nccl", {CONVOY_MODULE_FOLDER});
  ASSERT_NE(opened.head, nullptr) << opened.why_not;
  const std::string version = reinterpret_cast<const NcclModule*>(opened.head)->version();
  EXPECT_TRUE(version.starts_with("2.")) << version;
}

/// The host, in the shape of a device that is none.
class FarDevice final : public Device {
 public:
  explicit FarDevice(std::unique_ptr<Device> near) : near_(std::move(near)) {}
  std::string name() const override { return "far away"; }
  bool is_host() const override { return false; }
  std::size_t total_memory_bytes() const override { return near_->total_memory_bytes(); }
  DeviceMemory allocate(std::size_t bytes) override { return near_->allocate(bytes); }
  DeviceMemory allocate_staging(std::size_t bytes) override { return near_->allocate_staging(bytes); }
  void copy(Stream on, void* to, const void* from, std::size_t bytes) override { near_->copy(on, to, from, bytes); }
  void fill_zero(Stream on, void* to, std::size_t bytes) override { near_->fill_zero(on, to, bytes); }
  void add(Stream on, float* to, const float* left, const float* right, std::size_t elements,
           SumRounding rounding) override {
    near_->add(on, to, left, right, elements, rounding);
  }
  void fold(Stream on, float* places, const float* leaf, std::size_t elements, const FoldTable& table,
            SumRounding rounding) override {
    near_->fold(on, places, leaf, elements, table, rounding);
  }
  void pack_bf16(Stream on, std::uint16_t* to, const float* from, std::size_t elements) override {
    near_->pack_bf16(on, to, from, elements);
  }
  void unpack_bf16(Stream on, float* to, const std::uint16_t* from, std::size_t elements) override {
    near_->unpack_bf16(on, to, from, elements);
  }
  std::unique_ptr<Event> make_event() override { return near_->make_event(); }
  void record(Stream on, Event& event) override { near_->record(on, event); }
  void wait(Stream on, const Event& event) override { near_->wait(on, event); }
  bool done(const Event& event) override { return near_->done(event); }
  void synchronize(Stream on) override { near_->synchronize(on); }
  std::unique_ptr<Replay> capture(const std::function<void()>& enqueue) override { return near_->capture(enqueue); }
  void* native_stream(Stream on) override { return near_->native_stream(on); }

 private:
  std::unique_ptr<Device> near_;
};

/// What automatic and nccl answer on two ranks, and what rank 0 is told.
std::string told_by(const TransportOptions& transport) {
  std::string told;
  on_ranks(2, [&](Communicator& world) {
    FarDevice device(make_host_device());
    const DeviceMemory memory = device.allocate(64);
    const DeviceBucket bucket{{reinterpret_cast<float*>(memory.get())}, 16};
    TransportOptions options = transport;
    if (world.rank() == 0) options.tell = [&](const std::string& news) { told = news; };
    const auto reduction =
        make_device_reduction(world, device, {.virtual_workers = 2, .buckets = {bucket}}, options);
    EXPECT_FALSE(reduction->can_be_captured());  // through the hosts
  });
  return told;
}

TEST(DeviceTransport, GoesThroughTheHostsWhereRanksShareADeviceAndSaysSo) {
  EXPECT_NE(told_by({.transport = DeviceTransport::automatic, .shares_device = true}).find("share a device"),
            std::string::npos);
  EXPECT_EQ(told_by({.transport = DeviceTransport::host}), "");
}

TEST(DeviceTransport, GoesThroughTheHostsWhereThereIsNoModuleAndSaysWhy) {
  // This program's own folder has no module beside it.
  EXPECT_NE(told_by({.transport = DeviceTransport::automatic}).find("libconvoy_nccl.so"), std::string::npos);
}

TEST(DeviceTransport, RefusesNcclOnEveryRankWhereOneLacksIt) {
  on_ranks(3, [](Communicator& world) {
    FarDevice device(make_host_device());
    try {
      make_device_reduction(world, device, {.virtual_workers = 3}, {.transport = DeviceTransport::nccl});
      ADD_FAILURE() << "there is no module";
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find("no NCCL on rank 0"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("--distributed.transport=host"), std::string::npos) << error.what();
    }
  });
}

TEST(SharedDevice, GivesEveryRankAHostOfItsOwnAndKeepsWhatTheUserSet) {
  const char* names[] = {"NCCL_HOSTID", "NCCL_NET", "NCCL_SOCKET_IFNAME", "NCCL_IB_DISABLE", "NCCL_MNNVL_ENABLE", "NCCL_NVLS_ENABLE"};
  for (const char* name : names) unsetenv(name);
  setenv("NCCL_HOSTID", "the same for all", 1);
  setenv("NCCL_NET", "mine", 1);
  let_ranks_share_a_device(3, false);
  EXPECT_STREQ(std::getenv("NCCL_HOSTID"), "convoy-rank-3");
  EXPECT_STREQ(std::getenv("NCCL_NET"), "mine");
  EXPECT_EQ(std::getenv("NCCL_SOCKET_IFNAME"), nullptr);  // other hosts are not on the loopback interface
  let_ranks_share_a_device(4, true);
  EXPECT_STREQ(std::getenv("NCCL_HOSTID"), "convoy-rank-4");
  EXPECT_STREQ(std::getenv("NCCL_SOCKET_IFNAME"), "lo");
  for (const char* name : names) unsetenv(name);
}

}  // namespace
}  // namespace convoy
