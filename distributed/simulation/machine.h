#pragma once
// What a simulation knows of a cluster: constants of the hardware, as measured or from a data sheet.
#include <algorithm>

#include "distributed/simulation/task_graph.h"

namespace convoy::simulation {

struct Link {
  double bytes_per_second = 0;
  double latency = 0;   // seconds from the last byte sent to the receiver's knowing it; the port is free meanwhile
  double overhead = 0;  // seconds for which a message of any size holds the port
};

struct Machine {
  int ranks_per_node = 1;
  /// Cores of a node where ranks compute on them, and take turns when they are too few. 0: every rank has a device of its own.
  int cores = 0;
  int nics = 1;                    // of a node, shared evenly by its ranks
  Link intra, inter;               // between two ranks of a node (each has a port); of one NIC
  /// On hosts the receiver's core copies what comes from the same node.
  bool copies_on_cores = false;
  double add_bytes_per_second = 1; // gradient bytes that a rank adds to another array
};

/// Where ranks are. Ranks fill nodes in order, evenly: as few nodes as possible with the same number of ranks on each.
struct Layout {
  int ranks = 1, per_node = 1;
  /// All nodes do the same, so one stands for all: what it sends to another comes back to it. Exact for halving, ring and
  /// hierarchical exchanges; in a direct one, messages of several nodes collide at a NIC, which costs up to a tenth more.
  bool folded = false;

  int nodes() const { return ranks / per_node; }
  int simulated() const { return folded ? per_node : ranks; }
  int index(int rank) const { return folded ? rank % per_node : rank; }
  int node(int rank) const { return rank / per_node; }
};
/// Folded above 16 ranks.
Layout make_layout(int ranks, int ranks_per_node);

/// A cluster as resources of a task graph, and what moves on it.
class Fabric {
 public:
  using Task = TaskGraph::Task;
  Fabric(TaskGraph& graph, const Machine& machine, const Layout& layout);

  /// `count` messages, one behind the other; ranks of the world.
  Task send(int from, int to, double bytes, int count = 1);
  /// `bytes` of one array are added to another by the thread, or stream, that exchanges.
  Task add(int rank, double bytes);
  /// On the rank's device; on hosts on any core of its node.
  Task compute(int rank, double seconds);

  TaskGraph& graph() { return graph_; }
  const Layout& layout() const { return layout_; }
  const Machine& machine() const { return machine_; }
  /// Sent so far by all simulated ranks.
  double intra_bytes() const { return intra_bytes_; }
  double inter_bytes() const { return inter_bytes_; }
  /// Seconds for which the busiest port between nodes was held; within nodes.
  double busiest_nic() const { return busiest(nic_out_, nic_in_); }
  double busiest_port() const { return busiest(out_, in_); }

 private:
  std::size_t nic_of(int rank) const;
  double busiest(const std::vector<TaskGraph::Resource>& a, const std::vector<TaskGraph::Resource>& b) const;

  TaskGraph& graph_;
  const Machine machine_;
  const Layout layout_;
  std::vector<TaskGraph::Resource> compute_;        // by node on hosts, else by rank
  std::vector<TaskGraph::Resource> exchange_, out_, in_;  // by rank
  std::vector<TaskGraph::Resource> nic_out_, nic_in_;     // by node and NIC
  double intra_bytes_ = 0, inter_bytes_ = 0;
};

}  // namespace convoy::simulation
