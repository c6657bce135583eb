#pragma once
// What the ranks of an ensemble write to each other (distributed/letters.h), and what they say to the user. For ensemble*.cpp only.
#include <string>

#include "launch/train/ensemble.h"

namespace convoy {

/// The first byte of a letter.
enum class Letter : char {
  failure = 'f',   // to the team: a member's outcome
  stop = 's',      // to all: a signal asked one of them to stop
  outcomes = 'o',  // to the leader: this rank is at the end, and what it knows
  end = 'e',       // by the leader: '0' or '1' (whether some cannot be met), and the exit status
};

std::string letter_of(const MemberOutcome& outcome, Letter kind);
MemberOutcome outcome_from(const std::string& letter);

/// "[ensemble] NEWS" on stderr.
void say_of_ensemble(const std::string& news);

}  // namespace convoy
