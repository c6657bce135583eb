#include "distributed/simulation/machine.h"

namespace convoy::simulation {
namespace {

constexpr int kMostUnfolded = 16;

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

Layout make_layout(int ranks, int ranks_per_node) {
  int per_node = std::min(ranks, ranks_per_node);
  while (ranks % per_node != 0) --per_node;
  return {ranks, per_node, ranks > kMostUnfolded};
}

Fabric::Fabric(TaskGraph& graph, const Machine& machine, const Layout& layout)
    : graph_(graph), machine_(machine), layout_(layout) {
  const int nodes = layout.folded ? 1 : layout.nodes();
  if (machine.cores > 0)
    for (int node = 0; node < nodes; ++node) compute_.push_back(graph.add_resource(machine.cores));
  for (int rank = 0; rank < layout.simulated(); ++rank) {
    if (machine.cores == 0) compute_.push_back(graph.add_resource());
    for (auto* each : {&exchange_, &out_, &in_}) each->push_back(graph.add_resource());
  }
  for (int i = 0; i < nodes * machine.nics; ++i)
    for (auto* each : {&nic_out_, &nic_in_}) each->push_back(graph.add_resource());
}

std::size_t Fabric::nic_of(int rank) const {
  const int node = layout_.folded ? 0 : layout_.node(rank);
  return at(node * machine_.nics + rank % layout_.per_node * machine_.nics / layout_.per_node);
}

Fabric::Task Fabric::send(int from, int to, double bytes, int count) {
  const bool leaves = layout_.node(from) != layout_.node(to);
  const Link& link = leaves ? machine_.inter : machine_.intra;
  const double seconds = count * (link.overhead + bytes / link.bytes_per_second);
  (leaves ? inter_bytes_ : intra_bytes_) += count * bytes;
  const std::size_t source = at(layout_.index(from)), target = at(layout_.index(to));
  if (leaves) return graph_.add_message(seconds, nic_out_[nic_of(from)], nic_in_[nic_of(to)], link.latency);
  if (machine_.copies_on_cores)
    return graph_.add(seconds, compute_[at(layout_.folded ? 0 : layout_.node(to))], exchange_[target], link.latency);
  return graph_.add_message(seconds, out_[source], in_[target], link.latency);
}

Fabric::Task Fabric::add(int rank, double bytes) {
  const auto core = machine_.cores > 0 ? compute_[at(layout_.folded ? 0 : layout_.node(rank))] : TaskGraph::kNone;
  return graph_.add(bytes / machine_.add_bytes_per_second, exchange_[at(layout_.index(rank))], core);
}

Fabric::Task Fabric::compute(int rank, double seconds) {
  const int place = machine_.cores == 0 ? layout_.index(rank) : layout_.folded ? 0 : layout_.node(rank);
  return graph_.add(seconds, compute_[at(place)]);
}

double Fabric::busiest(const std::vector<TaskGraph::Resource>& a, const std::vector<TaskGraph::Resource>& b) const {
  double most = 0;
  for (const auto* each : {&a, &b})
    for (TaskGraph::Resource resource : *each) most = std::max(most, graph_.busy(resource));
  return most;
}

}  // namespace convoy::simulation
