#include "distributed/server/units.h"

#include <algorithm>

namespace convoy {

void Units::restore(std::int64_t watermark, const std::vector<std::int64_t>& above) {
  watermark_ = fresh_ = watermark;
  above_ = {above.begin(), above.end()};
}

/// The first that nobody expects or has begun.
std::optional<std::int64_t> Units::take_first(std::int64_t limit) {
  if (!returned_.empty() && *returned_.begin() < limit) return returned_.extract(returned_.begin()).value();
  while (fresh_ < total_ && is_finished(fresh_)) ++fresh_;
  if (fresh_ < std::min(limit, total_)) return fresh_++;
  return std::nullopt;
}

std::optional<std::int64_t> Units::begin(int worker, std::int64_t limit) {
  const auto take = [&](std::map<int, std::int64_t>::iterator expected) {
    const std::int64_t unit = expected->second;
    expected_.erase(expected);
    return unit;
  };
  if (const auto own = expected_.find(worker); own != expected_.end() && own->second < limit) return take(own);
  if (const auto unit = take_first(limit)) return unit;
  const auto first = std::ranges::min_element(expected_, {}, [](const auto& entry) { return entry.second; });
  if (first != expected_.end() && first->second < limit) return take(first);  // who expected it is slower
  return std::nullopt;
}

std::optional<std::int64_t> Units::expect(int worker) {
  if (const auto own = expected_.find(worker); own != expected_.end()) return own->second;
  const auto unit = take_first(total_);
  if (unit) expected_[worker] = *unit;
  return unit;
}

void Units::give_back(std::int64_t unit) {
  if (!is_finished(unit)) returned_.insert(unit);
}

void Units::forget(int worker) {
  if (const auto own = expected_.find(worker); own != expected_.end()) {
    give_back(own->second);
    expected_.erase(own);
  }
}

void Units::finish(std::int64_t unit) {
  if (is_finished(unit)) return;
  returned_.erase(unit);
  std::erase_if(expected_, [&](const auto& entry) { return entry.second == unit; });
  above_.insert(unit);
  while (!above_.empty() && *above_.begin() == watermark_) {
    above_.erase(above_.begin());
    ++watermark_;
  }
}

}  // namespace convoy
