#include "launch/train/agreement.h"

namespace convoy {

int status_of(const std::exception& error) {
  if (const auto* agreed = dynamic_cast<const AgreedError*>(&error)) return agreed->status();
  if (dynamic_cast<const UsageError*>(&error)) return 2;
  if (dynamic_cast<const DataError*>(&error)) return 3;
  return 1;
}

void agree(Communicator& world, const std::string& purpose, const std::function<void()>& work) {
  std::string failure;
  try {
    work();
  } catch (const std::exception& error) {
    failure = std::to_string(status_of(error)) + error.what();
  }
  world.at("agreement on " + purpose, 0);
  const std::vector<std::string> failures = world.all_gather_strings(failure);
  for (std::size_t rank = 0; rank < failures.size(); ++rank)
    if (!failures[rank].empty())
      throw AgreedError(failures[rank].front() - '0', static_cast<int>(rank), failures[rank].substr(1));
}

}  // namespace convoy
