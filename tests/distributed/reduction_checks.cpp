#include "reduction_checks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <list>
#include <random>
#include <thread>

#include "core/tensor/narrow.h"

namespace convoy {

float leaf_value(std::int64_t step, int leaf, std::size_t bucket, std::int64_t i) {
  std::uint64_t bits =
      static_cast<std::uint64_t>(((step * 131 + leaf) * 31 + static_cast<int>(bucket)) * 1000003 + i);
  bits = (bits ^ (bits >> 29)) * 0xbf58476d1ce4e5b9U;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebU;
  const double unit = static_cast<double>(bits >> 11) * 0x1p-53 - 0.5;
  return static_cast<float>(std::ldexp(unit, static_cast<int>(bits % 13)));
}

float tree_sum(std::int64_t step, int a, int b, std::size_t bucket, std::int64_t i, SumRounding rounding) {
  const auto stored = [&](float sum) { return rounding == SumRounding::bf16 ? rounded_to<Bf16>(sum) : sum; };
  if (b - a == 1) return stored(leaf_value(step, a, bucket, i));
  int half = 1;
  while (half * 2 < b - a) half *= 2;
  return stored(tree_sum(step, a, a + half, bucket, i, rounding) + tree_sum(step, a + half, b, bucket, i, rounding));
}

namespace {

/// One thread's part of one step. `lent` is the reducer's until the next one.
void hand_in(GradientReducer& reducer, const ReductionCase& spec, std::int64_t step, int first, int last,
             std::list<std::vector<float>>& lent) {
  struct Item {
    int leaf;
    std::size_t bucket;
  };
  std::vector<Item> items;
  for (int leaf = first; leaf < last; ++leaf) {
    for (std::size_t b = 0; b < spec.buckets.size(); ++b) items.push_back({leaf, b});
  }
  std::mt19937 random(static_cast<unsigned>(step * 1000 + first));
  if (spec.shuffled) std::shuffle(items.begin(), items.end(), random);
  std::vector<float> data;
  for (const Item& item : items) {
    data.clear();
    for (std::int64_t i = 0; i < spec.buckets[item.bucket]; ++i) {
      data.push_back(leaf_value(step, item.leaf, item.bucket, i));
    }
    if (spec.shuffled) std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
    if (spec.lends && item.leaf + 1 == last) {
      lent.push_back(data);
      reducer.lend_bucket(item.leaf, static_cast<int>(item.bucket), lent.back().data());
      continue;
    }
    reducer.bucket_ready(item.leaf, static_cast<int>(item.bucket), data.data());
    std::fill(data.begin(), data.end(), NAN);  // the caller may overwrite it
  }
}

void check_bucket(const GradientReducer& reducer, const ReductionCase& spec, std::int64_t step,
                  std::size_t bucket) {
  const auto result = reducer.result(static_cast<int>(bucket));
  ASSERT_EQ(static_cast<std::int64_t>(result.size()), spec.buckets[bucket]);
  const SumRounding rounding = spec.rounding.empty() ? SumRounding::none : spec.rounding[bucket];
  for (std::int64_t i = 0; i < spec.buckets[bucket]; ++i) {
    const float expected = tree_sum(step, 0, spec.virtual_workers, bucket, i, rounding);
    const float found = result[static_cast<std::size_t>(i)];
    if (spec.kind == ReductionKind::deterministic) {
      ASSERT_EQ(std::memcmp(&found, &expected, sizeof found), 0)
          << "V = " << spec.virtual_workers << ", step " << step << ", bucket " << bucket << ", element " << i
          << ": " << found << " is not " << expected;
    } else {
      // V terms below 2^11 each; every one of at most V additions rounds to 2^-24 of a partial sum.
      const float bound = static_cast<float>(spec.virtual_workers * spec.virtual_workers) * 0x1p-13F;
      ASSERT_NEAR(found, expected, bound) << "bucket " << bucket << ", element " << i;
    }
  }
}

}  // namespace

std::vector<std::int64_t> awkward_buckets() { return {1, 1003, 0, 37, 16}; }
std::vector<SumRounding> awkward_rounding() {
  using enum SumRounding;
  return {bf16, bf16, bf16, none, bf16};
}

void check_reduction(Communicator& world, const ReductionCase& spec) {
  const auto reducer = make_reducer(world, {.kind = spec.kind,
                                            .virtual_workers = spec.virtual_workers,
                                            .bucket_elements = spec.buckets,
                                            .rounding = spec.rounding,
                                            .threads = spec.threads,
                                            .lends = std::vector<bool>(spec.buckets.size(), spec.lends)});
  const auto [first, last] = share_of(world.rank(), world.size(), 0, spec.virtual_workers);
  for (std::int64_t step = 0; step < spec.steps; ++step) {
    reducer->begin(step);
    std::vector<std::thread> threads;
    std::vector<std::list<std::vector<float>>> lent(static_cast<std::size_t>(spec.threads));
    for (int t = 0; t < spec.threads; ++t) {
      const auto [begin, end] = share_of(t, spec.threads, first, last);
      threads.emplace_back([&, t, b = begin, e = end] { hand_in(*reducer, spec, step, b, e, lent[static_cast<std::size_t>(t)]); });
    }
    for (auto& thread : threads) thread.join();
    reducer->finish();
    for (std::size_t bucket = 0; bucket < spec.buckets.size(); ++bucket)
      check_bucket(*reducer, spec, step, bucket);
  }
}

}  // namespace convoy
