#pragma once
// A discrete-event simulator of tasks that wait for each other and take turns at resources: whoever is ready first is served
// first (ties: in the order in which they were added). Deterministic; one thread. Times are seconds.
#include <initializer_list>
#include <vector>

namespace convoy::simulation {

class TaskGraph {
 public:
  using Resource = int;
  using Task = int;
  static constexpr int kNone = -1;

  /// `servers` tasks may hold it at once: 1 for a port or a thread, the number of cores for a node.
  Resource add_resource(int servers = 1);

  /// A task that holds `first` and `second` (either may be kNone) together for `seconds`; it ends `latency` later than that.
  /// A task of no length orders others and holds nothing.
  Task add(double seconds, Resource first = kNone, Resource second = kNone, double latency = 0);
  /// A message that passes two ports at the same rate: the second is held from when the first one is, or later where it is not
  /// free (the network keeps what it cannot deliver yet; the first port goes on with other messages).
  Task add_message(double seconds, Resource out, Resource in, double latency);
  /// `task` is not ready before `earlier` has ended; kNone: nothing.
  void after(Task task, Task earlier);
  void after(Task task, const std::vector<Task>& earlier);
  /// A task of no length after all of `earlier`.
  Task join(const std::vector<Task>& earlier);

  /// Once. Throws Error where tasks wait for each other in a circle.
  void run();

  double end(Task task) const { return end_[static_cast<std::size_t>(task)]; }
  /// When it became ready: all before it had ended.
  double ready(Task task) const { return ready_[static_cast<std::size_t>(task)]; }
  /// Of the last task.
  double makespan() const { return makespan_; }
  /// Seconds for which the resource was held, over all its servers.
  double busy(Resource resource) const { return resources_[static_cast<std::size_t>(resource)].busy; }

 private:
  struct Server {
    std::vector<double> free_at;  // by server
    double busy = 0;
    double& earliest();
  };
  struct Edge {
    Task from, to;
  };
  struct Due;
  void start(const Due& due, std::vector<Due>& later);
  void finish(Task task, double start);
  double take(Resource resource, double ready, double seconds);
  double take_both(Task task);
  std::vector<int> followers_begin(std::vector<Task>& followers) const;

  std::vector<Server> resources_;
  std::vector<double> seconds_, latency_, ready_, end_;
  std::vector<Resource> first_, second_;
  std::vector<char> is_message_;
  std::vector<Edge> edges_;
  double makespan_ = 0;
};

}  // namespace convoy::simulation
