#include "device_reduction_checks.h"

#include <gtest/gtest.h>

#include <cstring>

#include "distributed/device_wait.h"
#include "distributed/tree.h"
#include "reduction_checks.h"

namespace convoy {
namespace {

float* floats(const DeviceMemory& memory) { return reinterpret_cast<float*>(memory.get()); }

/// One rank's buckets: sums on the device, and staging memory to fill them from and to look at the roots in.
struct Arrays {
  std::vector<DeviceMemory> memory, sums_staging, root_staging;
  std::vector<DeviceBucket> buckets;
  std::vector<Subtree> parts;
};

Arrays make_arrays(Communicator& world, Device& device, const DeviceReductionCase& spec) {
  Arrays arrays;
  const auto [first, last] = share_of(world.rank(), world.size(), 0, spec.virtual_workers);
  arrays.parts = subtrees_inside(first, last, spec.virtual_workers);
  for (std::size_t b = 0; b < spec.buckets.size(); ++b) {
    const auto elements = static_cast<std::size_t>(spec.buckets[b]);
    DeviceBucket bucket{.sums = {}, .elements = elements, .rounding = spec.rounding[b]};
    for (std::size_t part = 0; part < arrays.parts.size(); ++part) {
      arrays.memory.push_back(device.allocate(elements * sizeof(float)));
      bucket.sums.push_back(floats(arrays.memory.back()));
    }
    arrays.sums_staging.push_back(device.allocate_staging(elements * arrays.parts.size() * sizeof(float)));
    arrays.root_staging.push_back(device.allocate_staging(elements * sizeof(float)));
    arrays.buckets.push_back(std::move(bucket));
  }
  return arrays;
}

void fill(const Arrays& arrays, std::int64_t step) {
  for (std::size_t b = 0; b < arrays.buckets.size(); ++b) {
    float* to = floats(arrays.sums_staging[b]);
    for (const Subtree& part : arrays.parts)
      for (std::size_t i = 0; i < arrays.buckets[b].elements; ++i)
        *to++ = tree_sum(step, part.begin, part.end, b, static_cast<std::int64_t>(i), arrays.buckets[b].rounding);
    std::memset(arrays.root_staging[b].get(), 0xff, arrays.buckets[b].elements * sizeof(float));
  }
}

/// What a step enqueues.
void enqueue(Device& device, DeviceReduction& reduction, const Arrays& arrays) {
  for (std::size_t b = 0; b < arrays.buckets.size(); ++b) {
    const std::size_t elements = arrays.buckets[b].elements, bytes = elements * sizeof(float);
    for (std::size_t part = 0; part < arrays.parts.size(); ++part)
      device.copy(Stream::compute, arrays.buckets[b].sums[part], floats(arrays.sums_staging[b]) + part * elements, bytes);
    reduction.bucket_ready(static_cast<int>(b));
  }
  reduction.finish();
  for (std::size_t b = 0; b < arrays.buckets.size(); ++b)
    device.copy(Stream::compute, arrays.root_staging[b].get(), reduction.result(static_cast<int>(b)),
                arrays.buckets[b].elements * sizeof(float));
}

void check_roots(const Arrays& arrays, const DeviceReductionCase& spec, std::int64_t step) {
  for (std::size_t b = 0; b < arrays.buckets.size(); ++b) {
    for (std::size_t i = 0; i < arrays.buckets[b].elements; ++i) {
      const float expected =
          tree_sum(step, 0, spec.virtual_workers, b, static_cast<std::int64_t>(i), arrays.buckets[b].rounding);
      const float found = floats(arrays.root_staging[b])[i];
      const auto where = [&] {
        return testing::Message() << "V = " << spec.virtual_workers << ", step " << step << ", bucket " << b << ", element "
                                  << i << ": " << found << " is not " << expected;
      };
      if (spec.kind == ReductionKind::deterministic)
        ASSERT_EQ(std::memcmp(&found, &expected, sizeof found), 0) << where();
      else
        ASSERT_NEAR(found, expected, static_cast<float>(spec.virtual_workers * spec.virtual_workers) * 0x1p-13F) << where();
    }
  }
}

}  // namespace

void check_device_reduction(Communicator& world, Device& device, const MakeReduction& make,
                            const DeviceReductionCase& spec) {
  const Arrays arrays = make_arrays(world, device, spec);
  const auto reduction = make({.kind = spec.kind, .virtual_workers = spec.virtual_workers, .buckets = arrays.buckets});
  const auto done = device.make_event();
  std::unique_ptr<Replay> replay;
  if (spec.captured) {
    ASSERT_TRUE(reduction->can_be_captured());
    reduction->begin(-1);
    replay = device.capture([&] { enqueue(device, *reduction, arrays); });
  }
  for (std::int64_t step = 0; step < spec.steps; ++step) {
    fill(arrays, step);
    reduction->begin(step);
    if (replay)
      replay->launch();
    else
      enqueue(device, *reduction, arrays);
    device.record(Stream::compute, *done);
    wait_until_done(device, *done, {.what = "the test's step", .step = step, .deadline = std::chrono::seconds(30),
                                    .meanwhile = [&] { reduction->check(); }});
    check_roots(arrays, spec, step);
  }
}

}  // namespace convoy
