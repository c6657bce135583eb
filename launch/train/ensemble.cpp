#include "launch/train/ensemble.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/tensor/error.h"
#include "distributed/reduction.h"
#include "io/ensemble_file.h"
#include "launch/errors.h"
#include "launch/printable.h"
#include "launch/train/agreement.h"
#include "launch/train/ensemble_letters.h"
#include "launch/train/signals.h"

namespace convoy {
namespace {

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

void say_of_ensemble(const std::string& news) {
  fmt::print(stderr, "[ensemble] {}\n", printable(news));
  std::fflush(stderr);
}

Ensemble::Ensemble(const Config& config, World& world)
    : config_(config), world_(world), members_(members_of(config)) {
  agree(world.all(), "the run folder", [&] {
    if (world.rank() != 0) return;
    folder_ = std::make_unique<RunFolder>(config.get<std::filesystem::path>("runs"),
                                          config.get<std::string>("run"), RunFolder::Kind::ensemble);
    path_ = std::filesystem::absolute(folder_->path());
    for (const std::string& warning : folder_->warnings()) fmt::print(stderr, "[run] {}\n", warning);
  });
  path_ = world.all().broadcast_string(path_.string(), 0);
  letters_ =
      std::make_unique<Letters>(world, [this](int from, const std::string& text) { read_letter(from, text); });
}

Ensemble::~Ensemble() = default;

/// Done, by this very config, and whole. What is done otherwise goes through the trainer, which finds out what
/// there is to do.
bool Ensemble::is_trained(const Member& member, std::string& why_not) const {
  const std::filesystem::path folder = member_folder(path_, member.name);
  try {
    const auto status = read_status(folder);
    if (!status || status->status != kDone || text_of(folder / "config.cfg") != member.config.text())
      return false;
    const std::filesystem::path last = folder / status->checkpoint, chosen = resolve_checkpoint(folder);
    read_checkpoint(last);
    if (chosen != last) read_checkpoint(chosen);
    return true;
  } catch (const Error& error) {
    why_not = error.what();
    return false;
  }
}

/// Collective. Which members are to be trained, and by whom.
void Ensemble::plan() {
  std::string text;
  agree(world_.all(), "the members of the ensemble", [&] {
    if (!folder_) return;
    folder_->start_members(config_.get<std::string>("resume").empty());
    folder_->write_config(config_.text());
    nlohmann::json numbers = nlohmann::json::array();
    for (const Member& member : members_) {
      std::string why_not;
      if (!is_trained(member, why_not)) numbers.push_back(member.number);
      if (!why_not.empty())
        say_of_ensemble(fmt::format("member {} was trained, but is trained again: {}", member.number, why_not));
    }
    text = numbers.dump();
  });
  to_train_ = nlohmann::json::parse(world_.all().broadcast_string(text, 0)).get<std::vector<int>>();
  const int count = std::min(world_.size(), static_cast<int>(to_train_.size()));
  const std::lock_guard lock(mutex_);
  for (int team = 0; team < count; ++team) {
    const auto [first, last] = share_of(team, count, 0, world_.size());
    std::vector<int>& ranks = teams_.emplace_back();
    for (int rank = first; rank < last; ++rank) ranks.push_back(rank);
    if (first <= world_.rank() && world_.rank() < last) team_ = static_cast<std::size_t>(team);
  }
}

std::vector<int> Ensemble::members_of_team(std::size_t team) const {
  std::vector<int> numbers;
  for (std::size_t i = team; i < to_train_.size(); i += teams_.size()) numbers.push_back(to_train_[i]);
  return numbers;
}

void Ensemble::introduce(const Team& whole) {
  if (whole.rank() != 0) return;
  const std::size_t trained = members_.size() - to_train_.size();
  say_of_ensemble(fmt::format(
      "{} members{}{}", members_.size(),
      trained > 0 ? fmt::format(", {} of them trained already", trained) : "",
      teams_.empty() ? "" : fmt::format("; {} team{} of ranks", teams_.size(), teams_.size() == 1 ? "" : "s")));
  for (std::size_t team = 0; team < teams_.size(); ++team) {
    const std::vector<int>& ranks = teams_[team];
    const std::vector<int> numbers = members_of_team(team);
    say_of_ensemble(fmt::format("rank{} {} train{} member{} {}", ranks.size() == 1 ? "" : "s",
                                fmt::join(ranks, ", "), ranks.size() == 1 ? "s" : "",
                                numbers.size() == 1 ? "" : "s", fmt::join(numbers, ", ")));
  }
}

int Ensemble::run(const Team& whole) {
  plan();
  introduce(whole);
  if (!teams_.empty()) {
    auto ranks = whole.all().split(static_cast<int>(team_), whole.rank());
    {
      const std::lock_guard lock(mutex_);
      team_ranks_ = std::move(ranks);
      if (std::ranges::any_of(teams_[team_], [&](int rank) { return lost_.contains(rank); }))
        team_ranks_->interrupt();
    }
    train_members(whole);
  }
  return end();
}

void Ensemble::train_members(const Team& whole) {
  for (const int number : members_of_team(team_))
    if (!train_member(member(number), whole)) return;
}

/// False: this team trains no further one, for it was told to stop, or a rank of it is not there.
bool Ensemble::train_member(const Member& member, const Team& whole) {
  std::unique_ptr<Communicator> ranks;
  double stop = stop_is_asked() ? 1 : 0;
  try {
    team_ranks_->set_deadline(std::chrono::seconds(3 * config_.get<int>("timeout")));
    team_ranks_->at(fmt::format("the start of member {}", member.number), -1);
    ranks = team_ranks_->split(0, team_ranks_->rank());
    ranks->all_reduce(std::span<double>(&stop, 1), ReduceOp::max);
  } catch (const PeerError& error) {
    if (whole.rank() == teams_[team_].front())
      say_of_ensemble(fmt::format("member {} is not begun: {}", member.number, error.what()));
    return false;
  }
  if (stop > 0) return false;
  const MemberOutcome outcome = run_member(member, *ranks, whole);
  {
    const std::lock_guard lock(mutex_);
    outcomes_[member.number] = outcome;
    if (parted(member.number)) static_cast<void>(ranks.release());  // messages are under way in it
  }
  if (whole.rank() == teams_[team_].front())
    say_of_ensemble(
        fmt::format("member {}: {}", member.number, outcome.status == kDone ? "trained" : outcome.reason));
  if (outcome.status == kStoppedEarly) tell_all_to_stop();
  return outcome.status != kStoppedEarly;
}

MemberOutcome Ensemble::run_member(const Member& member, Communicator& ranks, const Team& whole) {
  const int number = member.number;
  const auto fail = [&, number](int status, const std::string& reason, const Blame& blame) {
    const int rank = blame.rank < 0 ? world_.rank() : blame.rank;
    throw PeerError(
        fail_member(number, {.member = number, .status = status, .reason = reason, .rank = rank}).reason, rank);
  };
  begin_member(number, &ranks);
  std::unique_ptr<Team> team;
  std::unique_ptr<ModelRun> run;
  MemberOutcome outcome{.member = number};
  try {
    team = std::make_unique<Team>(ranks, whole, fmt::format("member {}", number), fail);
    run = std::make_unique<ModelRun>(member.config, ranks);
    outcome.status = run->train(*team);
    if (outcome.status == kStoppedEarly) outcome.reason = "stopped by a signal";
  } catch (const AgreedError& error) {
    const int rank = error.rank() < 0 ? -1 : teams_[team_][static_cast<std::size_t>(error.rank())];
    outcome = {number, error.status(), error.what(), rank, error.again()};
  } catch (...) {
    const Failure failure = failure_of(std::current_exception());
    const int rank = failure.rank < 0 ? world_.rank() : failure.rank;
    outcome = fail_member(
        number, {.member = number, .status = failure.status, .reason = failure.message, .rank = rank});
    if (run && ranks.rank() == 0) run->record_failure(outcome.status, outcome.reason, outcome.rank);
  }
  begin_member(0, nullptr);
  const std::lock_guard lock(mutex_);
  if (parted(number)) {  // their buffers may still be read and written: they stay, to the end of the process
    static_cast<void>(run.release());
    static_cast<void>(team.release());
    unmeetable_ = true;
  }
  return outcome;
}

/// Whether the ranks of this team left a member at different points. With mutex_ held.
bool Ensemble::parted(int number) const { return teams_[team_].size() > 1 && failures_.contains(number); }

/// 0: none is under way.
void Ensemble::begin_member(int number, Communicator* ranks) {
  const std::lock_guard lock(mutex_);
  under_way_ = number;
  its_ranks_ = ranks;
  if (ranks && failures_.contains(number)) ranks->interrupt();  // another rank was quick
}

/// The member's first failure: this one, or what another rank has told before. The team hears of it, and none
/// of it waits any longer.
MemberOutcome Ensemble::fail_member(int number, const MemberOutcome& failure) {
  const std::lock_guard lock(mutex_);
  const auto [first, is_new] = failures_.emplace(number, failure);
  if (under_way_ == number) its_ranks_->interrupt();
  if (is_new)
    for (const int rank : teams_[team_])
      if (rank != world_.rank()) letters_->send(rank, letter_of(first->second, Letter::failure));
  return first->second;
}

void Ensemble::tell_all_to_stop() {
  for (int rank = 0; rank < world_.size(); ++rank)
    if (rank != world_.rank()) letters_->send(rank, std::string(1, static_cast<char>(Letter::stop)));
}

void Ensemble::lost(int rank, const std::string& words) {
  const std::lock_guard lock(mutex_);
  if (!lost_.emplace(rank, words).second) return;
  if (leader() == world_.rank()) say_of_ensemble(fmt::format("{}; the other teams go on", words));
  if (!teams_.empty() && std::ranges::count(teams_[team_], rank) > 0) {
    if (under_way_ > 0) failures_.emplace(under_way_, MemberOutcome{under_way_, kFailed, words, rank, true});
    if (team_ranks_) team_ranks_->interrupt();
  }
  changed_.notify_all();
}

void Ensemble::read_letter(int from, const std::string& text) {
  switch (static_cast<Letter>(text.front())) {
    case Letter::failure: {
      const MemberOutcome failure = outcome_from(text);
      const std::lock_guard lock(mutex_);
      failures_.emplace(failure.member, failure);
      if (under_way_ == failure.member) its_ranks_->interrupt();
      return;
    }
    case Letter::stop:
      return ask_to_stop();
    case Letter::outcomes:
      return hear_outcomes(from, text);
    case Letter::end: {
      const std::lock_guard lock(mutex_);
      if (!at_the_end_.contains(world_.rank()))
        world_.end_alone(kFailed);  // it hung: the others have gone on without it
      ended_ = std::stoi(text.substr(2));
      unmeetable_ = text[1] != '0';
      changed_.notify_all();
      return;
    }
  }
}

}  // namespace convoy
