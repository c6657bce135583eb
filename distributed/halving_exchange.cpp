// Vector halving with distance doubling, then the way back (Thakur, Rabenseifner & Gropp 2005, section 4.4,
// with the distances in the other order). Rank r's partner in step d = 1, 2, 4, ... is r xor d: after step d a
// rank holds its part of the sum over its block of 2 d ranks, which is exactly a node of the tree.
#include <array>

#include "distributed/add.h"
#include "distributed/chunks.h"
#include "distributed/exchange.h"
#include "distributed/float_buffer.h"
#include "distributed/wire.h"

namespace convoy {
namespace {

// 1 MB pieces, two under way: measured with 2 ranks and Open MPI 4.1.4 (vader, CMA), 100 MB: 64 KB 26 ms, 256
// KB 23 ms, 1 MB 18 ms, 4 MB 26 ms (the receiver's own core copies, so a piece should still be in its cache
// when added).
constexpr std::size_t kChunk = std::size_t{1} << 18;
constexpr std::size_t kUnderWay = 2;

struct Halves {
  Range mine, theirs;
};

/// The lower rank of a pair keeps the lower half.
Halves halve(const Range& range, bool lower) {
  const std::size_t middle = range.begin + range.size() / 2 / kSliceAlignment * kSliceAlignment;
  const Range low{range.begin, middle}, high{middle, range.end};
  return lower ? Halves{low, high} : Halves{high, low};
}

class HalvingExchange final : public Exchange {
 public:
  HalvingExchange(Communicator& communicator, const LargestBuckets& largest)
      : communicator_(communicator),
        wire_(communicator, 1, largest.rounded),
        chunk_(std::min(kChunk, largest.elements / 2 + kSliceAlignment)) {
    for (auto& buffer : landing_) buffer = FloatBuffer(chunk_);
    if (largest.rounded > 0) opened_ = FloatBuffer(chunk_);
  }

  float* run(const std::vector<float*>& sums, std::size_t elements, SumRounding rounding, int tag) override {
    float* const sum = sums.front();
    wire_.begin(rounding, elements);
    std::vector<Halves> steps;
    Range range{0, elements};
    for (int distance = 1; distance < communicator_.size(); distance *= 2) {
      steps.push_back(halve(range, is_lower(distance)));
      swap_and_add(sum, steps.back(), distance, 2 * tag);
      range = steps.back().mine;
    }
    wire_.pack(0, sum, range);
    for (int distance = communicator_.size() / 2; distance > 0; distance /= 2) {
      gather(wire_.image(0, sum), steps.back(), communicator_.rank() ^ distance, 2 * tag + 1);
      steps.pop_back();
    }
    wire_.unpack(0, sum, {0, elements});
    return sum;
  }

  std::size_t memory_bytes() const override {
    return (kUnderWay + (opened_ ? 1 : 0)) * chunk_ * sizeof(float) + wire_.memory_bytes();
  }
  std::int64_t sent_bytes() const override { return wire_.sent_bytes(); }

 private:
  bool is_lower(int distance) const { return (communicator_.rank() & distance) == 0; }

  /// Sends the partner's half, receives mine and adds it: left + right, left being the lower rank's.
  void swap_and_add(float* sum, const Halves& halves, int distance, int tag) {
    const int peer = communicator_.rank() ^ distance;
    std::vector<RequestPtr> sends;
    for (const Range& chunk : chunks_of(halves.theirs, chunk_)) {
      wire_.pack(0, sum, chunk);
      sends.push_back(wire_.send(wire_.image(0, sum), chunk, peer, tag));
    }
    const auto chunks = chunks_of(halves.mine, chunk_);
    std::array<RequestPtr, kUnderWay> receives;
    const auto start = [&](std::size_t i) {
      if (i >= chunks.size()) return;
      receives[i % kUnderWay] = wire_.receive(landing_[i % kUnderWay].data(), {0, chunks[i].size()}, peer, tag);
    };
    for (std::size_t i = 0; i < kUnderWay; ++i) start(i);
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      receives[i % kUnderWay]->wait();
      const std::size_t count = chunks[i].size();
      float* const own = sum + chunks[i].begin;
      const float* const other = wire_.floats(landing_[i % kUnderWay].data(), count, opened_.data());
      is_lower(distance) ? add(own, other, own, count, wire_.rounding()) : add(other, own, own, count, wire_.rounding());
      start(i + kUnderWay);
    }
    wait_all(sends);
  }

  void gather(void* image, const Halves& halves, int peer, int tag) {
    std::vector<RequestPtr> requests;
    if (halves.theirs.size() > 0) requests.push_back(wire_.receive(image, halves.theirs, peer, tag));
    if (halves.mine.size() > 0) requests.push_back(wire_.send(image, halves.mine, peer, tag));
    wait_all(requests);
  }

  Communicator& communicator_;
  Wire wire_;
  const std::size_t chunk_;
  std::array<FloatBuffer, kUnderWay> landing_;  // what arrives
  FloatBuffer opened_;                          // a chunk unpacked; none where nothing is rounded
};

}  // namespace

std::unique_ptr<Exchange> make_halving_exchange(Communicator& communicator, const LargestBuckets& largest) {
  return std::make_unique<HalvingExchange>(communicator, largest);
}

}  // namespace convoy
