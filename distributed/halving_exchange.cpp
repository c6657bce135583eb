// Vector halving with distance doubling, then the way back (Thakur, Rabenseifner & Gropp 2005, section 4.4,
// with the distances in the other order). Rank r's partner in step d = 1, 2, 4, ... is r xor d: after step d a
// rank holds its part of the sum over its block of 2 d ranks, which is exactly a node of the tree.
#include <array>

#include "distributed/add.h"
#include "distributed/chunks.h"
#include "distributed/exchange.h"
#include "distributed/exchange_schedule.h"
#include "distributed/float_buffer.h"
#include "distributed/wire.h"

namespace convoy {
namespace {

class HalvingExchange final : public Exchange {
 public:
  HalvingExchange(Communicator& communicator, const LargestBuckets& largest)
      : communicator_(communicator),
        wire_(communicator, 1, largest.rounded),
        chunk_(halving_chunk(largest.elements)) {
    for (auto& buffer : landing_) buffer = FloatBuffer(chunk_);
    if (largest.rounded > 0) opened_ = FloatBuffer(chunk_);
  }

  float* run(const std::vector<float*>& sums, std::size_t elements, SumRounding rounding, int tag) override {
    float* const sum = sums.front();
    wire_.begin(rounding, elements);
    const std::vector<HalvingStep> steps = halving_steps(communicator_.rank(), communicator_.size(), elements);
    for (const HalvingStep& step : steps) swap_and_add(sum, step, 2 * tag);
    wire_.pack(0, sum, steps.back().mine);
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) gather(wire_.image(0, sum), *step, 2 * tag + 1);
    wire_.unpack(0, sum, {0, elements});
    return sum;
  }

  std::size_t memory_bytes() const override {
    return (kUnderWay + (opened_ ? 1 : 0)) * chunk_ * sizeof(float) + wire_.memory_bytes();
  }
  std::int64_t sent_bytes() const override { return wire_.sent_bytes(); }

 private:
  /// Sends the partner's half, receives mine and adds it: left + right, left being the lower rank's.
  void swap_and_add(float* sum, const HalvingStep& step, int tag) {
    std::vector<RequestPtr> sends;
    for (const Range& chunk : chunks_of(step.theirs, chunk_)) {
      wire_.pack(0, sum, chunk);
      sends.push_back(wire_.send(wire_.image(0, sum), chunk, step.peer, tag));
    }
    const auto chunks = chunks_of(step.mine, chunk_);
    std::array<RequestPtr, kUnderWay> receives;
    const auto start = [&](std::size_t i) {
      if (i >= chunks.size()) return;
      receives[i % kUnderWay] = wire_.receive(landing_[i % kUnderWay].data(), {0, chunks[i].size()}, step.peer, tag);
    };
    for (std::size_t i = 0; i < kUnderWay; ++i) start(i);
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      receives[i % kUnderWay]->wait();
      const std::size_t count = chunks[i].size();
      float* const own = sum + chunks[i].begin;
      const float* const other = wire_.floats(landing_[i % kUnderWay].data(), count, opened_.data());
      step.lower ? add(own, other, own, count, wire_.rounding()) : add(other, own, own, count, wire_.rounding());
      start(i + kUnderWay);
    }
    wait_all(sends);
  }

  void gather(void* image, const HalvingStep& step, int tag) {
    std::vector<RequestPtr> requests;
    if (step.theirs.size() > 0) requests.push_back(wire_.receive(image, step.theirs, step.peer, tag));
    if (step.mine.size() > 0) requests.push_back(wire_.send(image, step.mine, step.peer, tag));
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
