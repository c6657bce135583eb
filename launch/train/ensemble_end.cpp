// How an ensemble's run ends: the ranks tell the leader what became of their members, and the leader tells
// them, and the user, what became of the whole.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "distributed/backoff.h"
#include "io/ensemble_file.h"
#include "launch/errors.h"
#include "launch/train/ensemble.h"
#include "launch/train/ensemble_letters.h"

namespace convoy {
namespace {

constexpr std::chrono::seconds kTellEvery{1};  // the leader may change, and a letter be dropped

nlohmann::json json_of(const MemberOutcome& outcome) {
  return {outcome.member, outcome.status, outcome.reason, outcome.rank, outcome.again};
}

MemberOutcome outcome_of(const nlohmann::json& json) {
  return {json.at(0), json.at(1), json.at(2), json.at(3), json.at(4)};
}

std::string dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string letter_of(const MemberOutcome& outcome, Letter kind) {
  return static_cast<char>(kind) + dump(json_of(outcome));
}

MemberOutcome outcome_from(const std::string& letter) {
  return outcome_of(nlohmann::json::parse(letter.substr(1)));
}

/// With mutex_ held, as all of these but end().
int Ensemble::leader() const {
  int rank = 0;
  while (lost_.contains(rank)) ++rank;
  return rank;
}

bool Ensemble::all_are_at_the_end() {
  for (int rank = 0; rank < world_.size(); ++rank)
    if (!lost_.contains(rank) && !at_the_end_.contains(rank)) return false;
  return true;
}

std::string Ensemble::tell_outcomes() const {
  nlohmann::json outcomes = nlohmann::json::array();
  for (const auto& [number, outcome] : outcomes_) outcomes.push_back(json_of(outcome));
  return static_cast<char>(Letter::outcomes) + dump({{"outcomes", outcomes}, {"unmeetable", unmeetable_}});
}

void Ensemble::hear_outcomes(int from, const std::string& text) {
  const auto letter = nlohmann::json::parse(text.substr(1));
  const std::lock_guard lock(mutex_);
  for (const auto& told : letter.at("outcomes")) {
    const MemberOutcome outcome = outcome_of(told);
    const auto [known, is_new] = outcomes_.emplace(outcome.member, outcome);
    if (!is_new && known->second.status == kDone) known->second = outcome;  // who failed knows more
  }
  unmeetable_ = unmeetable_ || letter.at("unmeetable").get<bool>();
  at_the_end_.insert(from);
  changed_.notify_all();
}

int Ensemble::end() {
  const Backoff since;
  std::unique_lock lock(mutex_);
  at_the_end_.insert(world_.rank());
  while (!ended_) {
    if (leader() != world_.rank()) {
      letters_->send(leader(), tell_outcomes());
    } else if (all_are_at_the_end()) {
      account_for_lost_ranks();
      const int status = conclude();
      ended_ = status;
      const std::string word =
          fmt::format("{}{}{}", static_cast<char>(Letter::end), unmeetable_ ? 1 : 0, status);
      for (int rank = 0; rank < world_.size(); ++rank)
        if (rank != world_.rank()) letters_->send(rank, word);
      break;
    } else if (since.waited() > std::chrono::seconds(config_.get<int>("timeout"))) {
      give_up_hung_ranks();
    }
    changed_.wait_for(lock, kTellEvery);
  }
  return *ended_;
}

/// Ranks that a failure is due to, whose teams have ended without them long ago: they hang.
void Ensemble::give_up_hung_ranks() {
  for (const auto& [number, outcome] : outcomes_) {
    const int rank = outcome.rank;
    if (outcome.status == kDone || rank < 0 || lost_.contains(rank) || at_the_end_.contains(rank)) continue;
    const auto is_waited_for = [&](int other) {
      return other == rank || lost_.contains(other) || at_the_end_.contains(other);
    };
    if (const auto team = std::ranges::find_if(
            teams_, [&](const auto& ranks) { return std::ranges::count(ranks, rank) > 0; });
        team != teams_.end() && std::ranges::all_of(*team, is_waited_for)) {
      lost_.emplace(rank, outcome.reason);
      say_of_ensemble(fmt::format("rank {} does not come to the end of the run: going on without it", rank));
    }
  }
}

/// What their teams had not told yet. The first such member was under way.
void Ensemble::account_for_lost_ranks() {
  unmeetable_ = unmeetable_ || !lost_.empty();
  for (const auto& [rank, words] : lost_) {
    for (std::size_t team = 0; team < teams_.size(); ++team) {
      if (std::ranges::count(teams_[team], rank) == 0) continue;
      for (const int number : members_of_team(team)) {
        std::string why_not;
        if (outcomes_.contains(number)) continue;
        if (is_trained(member(number), why_not)) {
          outcomes_[number] = {.member = number};
          continue;
        }
        outcomes_[number] = {.member = number, .status = kFailed, .reason = words, .rank = rank};
        if (rank == teams_[team].front())
          record_failure(member_folder(path_, member(number).name), nullptr, kFailed, words, rank);
        break;
      }
    }
  }
}

/// Writes what the run leaves behind, and says how it ended.
int Ensemble::conclude() {
  RunStatus status = status_of_outcomes();
  try {
    if (status.status == kDone) {
      write_file();
      status.checkpoint = kEnsembleFile;
      say_of_ensemble(fmt::format("done: {} members; {}", members_.size(), (path_ / kEnsembleFile).string()));
    }
  } catch (...) {
    const Failure failure = failure_of(std::current_exception());
    status.status = failure.status;
    status.reason = failure.message;
  }
  if (status.status == kStoppedEarly)
    say_of_ensemble(status.reason);
  else if (status.status != kDone)
    print_failure(status.reason);
  try {
    write_status(path_, status);
  } catch (const std::exception& error) {
    print_failure(fmt::format("status.json could not be written: {}", error.what()));
  }
  return status.status;
}

RunStatus Ensemble::status_of_outcomes() {
  std::vector<std::string> failed;
  std::vector<int> missing;
  std::set<int> statuses;
  bool again = false, stopped = false;
  RunStatus status{.reason = fmt::format("done: {} members", members_.size())};
  for (const Member& member : members_) {
    if (const auto told = read_status(member_folder(path_, member.name))) status.step += told->step;
    if (std::ranges::count(to_train_, member.number) == 0) continue;
    const auto known = outcomes_.find(member.number);
    if (known != outcomes_.end() && known->second.status == kDone) continue;
    missing.push_back(member.number);
    if (known == outcomes_.end()) continue;
    if (known->second.status == kStoppedEarly) {
      stopped = true;
      continue;
    }
    failed.push_back(fmt::format("member {} failed: {}", member.number, known->second.reason));
    statuses.insert(known->second.status);
    again = again || known->second.again;
    if (status.rank < 0) status.rank = known->second.rank;
  }
  if (missing.empty()) return status;
  const std::string standing =
      fmt::format("{} of {} members are trained; missing: {}", members_.size() - missing.size(),
                  members_.size(), fmt::join(missing, ", "));
  if (failed.empty() && (stopped || lost_.empty())) {
    status.status = kStoppedEarly;
    status.reason = fmt::format("stopped by a signal: {}; --resume=latest goes on", standing);
    return status;
  }
  status.status = statuses.size() == 1 ? *statuses.begin() : kFailed;
  status.again = again;
  status.reason =
      fmt::format("{}; {}; --resume=latest trains what is missing", standing, fmt::join(failed, "; "));
  return status;
}

/// ensemble.h5: of every member the checkpoint that its run folder stands for, which no later save deletes.
void Ensemble::write_file() {
  std::vector<EnsembleMember> listed;
  for (const Member& member : members_) {
    const std::filesystem::path folder = member_folder(path_, member.name), file = resolve_checkpoint(folder);
    const Checkpoint checkpoint = read_checkpoint(file);
    CheckpointFolder(file.parent_path()).pin(file);
    listed.push_back({member.name, file.lexically_relative(path_), checkpoint.step, digest_of(checkpoint)});
    say_of_ensemble(fmt::format("member {}: {}, digest {}", member.number, listed.back().file.string(),
                                listed.back().digest));
  }
  write_ensemble(path_ / kEnsembleFile, listed);
}

bool Ensemble::ended_unmeetable() {
  letters_.reset();  // what was written last leaves
  const std::lock_guard lock(mutex_);
  return unmeetable_;
}

}  // namespace convoy
