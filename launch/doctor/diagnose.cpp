#include "launch/doctor/diagnose.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "launch/doctor/deaths.h"
#include "launch/errors.h"

namespace convoy {
namespace {

constexpr double kLongWait = 5;       // seconds: shorter waits for a peer are everyday
constexpr double kSilent = 10;        // seconds without a copy, while the others go on
constexpr double kMpirunTakes = 5;    // seconds at most, to end the other ranks after one died
constexpr double kLongOp = 60;        // seconds in one thing, with nobody waiting

const RingReading* ring_of(const RunEvidence& evidence, int rank) {
  for (const RingReading& ring : evidence.life.rings)
    if (ring.identity.rank == rank) return &ring;
  return nullptr;
}

std::string address(const RingReading& ring) {
  return fmt::format("rank {} (process {} on host {})", ring.identity.rank, ring.identity.pid, ring.identity.host);
}

std::string in_step(const RingReading& ring) {
  return ring.step.step < 0 ? "before its first step" : fmt::format("in step {}", ring.step.step);
}

std::string ranks_text(const std::vector<int>& ranks) {
  return (ranks.size() == 1 ? "rank " : "ranks ") + list_of_ranks(ranks);
}

/// The rank that was writing a checkpoint; none: nobody was.
std::optional<RankStanding> writer_of_checkpoint(const RunEvidence& evidence) {
  for (const RingReading& ring : evidence.life.rings)
    if (RankStanding standing = standing_of(ring); !standing.checkpoint.empty() && !ring.finished) return standing;
  return std::nullopt;
}

std::vector<RankStanding> standings(const RunEvidence& evidence) {
  std::vector<RankStanding> all;
  for (const RingReading& ring : evidence.life.rings) all.push_back(standing_of(ring));
  return all;
}

/// "ranks 0, 1 and 3 wait for rank 2, which has been reading train-00002.h5 for 41 s"
std::string tell(const WaitingRoot& root, const RunEvidence& evidence, bool now) {
  const std::string waited = fmt::format("{} {} for", ranks_text(root.waiting),
                                         now ? (root.waiting.size() == 1 ? "waits" : "wait")
                                             : (root.waiting.size() == 1 ? "waited" : "waited"));
  if (root.roots.size() > 1)
    return fmt::format("ranks {} {} for each other ({} so far)", list_of_ranks(root.roots), now ? "wait" : "waited",
                       duration_text(root.seconds));
  const RingReading* ring = ring_of(evidence, root.roots.front());
  if (!ring) return fmt::format("{} rank {} ({}), which left no flight recorder file", waited, root.roots.front(),
                                duration_text(root.seconds));
  const RankStanding standing = standing_of(*ring);
  return fmt::format("{} {} for {}, which {} {} for {}, {}", waited, address(*ring), duration_text(root.seconds),
                     now ? "has been" : "had been", standing.doing, duration_text(standing.for_seconds), in_step(*ring));
}

void add_wait_chain(const RunEvidence& evidence, Verdict& verdict) {
  if (const auto root = find_waiting_root(standings(evidence), kLongWait)) {
    verdict.details.push_back("when last seen, " + tell(*root, evidence, false));
    if (verdict.rank < 0 && root->roots.size() == 1) verdict.rank = root->roots.front();
  }
}

/// Who fell silent before the others, as a sentence; empty: nobody did.
std::string first_death_text(const RunEvidence& evidence, const Deaths& deaths) {
  const std::string when = date_text(deaths.last_seen_ns) + " UTC";
  if (deaths.first.size() > 1)
    return fmt::format("{}{} died first, together, at {}",
                       deaths.whole_host ? fmt::format("host {} was lost: ", fmt::join(deaths.hosts, ", ")) : "",
                       ranks_text(deaths.first), when);
  const RingReading& ring = *ring_of(evidence, deaths.first.front());
  const RankStanding standing = standing_of(ring);
  const char* end = deaths.others_later > kMpirunTakes ? "fell silent first" : "died first";
  return fmt::format("{} {}, {} at {}, while it was {} (for {})", address(ring),
                     evidence.life.rings.size() == 1 ? "died" : end, in_step(ring), when, standing.doing,
                     duration_text(standing.for_seconds));
}

std::string all_died_text(const RunEvidence& evidence, const Deaths& deaths) {
  const RingReading& ring = *ring_of(evidence, deaths.first.front());
  const std::string suspects = deaths.hosts.size() == 1 ? fmt::format("host {}, the job or mpirun", deaths.hosts.front())
                                                        : std::string("the job or mpirun");
  return fmt::format("all {} ranks ended together at {} UTC, {}: {} was killed", deaths.first.size(),
                     date_text(deaths.last_seen_ns), in_step(ring), suspects);
}

void judge_crash(const RunEvidence& evidence, Verdict& verdict) {
  verdict.outcome = Outcome::crashed;
  const Deaths deaths = find_deaths(evidence.life.rings, kTogetherInSilenceNs);
  if (deaths.first.empty()) {
    verdict.sentence = fmt::format("crashed: every rank left in order at {} UTC, yet there is no status.json (removed, or "
                                   "the disk was full)",
                                   date_text(evidence.life.rings.front().last_copy_ns));
    return;
  }
  if (deaths.first.size() == 1) verdict.rank = deaths.first.front();
  const bool together = deaths.all && deaths.first.size() > 1;
  verdict.sentence = "crashed: " + (together ? all_died_text(evidence, deaths) : first_death_text(evidence, deaths));
  if (const auto writer = writer_of_checkpoint(evidence)) {
    if (verdict.sentence.find(writer->checkpoint) == std::string::npos)
      verdict.sentence += fmt::format("; rank {} was {}", writer->rank, writer->checkpoint);
    verdict.details.push_back("it ended while a checkpoint was written; a checkpoint appears whole or not at all, so the "
                              "newest one below counts");
  }
  if (!deaths.all && deaths.others_later > 0)
    verdict.details.push_back(fmt::format("the last of the others ended {} later", duration_text(deaths.others_later)));
  if (!deaths.finished.empty())
    verdict.details.push_back(fmt::format("{} had left in order", ranks_text(deaths.finished)));
  if (!together && deaths.others_later > kMpirunTakes)
    verdict.details.push_back("mpirun ends the others within seconds of a death, so this rank was rather stopped (SIGSTOP), or "
                              "its host or file system was lost");
  else if (!together)
    verdict.details.push_back(fmt::format("it left no message: a fault of the program, or killed from outside (kill -9, the "
                                          "kernel's out-of-memory killer: see dmesg on {})",
                                          fmt::join(deaths.hosts, ", ")));
  add_wait_chain(evidence, verdict);
}

void judge_without_files(const RunEvidence& evidence, Verdict& verdict) {
  const bool began = evidence.life.mark.life > 0 || evidence.metrics || !evidence.checkpoints.empty() || evidence.has_config;
  verdict.outcome = began ? Outcome::crashed : Outcome::never_began;
  if (!began) {
    verdict.sentence = "never began: the folder holds neither a status nor a config, and no process is at work in it";
    return;
  }
  verdict.sentence =
      evidence.life.mark.life > 0 && !evidence.life.mark.began.empty()
          ? fmt::format("crashed: life {}, begun at {}, left neither status.json nor flight recorder files: it died at its "
                        "start, or the file system was lost",
                        evidence.life.mark.life, evidence.life.mark.began)
          : "crashed: no status.json, nobody holds the run's lock, and there are no flight recorder files to tell more";
}

void judge_status(const RunEvidence& evidence, Verdict& verdict) {
  const RunStatus& status = *evidence.life.status;
  verdict.rank = status.rank;
  const std::string where = fmt::format("step {} (epoch {:.2f}), {}", status.step, status.epoch, status.time);
  switch (status.status) {
    case kDone:
      verdict.outcome = Outcome::done;
      verdict.sentence = "done: " + where + (status.reason == "done" ? "" : "; " + status.reason);
      return;
    case kStoppedEarly:
      verdict.outcome = Outcome::stopped;
      verdict.sentence = fmt::format("stopped by a signal after {}, with a checkpoint: {}", where, status.checkpoint);
      return;
    case kWrongUsage:
      verdict.outcome = Outcome::refused;
      verdict.sentence = "refused: " + status.reason;
      return;
    case kBadData:
      verdict.outcome = Outcome::bad_data;
      verdict.sentence = "bad data: " + status.reason;
      return;
    default: break;
  }
  verdict.outcome = Outcome::failed;
  verdict.sentence = fmt::format("failed{} after {}: {}", status.rank < 0 ? "" : fmt::format(" on rank {}", status.rank),
                                 where, status.reason);
  const Deaths deaths = find_deaths(evidence.life.rings, kTogetherNs);
  if (!deaths.first.empty() && !deaths.all && deaths.first.size() * 2 <= evidence.life.rings.size())
    verdict.details.push_back("by the flight recorder, " + first_death_text(evidence, deaths) +
                              fmt::format("; the last of the others ended {} later", duration_text(deaths.others_later)));
  add_wait_chain(evidence, verdict);
}

/// Ranks whose file stands still while the newest goes on; or all, when the reader's clock says so.
std::vector<int> silent_ranks(const RunEvidence& evidence) {
  std::int64_t newest = 0;
  for (const RingReading& ring : evidence.life.rings) newest = std::max(newest, ring.last_copy_ns);
  const std::int64_t reference = std::max(newest, evidence.now_ns);
  std::vector<int> silent;
  for (const RingReading& ring : evidence.life.rings)
    if (!ring.finished && 1e-9 * static_cast<double>(reference - ring.last_copy_ns) > kSilent)
      silent.push_back(ring.identity.rank);
  return silent;
}

std::string last_words(const RingReading& ring) {
  const RankStanding standing = standing_of(ring);
  return fmt::format("{}, last seen {} UTC {}, {}", address(ring), date_text(ring.last_copy_ns), in_step(ring), standing.doing);
}

bool judge_stopped_process(const RunEvidence& evidence, Verdict& verdict) {
  for (const auto& [rank, state] : evidence.process_state) {
    const RingReading* ring = ring_of(evidence, rank);
    if ((state != 'T' && state != 't') || !ring) continue;
    verdict.outcome = Outcome::hanging;
    verdict.rank = rank;
    verdict.sentence = fmt::format("running, but rank {} is stopped (SIGSTOP or a debugger): {}", rank, last_words(*ring));
    verdict.next = fmt::format("kill -CONT {}     # on host {}", ring->identity.pid, ring->identity.host);
    return true;
  }
  return false;
}

bool judge_silence(const RunEvidence& evidence, Verdict& verdict) {
  const std::vector<int> silent = silent_ranks(evidence);
  if (silent.empty()) return false;
  const RingReading& ring = *ring_of(evidence, silent.front());
  verdict.outcome = Outcome::hanging;
  if (silent.size() == evidence.life.rings.size() && silent.size() > 1) {
    verdict.sentence = fmt::format("no sign of life from any of {} ranks since {} UTC, though the run's lock is held: the "
                                   "machines or their file system are lost, or their clocks differ from this one's",
                                   silent.size(), date_text(ring.last_copy_ns));
    return true;
  }
  if (silent.size() == 1) verdict.rank = silent.front();
  verdict.sentence = fmt::format("running, but {} {} silent: dead, stopped, or without its host or file system; {}",
                                 ranks_text(silent), silent.size() == 1 ? "is" : "are", last_words(ring));
  verdict.next = fmt::format("look at process {} on host {}: kill -CONT lets a stopped one go on, kill -9 ends the run, "
                             "which --resume=latest then continues",
                             ring.identity.pid, ring.identity.host);
  return true;
}

void judge_progress(const RunEvidence& evidence, Verdict& verdict) {
  const std::vector<RankStanding> all = standings(evidence);
  if (const auto root = find_waiting_root(all, kLongWait)) {
    verdict.outcome = Outcome::hanging;
    if (root->roots.size() == 1) verdict.rank = root->roots.front();
    verdict.sentence = "running, but " + tell(*root, evidence, true);
    return;
  }
  std::int64_t step = -1;
  for (const RingReading& ring : evidence.life.rings) step = std::max(step, ring.step.step);
  verdict.outcome = Outcome::running;
  verdict.sentence = fmt::format("running: {} {}, {}", all.size(), all.size() == 1 ? "rank" : "ranks",
                                 step < 0 ? "before the first step" : fmt::format("step {} under way", step));
  const auto slowest = std::max_element(all.begin(), all.end(), [](auto& a, auto& b) { return a.for_seconds < b.for_seconds; });
  if (slowest->for_seconds > kLongOp)
    verdict.details.push_back(fmt::format("rank {} has been {} for {}", slowest->rank, slowest->doing,
                                          duration_text(slowest->for_seconds)));
}

void judge_running(const RunEvidence& evidence, Verdict& verdict) {
  verdict.next = fmt::format("convoy doctor {}     # again, to see it move", evidence.run.string());
  const bool old = std::all_of(evidence.life.rings.begin(), evidence.life.rings.end(), [](auto& ring) { return ring.finished; });
  if (old) {
    verdict.outcome = Outcome::running;
    verdict.sentence = fmt::format("running: {} holds the run's lock{}",
                                   evidence.lock.holder.empty() ? "a process" : evidence.lock.holder,
                                   evidence.life.rings.empty() ? "; there are no flight recorder files yet"
                                                               : ", and its ranks have left in order: it is ending");
    return;
  }
  if (!judge_stopped_process(evidence, verdict) && !judge_silence(evidence, verdict)) judge_progress(evidence, verdict);
  const auto size = static_cast<std::size_t>(evidence.life.rings.front().identity.size);
  if (evidence.life.rings.size() < size)
    verdict.details.push_back(fmt::format("flight recorder files of {} of {} ranks are here: the others are starting, or "
                                          "cannot write to this folder",
                                          evidence.life.rings.size(), size));
}

bool is_running(const RunEvidence& evidence) {
  if (evidence.lock.state != LockState::unknown) return evidence.lock.state == LockState::held;
  const auto lives = [&](const RingReading& ring) {
    return !ring.finished && 1e-9 * static_cast<double>(evidence.now_ns - ring.last_copy_ns) < kSilent;
  };
  return std::any_of(evidence.life.rings.begin(), evidence.life.rings.end(), lives);
}

void judge(const RunEvidence& evidence, Verdict& verdict) {
  if (evidence.life.status) {
    judge_status(evidence, verdict);
    if (evidence.lock.state == LockState::held)
      verdict.details.push_back("a process still holds the run's lock: it is ending, or a new life begins");
  } else if (is_running(evidence)) {
    judge_running(evidence, verdict);
  } else if (evidence.life.rings.empty()) {
    judge_without_files(evidence, verdict);
  } else {
    judge_crash(evidence, verdict);
  }
}

std::vector<RankRow> rows_of(const std::vector<RingReading>& rings) {
  std::vector<RankRow> rows;
  for (const RingReading& ring : rings) {
    const RankStanding standing = standing_of(ring);
    rows.push_back({.rank = ring.identity.rank,
                    .host = ring.identity.host,
                    .pid = ring.identity.pid,
                    .last_seen_ns = ring.last_copy_ns,
                    .step = ring.step.step,
                    .activity = std::string(name_of(ring.finished ? trace::Activity::end : standing.record.activity)),
                    .what = ring.finished ? "left in order" : standing.doing,
                    .seconds = ring.finished ? 0 : standing.for_seconds,
                    .finished = ring.finished});
  }
  return rows;
}

void tell_members(const RunEvidence& evidence, Verdict& verdict) {
  for (const MemberEvidence& member : evidence.members) {
    std::string line = fmt::format("member {}: ", member.name);
    if (!member.status)
      line += "has not ended";
    else if (member.status->status == 0)
      line += fmt::format("trained, step {}", member.status->step);
    else
      line += fmt::format("after step {}: {}", member.status->step, member.status->reason);
    if (!member.status || member.status->status != 0)
      line += member.newest_step > 0 ? fmt::format("; newest checkpoint: step {}", member.newest_step) : "; no checkpoint";
    verdict.details.push_back(line);
  }
}

void tell_progress(const RunEvidence& evidence, Verdict& verdict) {
  const auto& checkpoints = evidence.checkpoints;
  const auto good = std::find_if(checkpoints.begin(), checkpoints.end(), [](auto& c) { return !c.looked_at || c.good; });
  for (auto bad = checkpoints.begin(); bad != good; ++bad)
    verdict.details.push_back(fmt::format("the checkpoint of step {} is damaged: convoy checkpoint verify {} names the tensor",
                                          bad->step, evidence.run.string()));
  std::string line = "no checkpoint";
  if (good != checkpoints.end())
    line = fmt::format("newest checkpoint: step {} ({})", good->step, good->looked_at ? "verified" : "not verified: --verify does");
  if (evidence.metrics)
    line += fmt::format("; newest metrics: step {}, loss {:.4g}", evidence.metrics->step, evidence.metrics->loss);
  if (evidence.members.empty())
    verdict.details.push_back(line);
  else
    tell_members(evidence, verdict);
  if (!evidence.jobs.empty()) verdict.details.push_back("lives.log, last line: " + evidence.jobs.back());
}

/// As a shell takes it.
std::string quoted(const std::filesystem::path& path) {
  const std::string text = path.string();
  const auto plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::string_view("._-+=,@/:").find(c) != std::string_view::npos; };
  if (std::all_of(text.begin(), text.end(), plain)) return text;
  std::string inner;
  for (char c : text) inner += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return "'" + inner + "'";
}

/// How to go on from the newest checkpoint, on as many ranks as before.
std::string resume_command(const RunEvidence& evidence) {
  if (!evidence.jobs.empty()) return "submit the same sbatch line again: it goes on from the newest checkpoint";
  const int ranks = evidence.life.rings.empty() ? 1 : evidence.life.rings.front().identity.size;
  if (!evidence.has_config) return "the same command as before, with --resume=latest (the run has no config.cfg yet)";
  return fmt::format("{}convoy train --config={} --run={} --runs={} --resume=latest",
                     ranks > 1 ? fmt::format("mpirun -n {} ", ranks) : "", quoted(evidence.run / "config.cfg"),
                     quoted(evidence.run.filename()), quoted(evidence.run.has_parent_path() ? evidence.run.parent_path() : "."));
}

std::string next_step(const RunEvidence& evidence, Outcome outcome) {
  const std::string run = quoted(evidence.run);
  if (evidence.life.status && !evidence.life.status->again && outcome == Outcome::failed)
    return "mend what the message names, for another life would meet the same; then: " + resume_command(evidence);
  switch (outcome) {
    case Outcome::done: return fmt::format("convoy evaluate --checkpoint={}", run);
    case Outcome::refused: return "mend what the message names, then the same command again";
    case Outcome::bad_data: return "convoy data verify --data.path=DIR names every bad sample; then mend, and: " +
                                   resume_command(evidence);
    case Outcome::never_began: return "convoy train ... --run=" + evidence.run.filename().string();
    default: return resume_command(evidence);
  }
}

/// A command that was refused changed nothing: the run stands as its life before left it.
Verdict before_refusal(RunEvidence evidence, const std::string& refusal) {
  evidence.life = std::move(evidence.earlier.back());
  evidence.earlier.pop_back();
  Verdict verdict = diagnose(evidence);
  verdict.details.insert(verdict.details.begin(), "a later command changed nothing, for it was " + refusal);
  return verdict;
}

/// An earlier life, judged as it lies there.
std::string line_of(const LifeEvidence& life) {
  RunEvidence alone;
  alone.lock.state = LockState::free;
  alone.life = life;
  Verdict verdict;
  judge(alone, verdict);
  return fmt::format("life {}{}{}: {}", life.mark.life, life.mark.began.empty() ? "" : ", begun " + life.mark.began,
                     life.mark.began.empty() ? "" : fmt::format(" from step {}", life.mark.step), verdict.sentence);
}

}  // namespace

Verdict diagnose(const RunEvidence& evidence) {
  Verdict verdict;
  judge(evidence, verdict);
  if (verdict.outcome == Outcome::refused && !evidence.earlier.empty()) return before_refusal(evidence, verdict.sentence);
  tell_progress(evidence, verdict);
  verdict.ranks = rows_of(evidence.life.rings);
  if (verdict.next.empty()) verdict.next = next_step(evidence, verdict.outcome);
  for (const LifeEvidence& life : evidence.earlier) verdict.lives.push_back(line_of(life));
  verdict.problems = evidence.problems;
  return verdict;
}

}  // namespace convoy
