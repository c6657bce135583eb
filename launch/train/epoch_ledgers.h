#pragma once
// The ledgers of open epochs (design: section 4): count, sum and xor of the ids of the samples that were really
// delivered, over all ranks. At an epoch's end they must equal their closed form, or samples were lost or repeated.
#include <cstdint>
#include <map>
#include <vector>

#include "distributed/communicator.h"
#include "io/checkpoint.h"
#include "io/dataset.h"

namespace convoy {

class EpochLedgers {
 public:
  explicit EpochLedgers(const Dataset& dataset);
  /// Ledgers of open epochs from a checkpoint: the totals of all ranks.
  void restore(const std::vector<EpochLedger>& open);
  /// What this rank delivered.
  void add(const std::vector<EpochLedger>& delivered);
  /// Collective: sums what the ranks delivered in the epochs [first, last] since the last call.
  void merge(std::int64_t first, std::int64_t last, Communicator& world);
  /// Totals of the open epochs, ascending. Call after merge.
  std::vector<EpochLedger> open() const;
  /// Throws Error that says what differs; then forgets the epoch.
  void close(std::int64_t epoch);
  /// Epochs up to this one began with another stream (--allow-changed): they are closed unchecked.
  void excuse(std::int64_t epoch) { excused_ = epoch; }

 private:
  EpochLedger expected_;
  std::int64_t excused_ = -1;
  std::map<std::int64_t, EpochLedger> totals_, mine_;
};

}  // namespace convoy
