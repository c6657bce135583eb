#pragma once
// The epoch ledger (design: section 4): count, sum and xor of the sample ids that an epoch has seen. All-reduced over the
// ranks at an epoch's end (counts and sums add, xors xor), it must equal the whole epoch's.
#include <vector>

#include "io/checkpoint.h"
#include "io/loader.h"

namespace convoy {

/// The ledger of every sample once: the closed form for a split without held-out samples, a sum over all ids otherwise.
EpochLedger whole_epoch(const Dataset& dataset, std::int64_t epoch);
/// Of ids 0 .. samples - 1, by formula: n(n-1)/2 and the xor's period of four. Sums wrap at 2^64.
EpochLedger whole_epoch(std::int64_t samples, std::int64_t epoch);

/// The ledgers of epochs under way. Not for several threads at once.
class LedgerBook {
 public:
  LedgerBook() = default;
  /// Goes on from a checkpoint's.
  explicit LedgerBook(std::vector<EpochLedger> open) : open_(std::move(open)) {}

  void add(std::int64_t epoch, std::uint64_t id);
  /// Every row of weight above 0, by its key (epoch, id).
  void add(const MicroBatch& batch);
  /// Another book's entries, such as another rank's.
  void add(const LedgerBook& other);
  /// The samples at the positions [first, last) of the stream.
  void add_positions(const SampleOrder& order, const Dataset& dataset, std::int64_t first, std::int64_t last);

  /// The ledger of an epoch; empty where nothing was added.
  EpochLedger of(std::int64_t epoch) const;
  /// Forgets an epoch that is over.
  void close(std::int64_t epoch);
  /// Epochs under way, ascending.
  const std::vector<EpochLedger>& open() const { return open_; }

 private:
  EpochLedger& entry(std::int64_t epoch);
  std::vector<EpochLedger> open_;  // ascending by epoch
};

}  // namespace convoy
