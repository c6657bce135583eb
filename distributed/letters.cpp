#include "distributed/letters.h"

#include <fmt/format.h>

#include <chrono>
#include <exception>

namespace convoy {
namespace {

constexpr std::chrono::milliseconds kReadEvery{20};

}  // namespace

Letters::Letters(World& world, Read read)
    : world_(world), read_(std::move(read)), mailbox_(world.size(), world.all().deadline()), thread_([this] { run(); }) {}

Letters::~Letters() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  thread_.join();
}

void Letters::send(int to, std::string text) {
  const std::lock_guard lock(mutex_);
  sent_.emplace_back(to, std::move(text));
}

void Letters::run() {
  try {
    for (bool last = false; !last; std::this_thread::sleep_for(kReadEvery)) {
      {
        const std::lock_guard lock(mutex_);
        last = stop_;
      }
      turn();
    }
  } catch (const std::exception& error) {
    world_.fail(1, fmt::format("the letters of rank {}: {}", world_.rank(), error.what()));
  }
}

void Letters::turn() {
  std::deque<std::pair<int, std::string>> sent;
  {
    const std::lock_guard lock(mutex_);
    sent.swap(sent_);
  }
  for (auto& [to, text] : sent) {
    if (to == world_.rank())
      read_(to, text);
    else
      mailbox_.send(to, std::move(text));
  }
  while (const auto letter = mailbox_.receive()) read_(letter->from, letter->bytes);
}

}  // namespace convoy
