// --reduction=fast: the library's own all-reduce, and the choice between the exchanges.
#include "core/tensor/error.h"
#include "distributed/add.h"
#include "distributed/exchange.h"
#include "distributed/exchange_schedule.h"

namespace convoy {
namespace {

class FastExchange final : public Exchange {
 public:
  explicit FastExchange(Communicator& communicator) : communicator_(communicator) {}

  float* run(const std::vector<float*>& sums, std::size_t elements, SumRounding /*none*/, int /*tag*/) override {
    for (std::size_t i = 1; i < sums.size(); ++i) add(sums[0], sums[i], sums[0], elements, SumRounding::none);
    if (communicator_.size() > 1) communicator_.all_reduce_fast(std::span(sums[0], elements));
    return sums[0];
  }
  std::size_t memory_bytes() const override { return 0; }
  std::int64_t sent_bytes() const override { return 0; }

 private:
  Communicator& communicator_;
};

}  // namespace

std::unique_ptr<Exchange> make_fast_exchange(Communicator& communicator) {
  return std::make_unique<FastExchange>(communicator);
}

std::unique_ptr<Exchange> make_exchange(Communicator& communicator, ReductionKind kind, int virtual_workers,
                                        const LargestBuckets& largest) {
  if (kind == ReductionKind::fast && largest.rounded > 0)
    throw UsageError("--reduction-dtype=bf16 rounds every sum of the fixed tree, but --reduction=fast leaves the sums to the "
                     "library; give up one of the two");
  if (kind == ReductionKind::fast) return make_fast_exchange(communicator);
  if (exchanges_by_halving(communicator.size(), virtual_workers)) return make_halving_exchange(communicator, largest);
  return make_direct_exchange(communicator, virtual_workers, largest);
}

}  // namespace convoy
