#pragma once
// Ranks agree before they part: a failure that one rank alone can see is thrown on every rank, so that none is left
// waiting and one message tells the user.
#include <functional>
#include <string>

#include "core/tensor/error.h"
#include "distributed/communicator.h"

namespace convoy {

/// A failure that every rank throws at the same point. Rank 0 alone speaks of it.
class AgreedError : public Error {
 public:
  AgreedError(int status, int rank, const std::string& message, bool again = true)
      : Error(message), status_(status), rank_(rank), again_(again) {}
  int status() const { return status_; }  // exit status (design: section 8)
  int rank() const { return rank_; }      // whose failure it was
  bool again() const { return again_; }   // whether another life may get further

 private:
  int status_, rank_;
  bool again_;
};

/// Collective: runs `work` on this rank and throws AgreedError on every rank if it threw on any; the lowest such rank's
/// message wins.
void agree(Communicator& world, const std::string& purpose, const std::function<void()>& work);

}  // namespace convoy
