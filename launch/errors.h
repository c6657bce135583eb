#pragma once
// From an exception to an exit status and one line on stderr: the only place that decides either.
#include <exception>
#include <string>

#include "distributed/world.h"

namespace convoy {

// Exit statuses (design: section 8).
inline constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2, kBadData = 3, kStoppedEarly = 75;

struct Failure {
  int status = kFailed;
  std::string message;  // one line
  int rank = -1;        // to blame, where that is another rank than the one that throws; -1: it is not
};

/// UsageError 2, DataError 3, everything else 1.
Failure failure_of(const std::exception_ptr& error);

/// "convoy: MESSAGE" on stderr.
void print_failure(const std::string& message);

/// The same for what a rank reported: names it where it is not rank 0 and speaks of itself. World's handlers call this, and
/// nobody else prints, so that a run that fails says so once.
void print_bad_news(const BadNews& news);

/// "[watch] MESSAGE" on stderr.
void print_watch(const std::string& message);

}  // namespace convoy
