#pragma once
// The units of an asynchronous run: micro-batch v of step s is unit s V + v. Each is begun by some worker and finished once,
// whoever dies.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace convoy {

class Units {
 public:
  /// Units [0, total).
  explicit Units(std::int64_t total) : total_(total) {}
  /// All below `watermark`, and those of `above`, are finished.
  void restore(std::int64_t watermark, const std::vector<std::int64_t>& above);

  /// A unit below `limit` for this worker to begin; the one it was told to expect, if that is still to be had.
  std::optional<std::int64_t> begin(int worker, std::int64_t limit);
  /// The unit that this worker is likely to begin next.
  std::optional<std::int64_t> expect(int worker);
  /// Begun, and will not be finished by who began it.
  void give_back(std::int64_t unit);
  /// The worker begins no more.
  void forget(int worker);
  /// Finished: by whoever, or left out.
  void finish(std::int64_t unit);

  std::int64_t total() const { return total_; }
  bool all_finished() const { return watermark_ == total_; }
  bool is_finished(std::int64_t unit) const { return unit < watermark_ || above_.contains(unit); }
  /// The first that is not finished.
  std::int64_t watermark() const { return watermark_; }
  /// Those above it that are.
  const std::set<std::int64_t>& above() const { return above_; }
  std::int64_t finished() const { return watermark_ + static_cast<std::int64_t>(above_.size()); }

 private:
  std::optional<std::int64_t> take_first(std::int64_t limit);

  std::int64_t total_ = 0, watermark_ = 0;
  std::set<std::int64_t> above_;
  std::int64_t fresh_ = 0;                       // the first that nobody was told of
  std::set<std::int64_t> returned_;              // below fresh_, to be begun
  std::map<int, std::int64_t> expected_;         // by worker
};

}  // namespace convoy
