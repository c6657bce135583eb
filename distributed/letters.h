#pragma once
// Letters between any two ranks that are read as they come, whatever the reader's other threads do: for news that belong to
// no exchange. Nobody waits for anybody, so that a rank that is gone holds nobody up.
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "distributed/mailbox.h"
#include "distributed/world.h"

namespace convoy {

class Letters {
 public:
  using Read = std::function<void(int from, const std::string& text)>;

  /// Collective over the world. `read` is called by a helper thread, one letter at a time; what it throws is World::fail's.
  Letters(World& world, Read read);
  /// Gives what was sent last a moment to leave. Goes before the World does.
  ~Letters();
  Letters(const Letters&) = delete;
  Letters& operator=(const Letters&) = delete;

  /// Any thread. To this rank itself, too. Dropped where that rank has not taken the last ones for long, or is gone.
  void send(int to, std::string text);

 private:
  void run();
  void turn();

  World& world_;
  const Read read_;
  Mailbox mailbox_;  // the helper thread's
  std::mutex mutex_;
  std::deque<std::pair<int, std::string>> sent_;  // guarded by mutex_, as is stop_
  bool stop_ = false;
  std::thread thread_;  // last: it uses all the others
};

}  // namespace convoy
