#include "launch/train/agreement.h"

#include "launch/errors.h"

namespace convoy {

void agree(Communicator& world, const std::string& purpose, const std::function<void()>& work) {
  std::string failure;
  try {
    work();
  } catch (...) {
    const Failure own = failure_of(std::current_exception());
    failure = std::to_string(own.status) + own.message;
  }
  world.at("agreement on " + purpose, 0);
  const std::vector<std::string> failures = world.all_gather_strings(failure);
  for (std::size_t rank = 0; rank < failures.size(); ++rank)
    if (!failures[rank].empty())
      throw AgreedError(failures[rank].front() - '0', static_cast<int>(rank), failures[rank].substr(1));
}

}  // namespace convoy
