#include "distributed/bench_device_reduce.h"

#include <algorithm>

#include "distributed/bench_ways.h"
#include "distributed/device_tree_reduction.h"
#include "distributed/device_wait.h"

namespace convoy {
namespace {

/// What every way works on: the inputs, and a copy that it turns into the sums. Buckets lie apart, for their alignment.
struct Arrays {
  Arrays(Communicator& communicator, Device& device, const BenchReduceOptions& options)
      : expected(bench_sums(communicator.size(), static_cast<std::size_t>(options.elements))), found(expected.size()) {
    const std::vector<float> mine = bench_inputs(communicator.rank(), communicator.size(), expected.size());
    whole_input = allocate(device, expected.size());
    whole = allocate(device, expected.size());
    device.copy(Stream::compute, whole_input.get(), mine.data(), mine.size() * sizeof(float));
    for (const std::int64_t elements : bench_buckets(options)) {
      memory.push_back(allocate(device, static_cast<std::size_t>(elements)));
      buckets.push_back({.sums = {reinterpret_cast<float*>(memory.back().get())},
                         .elements = static_cast<std::size_t>(elements)});
    }
    device.synchronize(Stream::compute);
  }

  static DeviceMemory allocate(Device& device, std::size_t elements) { return device.allocate(elements * sizeof(float)); }

  std::vector<float> expected, found;
  DeviceMemory whole_input, whole;
  std::vector<DeviceMemory> memory;
  std::vector<DeviceBucket> buckets;
};

void wait(Communicator& communicator, Device& device, const std::function<void()>& meanwhile) {
  const std::unique_ptr<Event> done = device.make_event();
  device.record(Stream::compute, *done);
  wait_until_done(device, *done,
                  {.what = "the reduction benchmark", .deadline = communicator.deadline(), .meanwhile = meanwhile});
}

Way reduction_way(std::string name, Communicator& communicator, Device& device, Arrays& arrays,
                  std::shared_ptr<DeviceReduction> reduction) {
  const auto prepare = [&] {
    const std::byte* from = arrays.whole_input.get();
    for (const DeviceBucket& bucket : arrays.buckets) {
      device.copy(Stream::compute, bucket.sums.front(), from, bucket.elements * sizeof(float));
      from += bucket.elements * sizeof(float);
    }
    device.synchronize(Stream::compute);
  };
  const auto run = [&, reduction, step = std::int64_t{0}]() mutable {
    reduction->begin(++step);
    for (std::size_t b = 0; b < arrays.buckets.size(); ++b) reduction->bucket_ready(static_cast<int>(b));
    reduction->finish();
    wait(communicator, device, [&] { reduction->check(); });
  };
  const auto check = [&, reduction] {
    float* to = arrays.found.data();
    for (std::size_t b = 0; b < arrays.buckets.size(); to += arrays.buckets[b++].elements)
      device.copy(Stream::compute, to, reduction->result(static_cast<int>(b)), arrays.buckets[b].elements * sizeof(float));
    device.synchronize(Stream::compute);
    return arrays.found == arrays.expected;
  };
  return {std::move(name), prepare, run, check};
}

Way library_way(std::string name, Communicator& communicator, Device& device, Arrays& arrays,
                std::shared_ptr<DeviceCommunicator> library) {
  const std::size_t bytes = arrays.expected.size() * sizeof(float);
  const auto prepare = [&, bytes] {
    device.copy(Stream::compute, arrays.whole.get(), arrays.whole_input.get(), bytes);
    device.synchronize(Stream::compute);
  };
  const auto run = [&, library] {
    library->all_reduce_fast(reinterpret_cast<float*>(arrays.whole.get()), arrays.expected.size(), Stream::compute);
    wait(communicator, device, nullptr);
  };
  const auto check = [&, bytes] {
    device.copy(Stream::compute, arrays.found.data(), arrays.whole.get(), bytes);
    device.synchronize(Stream::compute);
    return arrays.found == arrays.expected;
  };
  return {std::move(name), prepare, run, check};
}

}  // namespace

std::vector<BenchReduceResult> bench_device_reduce(Communicator& communicator, Device& device,
                                                   const BenchReduceOptions& options, const std::string& library,
                                                   const std::function<std::unique_ptr<DeviceCommunicator>()>& make) {
  communicator.at("the reduction benchmark", -1);
  Arrays arrays(communicator, device, options);
  DeviceReductionOptions exact{.virtual_workers = communicator.size(), .buckets = arrays.buckets};
  DeviceReductionOptions rounded = exact;
  for (DeviceBucket& bucket : rounded.buckets) bucket.rounding = options.rounding;
  const auto way = [&](const char* name, std::shared_ptr<DeviceReduction> reduction) {
    return reduction_way(name, communicator, device, arrays, std::move(reduction));
  };
  std::vector<Way> ways;
  if (make) {
    ways.push_back(way("deterministic", make_device_tree_reduction(communicator, make(), device, exact)));
    if (options.rounding == SumRounding::bf16)
      ways.push_back(way("deterministic bf16", make_device_tree_reduction(communicator, make(), device, rounded)));
  }
  ways.push_back(way("through the hosts", make_staged_reduction(communicator, device, exact)));
  if (make) ways.push_back(library_way(library, communicator, device, arrays, make()));
  return measure_ways(communicator, ways, options);
}

}  // namespace convoy
