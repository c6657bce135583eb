#pragma once
// The verdict on a run: what happened, which rank, why, and what to type next. A pure function of the evidence.
#include <string>
#include <vector>

#include "launch/doctor/evidence.h"
#include "launch/doctor/standing.h"

namespace convoy {

enum class Outcome {
  done,
  stopped,      // by a signal, with a checkpoint
  refused,      // wrong usage or config
  bad_data,
  failed,       // with a message in status.json
  crashed,      // without one
  running,      // and moving
  hanging,      // running, but a rank is stopped, silent, or long waited for
  never_began,
};

/// "done", "bad data", ...
std::string_view name_of(Outcome outcome);

struct RankRow {
  int rank = 0;
  std::string host;
  std::int64_t pid = 0;
  std::int64_t last_seen_ns = 0;  // since 1970
  std::int64_t step = -1;
  std::string activity, what;     // one word; a sentence
  double seconds = 0;             // of that, when last seen
  bool finished = false;
};

struct Verdict {
  Outcome outcome = Outcome::never_began;
  std::string sentence;              // one line
  int rank = -1;                     // that it is about; -1: none, or several
  std::vector<std::string> details;  // sentences
  std::vector<RankRow> ranks;
  std::string next;                  // what to type, or to do
  std::vector<std::string> lives;    // one line for each earlier life, oldest first
  std::vector<std::string> problems;
};

Verdict diagnose(const RunEvidence& evidence);

/// "2025-01-31 12:00:01.250" (UTC)
std::string date_text(std::int64_t ns);
/// "0.02 s", "41 s", "2 h 13 min"
std::string duration_text(double seconds);

/// For people: the sentence, details, a table of ranks, what to type, earlier lives.
std::string to_text(const Verdict& verdict);
/// One JSON object: outcome, sentence, rank or null, details, ranks [{rank, host, pid, last_seen, step or null, activity,
/// what, seconds, finished}], next, lives, problems.
std::string to_json(const Verdict& verdict);

}  // namespace convoy
