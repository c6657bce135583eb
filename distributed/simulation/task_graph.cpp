#include "distributed/simulation/task_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <queue>
#include <tuple>

#include "core/tensor/error.h"

namespace convoy::simulation {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

double& TaskGraph::Server::earliest() { return *std::min_element(free_at.begin(), free_at.end()); }

TaskGraph::Resource TaskGraph::add_resource(int servers) {
  resources_.push_back({std::vector<double>(at(servers), 0.0)});
  return static_cast<Resource>(resources_.size()) - 1;
}

TaskGraph::Task TaskGraph::add(double seconds, Resource first, Resource second, double latency) {
  seconds_.push_back(seconds);
  latency_.push_back(latency);
  first_.push_back(first);
  second_.push_back(second);
  is_message_.push_back(0);
  return static_cast<Task>(seconds_.size()) - 1;
}

TaskGraph::Task TaskGraph::add_message(double seconds, Resource out, Resource in, double latency) {
  const Task task = add(seconds, out, in, latency);
  is_message_.back() = 1;
  return task;
}

void TaskGraph::after(Task task, Task earlier) {
  if (earlier != kNone) edges_.push_back({earlier, task});
}

void TaskGraph::after(Task task, const std::vector<Task>& earlier) {
  for (Task each : earlier) after(task, each);
}

TaskGraph::Task TaskGraph::join(const std::vector<Task>& earlier) {
  if (earlier.size() == 1) return earlier.front();
  const Task task = add(0);
  after(task, earlier);
  return task;
}

/// Holds a resource from when it is free; returns that time.
double TaskGraph::take(Resource resource, double ready, double seconds) {
  if (resource == kNone) return ready;
  Server& server = resources_[at(resource)];
  double& free_at = server.earliest();
  const double start = std::max(ready, free_at);
  free_at = start + seconds;
  server.busy += seconds;
  return start;
}

double TaskGraph::take_both(Task task) {
  double ready = ready_[at(task)];
  for (Resource resource : {first_[at(task)], second_[at(task)]})
    if (resource != kNone) ready = std::max(ready, resources_[at(resource)].earliest());
  take(first_[at(task)], ready, seconds_[at(task)]);
  return take(second_[at(task)], ready, seconds_[at(task)]);
}

/// A task that is ready, or a message whose first port begins to send.
struct TaskGraph::Due {
  double time;
  Task task;
  bool sends;
  bool operator>(const Due& other) const {
    return std::tie(time, task, sends) > std::tie(other.time, other.task, other.sends);
  }
};

void TaskGraph::finish(Task task, double start) {
  end_[at(task)] = start + seconds_[at(task)] + latency_[at(task)];
  makespan_ = std::max(makespan_, end_[at(task)]);
}

/// In the order of time, so what a resource has promised is never taken back. A message asks for its second port only when the
/// first one begins, lest the second be kept free for what is to come.
void TaskGraph::start(const Due& due, std::vector<Due>& later) {
  const double seconds = seconds_[at(due.task)];
  if (seconds == 0) return finish(due.task, due.time);
  if (due.sends) return finish(due.task, take(second_[at(due.task)], due.time, seconds));
  if (!is_message_[at(due.task)]) return finish(due.task, take_both(due.task));
  later.push_back({take(first_[at(due.task)], due.time, seconds), due.task, true});
}

/// Where the followers of each task begin in `followers`, which it fills (compressed rows).
std::vector<int> TaskGraph::followers_begin(std::vector<Task>& followers) const {
  std::vector<int> begin(seconds_.size() + 1, 0);
  for (const Edge& edge : edges_) ++begin[at(edge.from) + 1];
  for (std::size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
  std::vector<int> next(begin.begin(), begin.end() - 1);
  followers.resize(edges_.size());
  for (const Edge& edge : edges_) followers[at(next[at(edge.from)]++)] = edge.to;
  return begin;
}

void TaskGraph::run() {
  std::vector<Task> followers;
  const std::vector<int> begin = followers_begin(followers);
  std::vector<int> missing(seconds_.size(), 0);
  for (const Edge& edge : edges_) ++missing[at(edge.to)];
  ready_.assign(seconds_.size(), 0);
  end_.assign(seconds_.size(), 0);
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due;
  for (Task task = 0; task < static_cast<Task>(seconds_.size()); ++task)
    if (missing[at(task)] == 0) due.push({0, task, false});
  std::size_t served = 0;
  std::vector<Due> later;
  while (!due.empty()) {
    const Due now = due.top();
    due.pop();
    later.clear();
    start(now, later);
    for (const Due& each : later) due.push(each);
    if (!later.empty()) continue;
    ++served;
    for (int i = begin[at(now.task)]; i < begin[at(now.task) + 1]; ++i) {
      const Task follower = followers[at(i)];
      ready_[at(follower)] = std::max(ready_[at(follower)], end_[at(now.task)]);
      if (--missing[at(follower)] == 0) due.push({ready_[at(follower)], follower, false});
    }
  }
  if (served != seconds_.size())
    throw Error(fmt::format("simulation: {} of {} tasks wait for each other", seconds_.size() - served, seconds_.size()));
}

}  // namespace convoy::simulation
