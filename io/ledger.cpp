#include "io/ledger.h"

#include <algorithm>
#include <array>

namespace convoy {

EpochLedger whole_epoch(std::int64_t samples, std::int64_t epoch) {
  const auto n = static_cast<std::uint64_t>(samples);
  // 0 ^ 1 ^ .. ^ (n-1), by (n-1) mod 4.
  const std::array<std::uint64_t, 4> xors{n ? n - 1 : 0, 1, n, 0};
  const std::uint64_t sum = n % 2 == 0 ? n / 2 * (n - 1) : n * ((n - 1) / 2);
  return {epoch, n, n ? sum : 0, n ? xors[(n - 1) % 4] : 0};
}

EpochLedger whole_epoch(const Dataset& dataset, std::int64_t epoch) {
  const DatasetInfo& info = dataset.info();
  if (info.samples == info.stored_samples) return whole_epoch(info.samples, epoch);
  EpochLedger ledger{.epoch = epoch};
  for (std::int64_t index = 0; index < info.samples; ++index) {
    const auto id = static_cast<std::uint64_t>(dataset.id(index));
    ++ledger.count;
    ledger.sum += id;
    ledger.exclusive_or ^= id;
  }
  return ledger;
}

EpochLedger& LedgerBook::entry(std::int64_t epoch) {
  const auto at = std::lower_bound(open_.begin(), open_.end(), epoch,
                                   [](const EpochLedger& ledger, std::int64_t value) { return ledger.epoch < value; });
  if (at != open_.end() && at->epoch == epoch) return *at;
  return *open_.insert(at, EpochLedger{.epoch = epoch});
}

void LedgerBook::add(std::int64_t epoch, std::uint64_t id) {
  EpochLedger& ledger = entry(epoch);
  ++ledger.count;
  ledger.sum += id;
  ledger.exclusive_or ^= id;
}

void LedgerBook::add(const MicroBatch& batch) {
  const auto keys = batch.keys.values<std::uint64_t>();
  const auto weights = batch.weights.values<float>();
  for (std::size_t row = 0; row < weights.size(); ++row)
    if (weights[row] > 0) add(static_cast<std::int64_t>(keys[2 * row]), keys[2 * row + 1]);
}

void LedgerBook::add(const LedgerBook& other) {
  for (const EpochLedger& theirs : other.open_) {
    EpochLedger& ours = entry(theirs.epoch);
    ours.count += theirs.count;
    ours.sum += theirs.sum;
    ours.exclusive_or ^= theirs.exclusive_or;
  }
}

void LedgerBook::add_positions(const SampleOrder& order, const Dataset& dataset, std::int64_t first, std::int64_t last) {
  std::array<std::int64_t, 1024> indices{};
  while (first < last) {
    const auto count = static_cast<std::size_t>(std::min<std::int64_t>(last - first, std::int64_t(indices.size())));
    order.indices(first, std::span(indices).first(count));
    for (std::size_t i = 0; i < count; ++i)
      add(order.epoch_at(first + static_cast<std::int64_t>(i)), static_cast<std::uint64_t>(dataset.id(indices[i])));
    first += static_cast<std::int64_t>(count);
  }
}

EpochLedger LedgerBook::of(std::int64_t epoch) const {
  for (const EpochLedger& ledger : open_)
    if (ledger.epoch == epoch) return ledger;
  return {.epoch = epoch};
}

void LedgerBook::close(std::int64_t epoch) {
  std::erase_if(open_, [&](const EpochLedger& ledger) { return ledger.epoch == epoch; });
}

}  // namespace convoy
