// Each rank finishes the tree for one slice of the bucket, from everybody's partial sums.
#include <array>

#include "distributed/add.h"
#include "distributed/chunks.h"
#include "distributed/exchange.h"
#include "distributed/exchange_schedule.h"
#include "distributed/float_buffer.h"
#include "distributed/wire.h"

namespace convoy {
namespace {

class DirectExchange final : public Exchange {
 public:
  DirectExchange(Communicator& communicator, int virtual_workers, const LargestBuckets& largest)
      : communicator_(communicator),
        parts_(direct_parts(communicator.size(), virtual_workers)),
        own_(parts_.first_of(communicator.rank())),
        wire_(communicator, communicator.size() == 1 ? 0 : parts_.count_of(communicator.rank()), largest.rounded),
        chunk_(direct_chunk(largest.elements, communicator.size(), parts_.owners.size())) {
    const std::size_t landing = chunk_ * parts_.owners.size();
    if (communicator.size() == 1) return;
    for (auto& buffer : landing_) buffer = FloatBuffer(landing);
    if (largest.rounded > 0) opened_ = FloatBuffer(landing);
  }

  float* run(const std::vector<float*>& sums, std::size_t elements, SumRounding rounding, int tag) override {
    if (communicator_.size() == 1) return sums.front();  // it is the root
    wire_.begin(rounding, elements);
    const Range mine = slice_of(communicator_.rank(), communicator_.size(), elements);
    std::vector<RequestPtr> sends = send_slices(sums, elements, 2 * tag);
    finish_slice(sums, mine, 2 * tag);
    wait_all(sends);  // the gradient of the others' slices may now be overwritten
    wire_.pack(0, sums.front(), mine);
    gather(wire_.image(0, sums.front()), elements, mine, 2 * tag + 1);
    wire_.unpack(0, sums.front(), {0, elements});
    return sums.front();
  }

  std::size_t memory_bytes() const override {
    if (communicator_.size() == 1) return 0;
    return (kUnderWay + (opened_ ? 1 : 0)) * chunk_ * parts_.owners.size() * sizeof(float) + wire_.memory_bytes();
  }
  std::int64_t sent_bytes() const override { return wire_.sent_bytes(); }

 private:
  /// In the order in which the receiver takes them: chunk by chunk, subtree by subtree.
  std::vector<RequestPtr> send_slices(const std::vector<float*>& sums, std::size_t elements, int tag) {
    std::vector<RequestPtr> sends;
    for (int distance = 1; distance < communicator_.size(); ++distance) {
      const int peer = (communicator_.rank() + distance) % communicator_.size();
      for (const Range& chunk : chunks_of(slice_of(peer, communicator_.size(), elements), chunk_)) {
        for (std::size_t part = 0; part < sums.size(); ++part) {
          wire_.pack(part, sums[part], chunk);
          sends.push_back(wire_.send(wire_.image(part, sums[part]), chunk, peer, tag));
        }
      }
    }
    return sends;
  }

  void finish_slice(const std::vector<float*>& sums, const Range& mine, int tag) {
    const auto chunks = chunks_of(mine, chunk_);
    std::array<std::vector<RequestPtr>, kUnderWay> receives;
    const auto start = [&](std::size_t i) {
      if (i >= chunks.size()) return;
      for (std::size_t part = 0; part < parts_.owners.size(); ++part) {
        if (parts_.owners[part] == communicator_.rank()) continue;
        receives[i % kUnderWay].push_back(wire_.receive(landing(i, part), {0, chunks[i].size()}, parts_.owners[part], tag));
      }
    };
    for (std::size_t i = 0; i < kUnderWay; ++i) start(i);
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      wait_all(receives[i % kUnderWay]);
      add_parts(sums, chunks[i], opened(i, chunks[i].size()));
      start(i + kUnderWay);
    }
  }

  /// The other ranks' parts of chunk i as floats, `chunk_` apart.
  float* opened(std::size_t i, std::size_t count) {
    if (wire_.rounding() == SumRounding::none) return landing(i, 0);
    for (std::size_t part = 0; part < parts_.owners.size(); ++part)
      if (parts_.owners[part] != communicator_.rank()) wire_.floats(landing(i, part), count, opened_.data() + part * chunk_);
    return opened_.data();
  }

  /// The tree over one chunk of my slice; its root goes to the first of my own sums.
  void add_parts(const std::vector<float*>& sums, const Range& chunk, float* others) {
    const auto part = [&](int index) {
      const auto at = static_cast<std::size_t>(index);
      const bool own = parts_.owners[at] == communicator_.rank();
      return own ? sums[at - own_] + chunk.begin : others + at * chunk_;
    };
    for (const TreeAdd& step : parts_.adds) {
      float* const left = part(step.target);
      const bool is_root = &step == &parts_.adds.back();
      add(left, part(step.source), is_root ? sums.front() + chunk.begin : left, chunk.size(), wire_.rounding());
    }
  }

  void gather(void* image, std::size_t elements, const Range& mine, int tag) {
    const int ranks = communicator_.size();
    std::vector<RequestPtr> requests;
    for (int distance = 1; distance < ranks; ++distance) {
      const int peer = (communicator_.rank() - distance + ranks) % ranks;
      const Range theirs = slice_of(peer, ranks, elements);
      if (theirs.size() > 0) requests.push_back(wire_.receive(image, theirs, peer, tag));
    }
    for (int distance = 1; distance < ranks && mine.size() > 0; ++distance) {
      requests.push_back(wire_.send(image, mine, (communicator_.rank() + distance) % ranks, tag));
    }
    wait_all(requests);
  }

  float* landing(std::size_t i, std::size_t part) const { return landing_[i % kUnderWay].data() + part * chunk_; }

  Communicator& communicator_;
  const DirectParts parts_;
  const std::size_t own_;  // my first part
  Wire wire_;
  const std::size_t chunk_;
  std::array<FloatBuffer, kUnderWay> landing_;  // what arrives, by part
  FloatBuffer opened_;                          // the same unpacked; none where nothing is rounded
};

}  // namespace

std::unique_ptr<Exchange> make_direct_exchange(Communicator& communicator, int virtual_workers,
                                               const LargestBuckets& largest) {
  return std::make_unique<DirectExchange>(communicator, virtual_workers, largest);
}

}  // namespace convoy
