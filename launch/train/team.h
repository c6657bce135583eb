#pragma once
// The ranks that train one model together: all of the world, or, where a run trains several models, a part of it.
#include <functional>
#include <string>

#include "distributed/world.h"
#include "launch/train/devices.h"

namespace convoy {

class Team {
 public:
  /// Tells whom it concerns that this rank cannot go on. Any thread. Does not return.
  using Fail = std::function<void(int status, const std::string& reason, const Blame& blame)>;

  /// Collective over the world: all of it.
  Team(const Config& config, World& world);
  /// The ranks of `part`, some of those of `whole`, of which this is one. `name`: how they and their model are called in what
  /// the user reads. Both outlive this object.
  Team(Communicator& part, const Team& whole, std::string name, Fail fail);

  /// Of the team: what a model's training says and waits for. It and all that are split from it have one deadline.
  Communicator& all() const { return all_; }
  int rank() const { return all_.rank(); }
  int size() const { return all_.size(); }
  /// Of one of the team's ranks.
  int world_rank(int rank) const { return world_ranks_.at(static_cast<std::size_t>(rank)); }
  /// Empty where the team is all there is.
  const std::string& name() const { return name_; }
  const std::string& host() const { return host_; }
  /// Of all ranks of the world, this one among them: those on one host share its processors and GPUs, whatever they train.
  const Seats& seats() const { return seats_; }
  int ranks_on_host() const;
  /// Of the whole team on this host.
  bool on_one_host() const;
  /// World::fail for the team: ends what its ranks do together. A part of the world ends none of the others.
  [[noreturn]] void fail(int status, const std::string& reason, const Blame& blame = {}) const;

 private:
  Communicator& all_;
  std::string name_, host_;
  Seats seats_;
  std::vector<int> world_ranks_;
  Fail fail_;
};

}  // namespace convoy
