#include "launch/train/last_words.h"

#include <chrono>
#include <limits>

#include "core/tensor/error.h"
#include "io/ring_file.h"
#include "io/run_lives.h"

namespace convoy {
namespace {

LastWords last_words_of(const RingReading& reading) {
  const AwakeClock then(reading.last_copy_clock, std::numeric_limits<double>::infinity());
  LastWords words{.pid = static_cast<int>(reading.identity.pid)};
  words.beat = {.step = reading.step.step, .lanes = beats_of(reading.lanes, then)};
  const std::chrono::duration<double> since_1970 = std::chrono::system_clock::now().time_since_epoch();
  words.seconds_ago = std::max(0.0, since_1970.count() - 1e-9 * static_cast<double>(reading.last_copy_ns));
  return words;
}

}  // namespace

RecallLastWords recall_from(const std::filesystem::path& run_folder) {
  return [folder = watch_folder(run_folder)](int rank) -> std::optional<LastWords> {
    try {
      return last_words_of(read_ring(folder / ring_name(rank)));
    } catch (const Error&) {
      return std::nullopt;  // its newest beat must do
    }
  };
}

}  // namespace convoy
