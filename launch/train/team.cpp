#include "launch/train/team.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace convoy {
namespace {

std::vector<int> gather_ranks(Communicator& part, int mine) {
  std::vector<int> ranks(static_cast<std::size_t>(part.size()));
  part.all_gather(&mine, sizeof mine, ranks.data());
  return ranks;
}

}  // namespace

Team::Team(const Config& config, World& world)
    : all_(world.all()),
      host_(world.host()),
      seats_(find_seats(config, all_, host_)),
      world_ranks_(gather_ranks(all_, world.rank())),
      fail_([&world](int status, const std::string& reason, const Blame& blame) {
        world.fail(status, reason, blame);
      }) {}

Team::Team(Communicator& part, const Team& whole, std::string name, Fail fail)
    : all_(part),
      name_(std::move(name)),
      host_(whole.host_),
      seats_(whole.seats_),
      world_ranks_(gather_ranks(part, whole.world_rank(whole.rank()))),
      fail_(std::move(fail)) {}

int Team::ranks_on_host() const {
  return static_cast<int>(std::count_if(seats_.all.begin(), seats_.all.end(),
                                        [&](const Seat& seat) { return seat.host == host_; }));
}

bool Team::on_one_host() const {
  return std::all_of(world_ranks_.begin(), world_ranks_.end(),
                     [&](int rank) { return seats_.all[static_cast<std::size_t>(rank)].host == host_; });
}

void Team::fail(int status, const std::string& reason, const Blame& blame) const {
  fail_(status, reason, blame);
  std::terminate();  // it does not return
}

}  // namespace convoy
