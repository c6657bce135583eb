#include "distributed/simulation/exchange_tasks.h"

#include <algorithm>
#include <bit>

#include "distributed/exchange_schedule.h"

namespace convoy::simulation {
namespace {

double bytes_of(const Range& range, const Bucket& bucket) { return static_cast<double>(range.size()) * bucket.element_bytes; }
double floats_of(const Range& range) { return static_cast<double>(range.size()) * sizeof(float); }

}  // namespace

ExchangeTasks::ExchangeTasks(Fabric& fabric, const ExchangeModel& model)
    : fabric_(fabric), graph_(fabric.graph()), model_(model), ranks_(fabric.layout().ranks) {
  const DirectParts direct = direct_parts(ranks_, model.virtual_workers);
  parts_.resize(static_cast<std::size_t>(ranks_));
  for (int owner : direct.owners) ++parts_[static_cast<std::size_t>(owner)];
  all_parts_ = direct.owners.size();
  adds_ = direct.adds.size();
}

ExchangeTasks::Group ExchangeTasks::everybody(int /*rank*/) const { return {ranks_, 0, 1}; }

ExchangeTasks::Group ExchangeTasks::node(int rank) const {
  const int per_node = fabric_.layout().per_node;
  return {per_node, rank / per_node * per_node, 1};
}

ExchangeTasks::Group ExchangeTasks::column(int rank) const {
  return {fabric_.layout().nodes(), rank % fabric_.layout().per_node, fabric_.layout().per_node};
}

Ends ExchangeTasks::all_reduce(const Bucket& bucket, const Ends& begin) {
  if (ranks_ == 1) return begin;
  const auto all = [this](int rank) { return everybody(rank); };
  switch (model_.algorithm) {
    case Algorithm::ring: return ring(bucket, begin);
    case Algorithm::hierarchical: return hierarchical(bucket, begin);
    case Algorithm::device_tree: return direct(bucket, bucket.elements, begin);
    case Algorithm::tree: break;
  }
  if (exchanges_by_halving(ranks_, model_.virtual_workers))
    return halving(all, bucket, halving_chunk(model_.largest), begin);
  return direct(bucket, direct_chunk(model_.largest, ranks_, all_parts_), begin);
}

/// As HalvingExchange: pieces come in order, two under way; each is added when it has come.
Ends ExchangeTasks::halving(const GroupOf& group, const Bucket& bucket, std::size_t chunk, const Ends& begin) {
  const int simulated = fabric_.layout().simulated();
  std::vector<std::vector<HalvingStep>> steps;
  for (int rank = 0; rank < simulated; ++rank)
    steps.push_back(halving_steps(group(rank).index(rank), group(rank).size, bucket.elements));
  Ends now = begin;
  const std::size_t count = steps.front().size();
  for (std::size_t step = 0; step < count; ++step) {
    Ends added = now, sent(now.size(), TaskGraph::kNone), next;
    for (int rank = 0; rank < simulated; ++rank) {
      const HalvingStep& mine = steps[at(rank)][step];
      const int peer = group(rank).rank(mine.peer);
      std::vector<TaskGraph::Task> adds;
      for (const Range& piece : chunks_of(mine.mine, chunk)) {
        const TaskGraph::Task message = fabric_.send(peer, rank, bytes_of(piece, bucket));
        graph_.after(message, {now[at(peer)], now[at(rank)]});
        if (adds.size() >= kUnderWay) graph_.after(message, adds[adds.size() - kUnderWay]);
        adds.push_back(fabric_.add(rank, floats_of(piece)));
        graph_.after(adds.back(), message);
        sent[at(peer)] = message;
      }
      if (!adds.empty()) added[at(rank)] = adds.back();
    }
    for (int rank = 0; rank < simulated; ++rank) next.push_back(graph_.join({added[at(rank)], sent[at(rank)]}));
    now = next;
  }
  for (std::size_t step = count; step-- > 0;) {
    Ends received = now, sent(now.size(), TaskGraph::kNone), next;
    for (int rank = 0; rank < simulated; ++rank) {
      const HalvingStep& mine = steps[at(rank)][step];
      if (mine.theirs.size() == 0) continue;
      const int peer = group(rank).rank(mine.peer);
      received[at(rank)] = sent[at(peer)] = fabric_.send(peer, rank, bytes_of(mine.theirs, bucket));
      graph_.after(received[at(rank)], {now[at(peer)], now[at(rank)]});
    }
    for (int rank = 0; rank < simulated; ++rank) next.push_back(graph_.join({received[at(rank)], sent[at(rank)]}));
    now = next;
  }
  return now;
}

/// At distance 1, 2, ..., as the exchanges send.
std::vector<ExchangeTasks::Source> ExchangeTasks::sources(const Group& group, int rank) const {
  std::vector<Source> all;
  const Layout& layout = fabric_.layout();
  const int index = group.index(rank);
  if (!layout.folded || group.size * group.stride <= layout.per_node) {  // each for itself
    for (int distance = 1; distance < group.size; ++distance)
      all.push_back({group.rank((index - distance + group.size) % group.size)});
    return all;
  }
  const int inside = layout.per_node / group.stride;  // members of the group on a node
  for (int distance = 1; distance < inside; ++distance) all.push_back({group.rank((index - distance + inside) % inside)});
  for (int distance = 0; distance < inside; ++distance)
    all.push_back({group.rank((index - distance + inside) % inside) + layout.per_node, layout.nodes() - 1});
  return all;
}

/// As DirectExchange: every rank sends to the next, the one after it, ..., and adds a piece when all parts of it have come.
Ends ExchangeTasks::direct(const Bucket& bucket, std::size_t chunk, const Ends& begin) {
  const int simulated = fabric_.layout().simulated();
  std::vector<std::vector<Range>> pieces;
  std::vector<std::vector<Source>> from;
  std::vector<std::vector<std::vector<TaskGraph::Task>>> arrivals;  // by rank and piece
  for (int rank = 0; rank < simulated; ++rank) {
    pieces.push_back(chunks_of(slice_of(rank, ranks_, bucket.elements), chunk));
    from.push_back(sources(everybody(rank), rank));
    arrivals.emplace_back(pieces.back().size());
  }
  Ends sent(begin.size(), TaskGraph::kNone), added = begin;
  for (std::size_t i = 0; i < from.front().size(); ++i) {
    for (int rank = 0; rank < simulated; ++rank) {
      const auto [source, count] = from[at(rank)][i];
      const int parts = parts_[static_cast<std::size_t>(fabric_.layout().folded ? 0 : source)];
      for (std::size_t piece = 0; piece < pieces[at(rank)].size(); ++piece) {
        for (int part = 0; part < parts; ++part) {
          const TaskGraph::Task message = fabric_.send(source, rank, bytes_of(pieces[at(rank)][piece], bucket), count);
          graph_.after(message, {begin[at(source)], begin[at(rank)]});
          arrivals[at(rank)][piece].push_back(message);
          sent[at(source)] = message;
        }
      }
    }
  }
  for (int rank = 0; rank < simulated; ++rank) {
    Ends adds;
    for (std::size_t piece = 0; piece < pieces[at(rank)].size(); ++piece) {
      if (adds.size() >= kUnderWay)
        for (TaskGraph::Task message : arrivals[at(rank)][piece]) graph_.after(message, adds[adds.size() - kUnderWay]);
      adds.push_back(fabric_.add(rank, static_cast<double>(adds_) * floats_of(pieces[at(rank)][piece])));
      graph_.after(adds.back(), arrivals[at(rank)][piece]);
    }
    if (!adds.empty()) added[at(rank)] = adds.back();
  }
  Ends finished;
  for (int rank = 0; rank < simulated; ++rank) finished.push_back(graph_.join({added[at(rank)], sent[at(rank)]}));
  return gather([this](int rank) { return everybody(rank); }, bucket, finished);
}

/// Every rank of a group gets its slice of the others' sums, and adds.
Ends ExchangeTasks::scatter(const GroupOf& group, const Bucket& bucket, const Ends& begin) {
  const int simulated = fabric_.layout().simulated();
  std::vector<std::vector<TaskGraph::Task>> arrivals(begin.size());
  std::vector<std::vector<Source>> from;
  for (int rank = 0; rank < simulated; ++rank) from.push_back(sources(group(rank), rank));
  Ends ends, sent = begin;
  for (std::size_t i = 0; i < from.front().size(); ++i) {
    for (int rank = 0; rank < simulated; ++rank) {
      const Group mine = group(rank);
      const auto [source, count] = from[at(rank)][i];
      const Range slice = slice_of(mine.index(rank), mine.size, bucket.elements);
      const TaskGraph::Task message = fabric_.send(source, rank, bytes_of(slice, bucket), count);
      graph_.after(message, {begin[at(source)], begin[at(rank)]});
      arrivals[at(rank)].push_back(message);
      sent[at(source)] = message;
    }
  }
  for (int rank = 0; rank < simulated; ++rank) {
    const Group mine = group(rank);
    const TaskGraph::Task add =
        fabric_.add(rank, (mine.size - 1) * floats_of(slice_of(mine.index(rank), mine.size, bucket.elements)));
    graph_.after(add, arrivals[at(rank)]);
    graph_.after(add, begin[at(rank)]);
    ends.push_back(graph_.join({add, sent[at(rank)]}));
  }
  return ends;
}

/// Every rank of a group sends its slice to all others.
Ends ExchangeTasks::gather(const GroupOf& group, const Bucket& bucket, const Ends& begin) {
  const int simulated = fabric_.layout().simulated();
  std::vector<std::vector<TaskGraph::Task>> messages(begin.size());
  std::vector<std::vector<Source>> from;
  for (int rank = 0; rank < simulated; ++rank) from.push_back(sources(group(rank), rank));
  for (std::size_t i = 0; i < from.front().size(); ++i) {
    for (int rank = 0; rank < simulated; ++rank) {
      const Group mine = group(rank);
      const auto [source, count] = from[at(rank)][i];
      const Range theirs = slice_of(mine.index(source), mine.size, bucket.elements);
      if (theirs.size() == 0) continue;
      const TaskGraph::Task message = fabric_.send(source, rank, bytes_of(theirs, bucket), count);
      graph_.after(message, {begin[at(source)], begin[at(rank)]});
      messages[at(rank)].push_back(message);
      messages[at(source)].push_back(message);
    }
  }
  Ends ends;
  for (int rank = 0; rank < simulated; ++rank) {
    messages[at(rank)].push_back(begin[at(rank)]);
    ends.push_back(graph_.join(messages[at(rank)]));
  }
  return ends;
}

/// What a rank receives in a step it sends on in the next. Where it lands is free beforehand: a rank waits for its neighbour
/// alone.
Ends ExchangeTasks::ring(const Bucket& bucket, const Ends& begin) {
  if (fabric_.layout().folded) return long_ring(bucket, begin);
  const double bytes = static_cast<double>(bucket.elements) * bucket.element_bytes / ranks_;
  const double floats = static_cast<double>(bucket.elements) * sizeof(float) / ranks_;
  Ends now = begin;
  for (int step = 0; step < 2 * (ranks_ - 1); ++step) {
    Ends next;
    for (int rank = 0; rank < ranks_; ++rank) {
      const int source = (rank + ranks_ - 1) % ranks_;
      TaskGraph::Task last = fabric_.send(source, rank, bytes);
      graph_.after(last, now[at(source)]);
      if (step == 0) graph_.after(last, begin[at(rank)]);
      if (step < ranks_ - 1) {
        const TaskGraph::Task add = fabric_.add(rank, floats);
        graph_.after(add, last);
        last = add;
      }
      next.push_back(last);
    }
    now = next;
  }
  Ends ends;
  for (int rank = 0; rank < ranks_; ++rank) ends.push_back(now[at(rank)]);
  return ends;
}

/// The same of so many ranks that single steps are not worth simulating: a port is held for all steps' messages, and the whole
/// takes as long as that or as a part's way around the ring, twice, whichever is longer (the greatest cycle mean of the steps'
/// dependencies).
Ends ExchangeTasks::long_ring(const Bucket& bucket, const Ends& begin) {
  const Machine& machine = fabric_.machine();
  const int per_node = fabric_.layout().per_node, steps = 2 * (ranks_ - 1);
  const double bytes = static_cast<double>(bucket.elements) * bucket.element_bytes / ranks_;
  const double add = static_cast<double>(bucket.elements) * sizeof(float) / ranks_ / machine.add_bytes_per_second;
  const auto hold = [&](const Link& link) { return link.overhead + bytes / link.bytes_per_second; };
  const double inter = hold(machine.inter), intra = hold(machine.intra);
  const double around = (inter + machine.inter.latency + (per_node - 1) * (intra + machine.intra.latency)) / per_node + add / 2;
  Ends ends;
  for (int rank = 0; rank < per_node; ++rank) {
    const int source = rank == 0 ? ranks_ - 1 : rank - 1;
    const double held = rank == 0 ? steps * inter + machine.inter.latency : steps * intra + machine.intra.latency;
    const TaskGraph::Task messages = fabric_.send(source, rank, bytes, steps);
    graph_.after(messages, {begin[at(rank)], begin[at(source)]});
    const TaskGraph::Task way = graph_.add(0, TaskGraph::kNone, TaskGraph::kNone, std::max(0.0, steps * around - held));
    graph_.after(way, messages);
    ends.push_back(way);
  }
  const TaskGraph::Task all = graph_.join(ends);
  return Ends(ends.size(), all);
}

Ends ExchangeTasks::hierarchical(const Bucket& bucket, const Ends& begin) {
  const Layout& layout = fabric_.layout();
  const auto inside = [this](int rank) { return node(rank); };
  const auto across = [this](int rank) { return column(rank); };
  Ends now = scatter(inside, bucket, begin);
  if (layout.nodes() > 1) {
    const auto per_node = static_cast<std::size_t>(layout.per_node);
    const Bucket slice{(bucket.elements + per_node - 1) / per_node, bucket.element_bytes};
    if (std::has_single_bit(static_cast<unsigned>(layout.nodes())))
      now = halving(across, slice, halving_chunk(slice.elements), now);
    else
      now = gather(across, slice, scatter(across, slice, now));
  }
  return gather(inside, bucket, now);
}

}  // namespace convoy::simulation
