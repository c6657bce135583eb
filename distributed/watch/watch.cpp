#include "distributed/watch/watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <fstream>
#include <mutex>
#include <numeric>
#include <sstream>
#include <thread>
#include <utility>

#include "core/tensor/error.h"
#include "distributed/mailbox.h"
#include "distributed/watch/words.h"

namespace convoy {
namespace {

constexpr double kLongestWake = 1.5;        // beats: longer between two wakes, and this process did not run
constexpr double kSecondJudge = 0.4;        // of the time of silence: by so much later does rank R - 1 judge rank 0
constexpr double kAnswersMayTake = 0.3;     // s, for the beats that a judge asks for
constexpr char kBeat = 'b', kQuestion = '?', kLost = 'x';

/// Equal where processes see each other in /proc.
std::string machine() {
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  char space[64] = "";
  if (::readlink("/proc/self/ns/pid", space, sizeof space - 1) < 0) space[0] = '\0';
  char host[256] = "";
  if (::gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  return fmt::format("{} {} {}", host, boot, space);
}

std::vector<Place> places_of(World& world) {
  std::vector<Place> places;
  world.all().at("the start of the watch", -1);
  const std::string mine = fmt::format("{}\n{}\n{}", ::getpid(), world.host(), machine());
  for (const std::string& text : world.all().all_gather_strings(mine)) {
    std::istringstream lines(text);
    Place& place = places.emplace_back();
    lines >> place.pid >> std::ws;
    std::getline(lines, place.host);
    std::getline(lines, place.machine);
  }
  return places;
}

/// Those who hear the beats of `rank`, one of the `living`, which rise: its judges.
std::vector<int> judges_of(int rank, const std::vector<int>& living) {
  if (living.size() == 1) return {};
  if (rank != living.front()) return {living.front()};
  return living.size() == 2 ? std::vector<int>{living[1]} : std::vector<int>{living[1], living.back()};
}

std::vector<int> judged_by(int rank, const std::vector<int>& living) {
  std::vector<int> ranks;
  for (const int other : living)
    if (const auto judges = judges_of(other, living); std::find(judges.begin(), judges.end(), rank) != judges.end())
      ranks.push_back(other);
  return ranks;
}

std::vector<int> ranks_of(int size) {
  std::vector<int> ranks(static_cast<std::size_t>(size));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

/// Shared with a thread that may hang in a file system.
struct Recalled {
  std::mutex mutex;
  std::optional<LastWords> words;  // guarded by mutex
};

std::shared_ptr<Recalled> start_recall(const RecallLastWords& recall, int rank) {
  if (!recall) return nullptr;
  auto recalled = std::make_shared<Recalled>();
  std::thread([recalled, recall, rank] {
    std::optional<LastWords> words = recall(rank);
    const std::lock_guard lock(recalled->mutex);
    recalled->words = std::move(words);
  }).detach();
  return recalled;
}

}  // namespace

struct Watch::State {
  State(World& of, const WatchOptions& limits, std::function<void(const std::string&)> tell, RecallLastWords look, OnLost lose)
      : world(of),
        options(limits),
        on_late(std::move(tell)),
        recall(std::move(look)),
        on_lost(std::move(lose)),
        me(of.rank()),
        size(of.size()),
        roll(places_of(of)),
        mailbox(size, of.all().deadline()),
        living(ranks_of(size)),
        suspects(judged_by(me, living)),
        neighbour(roll.neighbour_of(me)),
        news(limits) {
    if (neighbour >= 0) process = std::make_unique<WatchedProcess>(roll.place(neighbour).pid);
    set_patience();
  }

  World& world;
  const WatchOptions options;
  const std::function<void(const std::string&)> on_late;
  const RecallLastWords recall;
  const OnLost on_lost;
  const int me, size;
  std::mutex mutex;
  Roll roll;  // guarded by mutex: written by the helper thread, read by that of bad news too
  std::atomic<bool> has_spoken = false;
  const int exceptions_at_start = std::uncaught_exceptions();

  // Of the helper thread alone.
  Mailbox mailbox;
  std::vector<int> living;  // ranks that are not lost
  std::vector<int> suspects;
  double patience = 0;
  int neighbour;
  std::unique_ptr<WatchedProcess> process;  // the neighbour's
  ProcessState seen = ProcessState::unknown;
  AwakeClock clock{trace::now(), kLongestWake * std::chrono::duration<double>(options.beat).count()};
  double since_beat = 1e9;
  std::optional<Suspicion> suspicion;
  double asked = 0;  // s since the question to all, awake
  std::shared_ptr<Recalled> recalled;  // of the suspect
  StallNews news;

  std::mutex stop_mutex;
  std::condition_variable stop_changed;
  bool stop = false;  // guarded by stop_mutex
  std::atomic<bool> in_order = true;
  std::thread thread; // last: it uses all the others

  void run();
  bool sleep();
  void turn();
  void read_letters();
  bool look();
  Beat beat_now();
  void beat();
  void judge();
  void set_patience();
  void lose(int rank, const std::string& words);
  void take_recalled(int rank);
  void tell_late();
  void explain(BadNews& bad);
};

/// Until the next turn; false: it is time to go.
bool Watch::State::sleep() {
  std::unique_lock lock(stop_mutex);
  return !stop_changed.wait_for(lock, options.beat / 10, [&] { return stop; });
}

void Watch::State::run() {
  try {
    do turn();
    while (sleep());
    if (!in_order) return;
    Beat last = beat_now();
    last.leaving = true;
    for (const int judge : judges_of(me, living)) mailbox.send(judge, kBeat + pack(last));
  } catch (const std::exception& error) {
    world.fail(1, fmt::format("the watch of rank {} failed: {}", me, error.what()));
  }
}

void Watch::State::turn() {
  const double passed = clock.tick(trace::now());
  {
    const std::lock_guard lock(mutex);
    roll.pass(passed);
  }
  since_beat += passed;
  asked += passed;
  read_letters();  // all of them before anybody is judged by them
  const bool is_news = look();
  const bool is_due = since_beat >= std::chrono::duration<double>(options.beat).count();
  if (is_news || is_due) beat();
  judge();
  if (is_due && me == living.front()) tell_late();
}

void Watch::State::set_patience() {
  const bool second = me != living.front() && living.size() > 1 && me != living[1];
  patience = second ? kSecondJudge * std::chrono::duration<double>(options.silent).count() : 0;
}

void Watch::State::read_letters() {
  while (const auto letter = mailbox.receive()) {
    if (letter->bytes.starts_with(kQuestion)) {
      mailbox.send(letter->from, kBeat + pack(beat_now()));
    } else if (letter->bytes.starts_with(kBeat) && std::find(living.begin(), living.end(), letter->from) != living.end()) {
      Beat beat = unpack(letter->bytes.substr(1));
      const std::lock_guard lock(mutex);
      roll.heard(letter->from, std::move(beat));
    } else if (letter->bytes.starts_with(kLost)) {
      const std::size_t end = std::min(letter->bytes.find(' '), letter->bytes.size() - 1);
      lose(std::stoi(letter->bytes.substr(1)), letter->bytes.substr(end + 1));
    }
  }
}

/// The others go on without it.
void Watch::State::lose(int rank, const std::string& words) {
  if (rank == me) world.end_alone(1);  // they hold this one for dead; it was stopped, or cut off
  const auto at = std::find(living.begin(), living.end(), rank);
  if (at == living.end()) return;
  living.erase(at);
  if (rank == neighbour) process->kill_if_stopped();
  const std::vector<int> before = std::exchange(suspects, judged_by(me, living));
  {
    const std::lock_guard lock(mutex);
    roll.heard(rank, Beat{.leaving = true});
    for (const int suspect : suspects)  // those that are new to this judge have not been silent towards it
      if (std::find(before.begin(), before.end(), suspect) == before.end()) roll.heard(suspect, roll.of(suspect).beat);
  }
  suspicion.reset();
  set_patience();
  on_lost(rank, words);
}

/// How the neighbour is. True: its judges should know at once.
bool Watch::State::look() {
  if (!process) return false;
  const ProcessState before = std::exchange(seen, process->state());
  const std::lock_guard lock(mutex);
  roll.saw(neighbour, seen);
  return seen != before && (seen == ProcessState::gone || seen == ProcessState::stopped);
}

Beat Watch::State::beat_now() {
  const trace::StepMark mark = trace::step_mark();
  Beat beat{.step = mark.step, .neighbour = seen, .lanes = beats_of(trace::lanes(), clock)};
  if (mark.step >= 0) beat.step_seconds = clock.seconds_since(mark.since);
  return beat;
}

void Watch::State::beat() {
  since_beat = 0;
  const Beat beat = beat_now();
  {
    const std::lock_guard lock(mutex);
    roll.heard(me, beat);
  }
  std::vector<int> to = judges_of(me, living);
  // Rank 0 cannot hear that it is itself in trouble.
  if (neighbour == living.front() && seen != ProcessState::runs)
    for (const int judge : judges_of(neighbour, living)) to.push_back(judge);
  for (const int judge : to)
    if (judge != me) mailbox.send(judge, kBeat + pack(beat));
}

void Watch::State::judge() {
  std::unique_lock lock(mutex);
  const auto now = find_suspicion(roll, options, suspects, patience);
  if (!now || now != suspicion) {
    suspicion = now;
    asked = 0;
    lock.unlock();
    if (!now) return;
    recalled = start_recall(recall, now->rank);
    for (int rank = 0; rank < size; ++rank)
      if (rank != me && rank != now->rank) mailbox.send(rank, std::string(1, kQuestion));
    return;
  }
  // Of a silence the second judge's patience is part; a death it sees when the first one does.
  if (asked < kAnswersMayTake + (now->fault == Fault::died ? patience : 0)) return;
  roll.heard(me, beat_now());
  take_recalled(now->rank);
  const std::string text = verdict_text(roll, *now);
  lock.unlock();
  if (on_lost) {
    for (int rank = 0; rank < size; ++rank)
      if (rank != me) mailbox.send(rank, fmt::format("{}{} {}", kLost, now->rank, text));
    return lose(now->rank, text);
  }
  has_spoken = true;
  world.fail(1, text, {.rank = now->rank, .rank_zero_answers = now->rank != 0});
}

/// What there is by now. With mutex held.
void Watch::State::take_recalled(int rank) {
  if (!recalled) return;
  const std::lock_guard lock(recalled->mutex);
  if (recalled->words && recalled->words->pid == roll.place(rank).pid)
    roll.recalled(rank, recalled->words->beat, recalled->words->seconds_ago + asked);
}

void Watch::State::tell_late() {
  std::string text;
  {
    const std::lock_guard lock(mutex);
    const std::vector<Stall> stalls = find_stalls(roll, options);
    if (!news.worth_telling(stalls)) return;
    text = late_text(roll, stalls, world.all().deadline());
  }
  on_late(text);
}

void Watch::State::explain(BadNews& bad) {
  if (has_spoken || bad.rank == bad.reporter || bad.rank < 0 || bad.rank >= size) return;
  const std::lock_guard lock(mutex);
  if (roll.of(bad.rank).heard) bad.reason += "; " + explanation(roll, options, bad.rank);
}

Watch::Watch(World& world, const WatchOptions& options, std::function<void(const std::string&)> on_late,
             RecallLastWords recall, OnLost on_lost)
    : state_(std::make_unique<State>(world, options, std::move(on_late), std::move(recall), std::move(on_lost))) {
  State& state = *state_;
  world.explain_bad_news([&state](BadNews& bad) { state.explain(bad); });
  if (state.process) world.at_bad_end([&state] { state.process->kill_if_stopped(); });
  state.thread = std::thread([&state] { state.run(); });
}

Watch::~Watch() {
  // A rank that an exception takes away does not leave in order.
  if (std::uncaught_exceptions() > state_->exceptions_at_start) state_->in_order = false;
  leave();
  state_->world.explain_bad_news(nullptr);
  state_->world.at_bad_end(nullptr);
}

void Watch::leave() {
  {
    const std::lock_guard lock(state_->stop_mutex);
    state_->stop = true;
  }
  state_->stop_changed.notify_all();
  if (state_->thread.joinable()) state_->thread.join();
}

}  // namespace convoy
