#pragma once
// All-reduces of one bucket as tasks. Each function takes the task after which every simulated rank begins, and returns the
// one with which it has the whole sum.
#include <functional>
#include <vector>

#include "distributed/simulation/machine.h"

namespace convoy::simulation {

using Ends = std::vector<TaskGraph::Task>;  // by simulated rank

enum class Algorithm {
  tree,         // convoy's own, by the schedules of exchange_schedule.h: halving, or direct
  device_tree,  // convoy's own between devices: direct, slices whole
  ring,         // NCCL's: 2 (R - 1) steps of 1 / R of the bucket
  hierarchical  // reduce-scatter inside the node, all-reduce of the slices across nodes, all-gather inside
};

struct Bucket {
  std::size_t elements = 0;
  double element_bytes = 4;   // on the wire; additions are of floats
};

/// `virtual_workers`: of the run; a multiple of R where the layout is folded, or every rank counts as holding as many subtrees
/// as rank 0. `largest`: elements of the run's largest bucket.
struct ExchangeModel {
  Algorithm algorithm = Algorithm::tree;
  int virtual_workers = 1;
  std::size_t largest = 0;
};

/// Adds an exchange per bucket to the fabric's graph.
class ExchangeTasks {
 public:
  ExchangeTasks(Fabric& fabric, const ExchangeModel& model);
  Ends all_reduce(const Bucket& bucket, const Ends& begin);

 private:
  /// Ranks that exchange among themselves: first, first + stride, ...
  struct Group {
    int size = 1, first = 0, stride = 1;
    int index(int rank) const { return (rank - first) / stride; }
    int rank(int index) const { return first + index * stride; }
  };
  using GroupOf = std::function<Group(int rank)>;
  /// From whom a rank receives, in the order of their messages; one stands for `count` ranks of other nodes where one node
  /// stands for all.
  struct Source {
    int rank = 0, count = 1;
  };

  Ends halving(const GroupOf& group, const Bucket& bucket, std::size_t chunk, const Ends& begin);
  Ends direct(const Bucket& bucket, std::size_t chunk, const Ends& begin);
  Ends scatter(const GroupOf& group, const Bucket& bucket, const Ends& begin);
  Ends gather(const GroupOf& group, const Bucket& bucket, const Ends& begin);
  Ends ring(const Bucket& bucket, const Ends& begin);
  Ends long_ring(const Bucket& bucket, const Ends& begin);
  std::vector<Source> sources(const Group& group, int rank) const;
  Ends hierarchical(const Bucket& bucket, const Ends& begin);
  Ends halving_of_most(const Bucket& slice, const Ends& begin);
  Group everybody(int rank) const;
  Group node(int rank) const;
  Group column(int rank) const;
  std::size_t at(int rank) const { return static_cast<std::size_t>(fabric_.layout().index(rank)); }

  Fabric& fabric_;
  TaskGraph& graph_;
  const ExchangeModel model_;
  const int ranks_;
  std::vector<int> parts_;      // subtrees that each rank holds
  std::size_t all_parts_ = 0, adds_ = 0;
};

}  // namespace convoy::simulation
