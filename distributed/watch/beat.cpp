#include "distributed/watch/beat.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/tensor/error.h"

namespace convoy {
namespace {

// Fields end with an ASCII unit separator; what a thread does holds no control characters (core/trace/trace.cpp).
constexpr char kEnd = '\x1f';

constexpr std::string_view kMainThread = "main";

class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}
  bool empty() const { return rest_.empty(); }
  std::string_view text() {
    const std::size_t end = rest_.find(kEnd);
    if (end == rest_.npos) throw DataError("a beat of another rank breaks off; every rank must run the same convoy");
    const std::string_view field = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return field;
  }
  std::int64_t number() {
    const std::string_view field = text();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc() || end != field.data() + field.size())
      throw DataError(fmt::format("a beat of another rank holds '{}' for a number; every rank must run the same convoy", field));
    return value;
  }
  double seconds() { return 1e-3 * static_cast<double>(number()); }

 private:
  std::string_view rest_;
};

void put(std::string& bytes, std::string_view field) { bytes.append(field).push_back(kEnd); }
void put(std::string& bytes, std::int64_t number) { put(bytes, fmt::format("{}", number)); }
void put_seconds(std::string& bytes, double seconds) { put(bytes, static_cast<std::int64_t>(1e3 * seconds)); }

int order_of(const LaneBeat& lane) {
  if (lane.activity == trace::Activity::peer) return 0;
  if (works(lane)) return leads(lane) ? 1 : 2;
  return lane.thread == kMainThread ? 3 : 4;
}

}  // namespace

bool works(const LaneBeat& lane) {
  using trace::Activity;
  return lane.activity != Activity::peer && lane.activity != Activity::idle && lane.activity != Activity::end;
}

bool leads(const LaneBeat& lane) { return lane.thread == kMainThread || lane.thread.starts_with("worker"); }

std::vector<LaneBeat> beats_of(const std::vector<trace::Lane>& lanes, const AwakeClock& clock) {
  std::vector<LaneBeat> beats;
  for (const trace::Lane& lane : lanes) {
    const trace::Record& now = lane.now();
    beats.push_back({lane.thread, now.activity, now.what, now.peer, now.step, clock.seconds_since(now.clock)});
  }
  std::stable_sort(beats.begin(), beats.end(), [](const LaneBeat& a, const LaneBeat& b) {
    return order_of(a) != order_of(b) ? order_of(a) < order_of(b) : a.seconds > b.seconds;
  });
  if (beats.size() > kLanesPerBeat) beats.resize(kLanesPerBeat);
  return beats;
}

std::string pack(const Beat& beat) {
  std::string bytes;
  put(bytes, beat.leaving ? 1 : 0);
  put(bytes, beat.step);
  put_seconds(bytes, beat.step_seconds);
  put(bytes, std::string_view(reinterpret_cast<const char*>(&beat.neighbour), 1));
  for (const LaneBeat& lane : beat.lanes) {
    put(bytes, lane.thread);
    put(bytes, static_cast<std::int64_t>(lane.activity));
    put(bytes, lane.what);
    put(bytes, lane.peer);
    put(bytes, lane.step);
    put_seconds(bytes, lane.seconds);
  }
  return bytes;
}

Beat unpack(const std::string& bytes) {
  Fields fields(bytes);
  Beat beat;
  beat.leaving = fields.number() != 0;
  beat.step = fields.number();
  beat.step_seconds = fields.seconds();
  const std::string_view neighbour = fields.text();
  if (neighbour.size() == 1) beat.neighbour = static_cast<ProcessState>(neighbour.front());
  while (!fields.empty()) {
    LaneBeat& lane = beat.lanes.emplace_back();
    lane.thread = fields.text();
    lane.activity = static_cast<trace::Activity>(std::clamp<std::int64_t>(fields.number(), 0, trace::kActivities - 1));
    lane.what = fields.text();
    lane.peer = static_cast<int>(fields.number());
    lane.step = fields.number();
    lane.seconds = fields.seconds();
  }
  return beat;
}

}  // namespace convoy
