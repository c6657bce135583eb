#pragma once
// --inject: faults on purpose. This header holds the grammar; chaos.h makes the faults happen.
//
//   SPEC    = CLAUSE { ";" CLAUSE }                      blanks do not count
//   CLAUSE  = KIND [ ":" NAME "=" VALUE { "," NAME "=" VALUE } ] [ "@" WHEN ]
//   WHEN    = "step=" N | "step=" A "-" B | "checkpoint" | "checkpoint=" N
//
//   kill    SIGKILLs a rank before step N, or @checkpoint: the rank that writes, while it writes the Nth save
//   stop    SIGSTOPs a rank before step N
//   hang    a rank never enters the reduction of step N; it lives on
//   slow    delays a rank's steps: input=, compute=, reduce= a step, checkpoint= a save; all steps, or those of @step=A-B
//   flip    after the update of step N, flips one bit of the parameter tensor=NAME (whole, or how it begins; or any)
//   enospc  the Nth save meets a full disk
//   eio     the Nth save meets an I/O error
//   nan     sample=ID of the training split (its index as stored) is not a number, whenever it is drawn
//
//   rank=N or rank=any (the default: a seeded choice). step=A-B: a seeded choice, except for slow. Steps count from 1;
//   saves count from 1 in every life of a run, and @checkpoint alone is the first. Durations: 50ms, 200us, 1.5s.
//
// Choices are drawn from Philox by (seed, number of the clause): the same command does the same. All kinds but slow and
// nan strike once in a run, whatever the number of its restarts.
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

enum class InjectKind { kill, stop, hang, slow, flip, enospc, eio, nan };

std::string_view name_of(InjectKind kind);

inline constexpr int kAnyRank = -1;

struct InjectClause {
  InjectKind kind = InjectKind::kill;
  int number = 1;             // place in the list, from 1
  std::string text;           // as given, without blanks
  int rank = kAnyRank;
  std::int64_t first_step = 0, last_step = 0;  // @step=A-B, both 0 where no step was given
  std::int64_t save = 0;      // @checkpoint=N; 0: not at a save
  std::chrono::microseconds input{0}, compute{0}, reduce{0}, checkpoint{0};
  std::string tensor;         // flip
  std::int64_t sample = -1;   // nan

  /// Strikes once in a run; the others lie in its machines (slow) or its data (nan).
  bool once() const { return kind != InjectKind::slow && kind != InjectKind::nan; }
};

/// Throws UsageError that names the clause, what was expected, what was found, and an example.
std::vector<InjectClause> parse_inject(std::string_view spec);

/// What a clause is checked against, and its choices are drawn from.
struct InjectScene {
  int ranks = 1;
  std::uint64_t seed = 1;
  std::int64_t last_step = 0;           // of the run
  std::int64_t samples = 0;             // of the training split as stored: ids are below
  std::function<bool(std::int64_t)> held_out;  // is the sample of this id kept for validation? Null: none is
  std::vector<std::string> parameters;  // names, in the order in which "the first" is meant
};

/// Settles every choice: afterwards `rank` is a rank, `tensor` a parameter's whole name, and first_step == last_step but
/// for slow. (nan has no rank: it strikes whoever draws the sample.) Throws UsageError for what is not on the scene.
std::vector<InjectClause> settle_inject(std::vector<InjectClause> clauses, const InjectScene& scene);

/// The grammar for `convoy train --help`: paragraphs, a blank line between two.
std::string inject_help();

}  // namespace convoy
