#pragma once
// --mode=ensemble: several models, each trained by a part of the ranks (launch/ensemble_options.h says how they differ).
//
// R ranks and M members to train make G = min(R, M) teams of neighbouring ranks, as equal as they can be; team g trains the members
// g, g + G, g + 2G, ... of those that are to be trained, each as a run of its own in RUN/members/NN. What goes wrong in a member
// ends that member alone:
//
//   a failure that all its ranks meet (AgreedError)   they go on with their next member
//   a failure of one rank                             it writes to the others of its team, whose waits end
//   a rank that is lost (watch.h)                     likewise, for the rest of its team
//
// (A team of several ranks has one member, so that no ranks which parted meet in another.)
//
// Then every rank tells the leader, the first rank that is not lost, what became of its members. The leader writes ensemble.h5, if
// every member is trained, and status.json, and tells all that this is the end.
#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "distributed/letters.h"
#include "io/run_folder.h"
#include "launch/ensemble_options.h"
#include "launch/train/model_run.h"

namespace convoy {

/// What became of a member.
struct MemberOutcome {
  int member = 0;
  int status = 0;         // exit status, as of a run
  std::string reason;
  int rank = -1;          // of the world: whose failure it was
  bool again = true;      // whether another life may get further
};

class Ensemble {
 public:
  /// Collective over the world. Makes and locks the run folder; AgreedError where that cannot be.
  Ensemble(const Config& config, World& world);
  ~Ensemble();

  /// Absolute; the same on every rank.
  const std::filesystem::path& path() const { return path_; }
  /// Collective over the world. Trains the members that are not trained yet. Returns the exit status, the same on every rank;
  /// status.json says why. Throws what went wrong before the first member was begun.
  int run(const Team& whole);
  /// By the watch (OnLost).
  void lost(int rank, const std::string& words);
  /// After run(): ranks are lost, or messages of a member that failed are still under way, so that this process cannot end MPI in
  /// order (World::end_alone). What was written to other ranks has left by then.
  bool ended_unmeetable();

 private:
  const Config& config_;
  World& world_;
  std::vector<Member> members_;
  std::unique_ptr<RunFolder> folder_;          // rank 0's
  std::filesystem::path path_;
  std::vector<int> to_train_;                  // numbers of the members that were not trained when this life began

  std::mutex mutex_;                           // guards what follows against helper threads
  std::vector<std::vector<int>> teams_;        // ranks of each; the main thread alone changes this, as the next two
  std::size_t team_ = 0;                       // this rank's
  std::unique_ptr<Communicator> team_ranks_;   // of which every member gets a part of its own
  std::condition_variable changed_;
  std::map<int, std::string> lost_;            // rank: words
  std::map<int, MemberOutcome> outcomes_;      // of members, as far as this rank has heard
  std::map<int, MemberOutcome> failures_;      // of this team's members, the first word
  int under_way_ = 0;                          // member
  Communicator* its_ranks_ = nullptr;          // of the member under way
  std::set<int> at_the_end_;                   // ranks that have told all
  std::optional<int> ended_;                   // the leader's word: the exit status
  bool unmeetable_ = false;                    // see ended_unmeetable(); of any rank, as far as this one has heard
  std::unique_ptr<Letters> letters_;           // last: its thread uses the others

  const Member& member(int number) const { return members_.at(static_cast<std::size_t>(number - 1)); }
  bool is_trained(const Member& member, std::string& why_not) const;
  void plan();
  void introduce(const Team& whole);
  std::vector<int> members_of_team(std::size_t team) const;
  void read_letter(int from, const std::string& text);

  void train_members(const Team& whole);
  bool train_member(const Member& member, const Team& whole);
  MemberOutcome run_member(const Member& member, Communicator& ranks, const Team& whole);
  void begin_member(int number, Communicator* ranks);
  MemberOutcome fail_member(int number, const MemberOutcome& failure);
  bool parted(int number) const;
  void tell_all_to_stop();

  int end();
  int leader() const;
  bool all_are_at_the_end();
  std::string tell_outcomes() const;
  void hear_outcomes(int from, const std::string& text);
  void give_up_hung_ranks();
  void account_for_lost_ranks();
  int conclude();
  RunStatus status_of_outcomes();
  void write_file();
};

}  // namespace convoy
