#include "launch/train/epoch_ledgers.h"

#include <fmt/format.h>

#include "core/tensor/error.h"

namespace convoy {
namespace {

void accumulate(EpochLedger& into, const EpochLedger& part) {
  into.count += part.count;
  into.sum += part.sum;
  into.exclusive_or ^= part.exclusive_or;
}

}  // namespace

EpochLedgers::EpochLedgers(const Dataset& dataset) {
  const std::int64_t samples = dataset.info().samples;
  expected_.count = static_cast<std::uint64_t>(samples);
  for (std::int64_t index = 0; index < samples; ++index) {
    const auto id = static_cast<std::uint64_t>(dataset.id(index));
    expected_.sum += id;
    expected_.exclusive_or ^= id;
  }
}

void EpochLedgers::restore(const std::vector<EpochLedger>& open) {
  for (const EpochLedger& ledger : open) totals_[ledger.epoch] = ledger;
}

void EpochLedgers::add(const std::vector<EpochLedger>& delivered) {
  for (const EpochLedger& part : delivered) accumulate(mine_.try_emplace(part.epoch).first->second, part);
}

void EpochLedgers::merge(std::int64_t first, std::int64_t last, Communicator& world) {
  const auto epochs = static_cast<std::size_t>(last - first + 1);
  std::vector<std::uint64_t> sums(2 * epochs), exclusive_or(epochs);
  for (std::size_t i = 0; i < epochs; ++i) {
    const auto mine = mine_.find(first + static_cast<std::int64_t>(i));
    if (mine == mine_.end()) continue;
    sums[2 * i] = mine->second.count;
    sums[2 * i + 1] = mine->second.sum;
    exclusive_or[i] = mine->second.exclusive_or;
  }
  mine_.clear();
  world.all_reduce(std::span<std::uint64_t>(sums), ReduceOp::sum);
  world.all_reduce(std::span<std::uint64_t>(exclusive_or), ReduceOp::bit_xor);
  for (std::size_t i = 0; i < epochs; ++i) {
    const std::int64_t epoch = first + static_cast<std::int64_t>(i);
    if (sums[2 * i] == 0) continue;
    EpochLedger& total = totals_[epoch];
    total.epoch = epoch;
    accumulate(total, {epoch, sums[2 * i], sums[2 * i + 1], exclusive_or[i]});
  }
}

std::vector<EpochLedger> EpochLedgers::open() const {
  std::vector<EpochLedger> ledgers;
  for (const auto& [epoch, ledger] : totals_) ledgers.push_back(ledger);
  return ledgers;
}

void EpochLedgers::close(std::int64_t epoch) {
  const EpochLedger total = totals_[epoch];
  if (epoch > excused_ && (total.count != expected_.count || total.sum != expected_.sum || total.exclusive_or != expected_.exclusive_or))
    throw Error(fmt::format("epoch {} did not cover every sample exactly once: {} samples with id sum {} and xor {} "
                            "were delivered where {}, {} and {} were expected; this is a defect of convoy",
                            epoch, total.count, total.sum, total.exclusive_or, expected_.count, expected_.sum,
                            expected_.exclusive_or));
  totals_.erase(epoch);
}

}  // namespace convoy
