#pragma once
// The live watch: every rank beats once a second from a helper thread, and none hangs in silence.
//
//   every rank -> rank 0: beat            what its threads do, and how its neighbour (the next rank on its host) is
//   rank 0 -> ranks 1 and R - 1: beat     they judge rank 0, the second one later, in case that the first is gone too
//   a judge -> every rank: question       a beat at once, so that the verdict is up to date
//
// A rank that died, or has not beaten for 10 s, ends the run: one message says who, doing what, since when, and who
// waits for it in what. A rank that beats but lets others wait for 30 s is told, and the run goes on.
//
// Where the ranks go on without one that is lost (`on_lost`), a judge tells every rank instead, and the first of those that are
// left takes rank 0's place where that is the one.
//
// The threads wait for nobody and touch no file. Time counts only while the own process runs: a judge that was itself
// stopped, or whose machine was suspended, blames nobody for that. About ten wakes and one small message a second.
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "distributed/watch/judge.h"
#include "distributed/world.h"

namespace convoy {

/// What a rank did last, from elsewhere than its beats.
struct LastWords {
  int pid = 0;             // whose they are: an older process's are not taken
  Beat beat;               // as it would have been then
  double seconds_ago = 0;  // when that was
};
/// Looks for those of a rank. On a thread that nobody waits for longer than a third of a second: it may read files.
using RecallLastWords = std::function<std::optional<LastWords>(int rank)>;

/// A rank is lost: it died, or has not answered for so long that it is taken for dead. `words`: the sentence about it. Called by the
/// helper thread of every other rank, once for a rank. One that was only stopped is ended by then, or ends when it wakes up.
using OnLost = std::function<void(int rank, const std::string& words)>;

class Watch {
 public:
  /// Collective. `on_late` is called on rank 0, by the helper thread, with one line about ranks that are late. While this
  /// object lives, messages of World::fail() about another rank than the failing one say what that rank was doing, and
  /// a run that fails takes a stopped neighbour with it. `recall`, where given, refers to nothing that may go before the process does.
  /// `on_lost`, where given: lost ranks do not end the run.
  Watch(World& world, const WatchOptions& options, std::function<void(const std::string&)> on_late,
        RecallLastWords recall = nullptr, OnLost on_lost = nullptr);
  /// leave(). Goes before the World does.
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// This rank has come to its end in order: it says so, and its silence means nothing from now on. Not collective.
  void leave();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convoy
