#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/random/permutation.h"
#include "core/tensor/error.h"
#include "io/loader.h"

namespace convoy {
namespace {

constexpr std::int64_t kWindowBlocks = 16;
constexpr std::string_view kBlocksPrefix = "blocks-v1:";

/// 0: full-v1.
std::int64_t parse_block(const std::string& variant) {
  if (variant == "full-v1") return 0;
  std::int64_t block = 0;
  if (variant.starts_with(kBlocksPrefix)) {
    const char *begin = variant.data() + kBlocksPrefix.size(), *end = variant.data() + variant.size();
    const auto [stop, error] = std::from_chars(begin, end, block);
    if (error == std::errc{} && stop == end && block >= 1) return block;
  }
  throw UsageError(fmt::format("data.order is \"{}\"; known are full-v1 and blocks-v1:K with K >= 1, such as blocks-v1:64",
                               variant));
}

/// An epoch's order for blocks-v1. Slots are the places of blocks in line; all hold K samples but the one that got the
/// last stored block.
class BlockOrder {
 public:
  BlockOrder(const RandomKey& key, std::int64_t samples, std::int64_t block)
      : key_(key),
        block_(block),
        blocks_((samples - 1) / block + 1),
        last_length_(samples - (blocks_ - 1) * block),
        lined_up_(key.child(0), static_cast<std::uint64_t>(blocks_)),
        short_slot_(static_cast<std::int64_t>(lined_up_.inverse(static_cast<std::uint64_t>(blocks_ - 1)))) {}

  /// Indices of the places [first, first + out.size()) of the epoch.
  void fill(std::int64_t first, std::span<std::int64_t> out) const {
    std::size_t done = 0;
    while (done < out.size()) {
      const std::int64_t place = first + static_cast<std::int64_t>(done);
      const std::int64_t window = slot_at(place) / kWindowBlocks;
      const std::int64_t begin = start_of(window * kWindowBlocks);
      const std::int64_t end = start_of(std::min(blocks_, (window + 1) * kWindowBlocks));
      const Permutation inside(key_.child(1 + static_cast<std::uint64_t>(window)), static_cast<std::uint64_t>(end - begin));
      const std::size_t stop = std::min(out.size(), done + static_cast<std::size_t>(end - place));
      for (std::int64_t i = place - begin; done < stop; ++i, ++done)
        out[done] = sample_at(begin + static_cast<std::int64_t>(inside(static_cast<std::uint64_t>(i))));
    }
  }

 private:
  std::int64_t start_of(std::int64_t slot) const {
    return slot * block_ - (slot > short_slot_ ? block_ - last_length_ : 0);
  }
  std::int64_t slot_at(std::int64_t place) const {
    const std::int64_t slot = place / block_;
    if (slot < short_slot_ || place < start_of(short_slot_) + last_length_) return std::min(slot, short_slot_);
    return (place + block_ - last_length_) / block_;
  }
  std::int64_t sample_at(std::int64_t place) const {
    const std::int64_t slot = slot_at(place);
    return static_cast<std::int64_t>(lined_up_(static_cast<std::uint64_t>(slot))) * block_ + place - start_of(slot);
  }

  RandomKey key_;
  std::int64_t block_, blocks_, last_length_;
  Permutation lined_up_;
  std::int64_t short_slot_;
};

}  // namespace

struct SampleOrder::State {
  RandomKey key;
  std::int64_t block;  // K; 0: full-v1
};

SampleOrder::SampleOrder(std::uint64_t seed, std::int64_t samples, const std::string& variant) : samples_(samples) {
  if (samples < 1) throw UsageError("a training stream needs at least one sample");
  state_ = std::make_unique<State>(State{RandomKey(seed, "order"), parse_block(variant)});
}
SampleOrder::~SampleOrder() = default;
SampleOrder::SampleOrder(SampleOrder&&) noexcept = default;

std::int64_t SampleOrder::index_at(std::int64_t position) const {
  std::int64_t index = 0;
  indices(position, {&index, 1});
  return index;
}

void SampleOrder::indices(std::int64_t first, std::span<std::int64_t> out) const {
  while (!out.empty()) {
    const std::int64_t epoch = first / samples_, place = first % samples_;
    const std::size_t count = std::min(out.size(), static_cast<std::size_t>(samples_ - place));
    const RandomKey key = state_->key.child(static_cast<std::uint64_t>(epoch));
    if (state_->block > 0) {
      BlockOrder(key, samples_, state_->block).fill(place, out.first(count));
    } else {
      const Permutation order(key, static_cast<std::uint64_t>(samples_));
      for (std::size_t i = 0; i < count; ++i)
        out[i] = static_cast<std::int64_t>(order(static_cast<std::uint64_t>(place) + i));
    }
    first += static_cast<std::int64_t>(count);
    out = out.subspan(count);
  }
}

}  // namespace convoy
