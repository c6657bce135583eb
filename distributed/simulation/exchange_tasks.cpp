#include "distributed/simulation/exchange_tasks.h"

#include <algorithm>
#include <bit>

#include "distributed/exchange_schedule.h"

namespace convoy::simulation {
namespace {

constexpr int kFewNodes = 8;  // that send to each other directly where they are no power of two

constexpr int kShortRing = 16;  // ranks of a ring whose steps are simulated one by one

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
  if (fabric_.layout().folded || ranks_ > kShortRing || fabric_.machine().nics > 1) return long_ring(bucket, begin);
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

/// The same where single steps are not worth simulating: a port is held for all steps' messages, and the whole takes as long
/// as that or as a part's way around the ring, twice, whichever is longer (the greatest cycle mean of the steps' dependencies).
/// There are as many rings as a node has NICs, each with its share of the bucket and entering nodes at another rank.
Ends ExchangeTasks::long_ring(const Bucket& bucket, const Ends& begin) {
  const Machine& machine = fabric_.machine();
  const Layout& layout = fabric_.layout();
  const int per_node = layout.per_node, steps = 2 * (ranks_ - 1), rings = layout.nodes() > 1 ? machine.nics : 1;
  const double share = static_cast<double>(bucket.elements) / ranks_ / rings, bytes = share * bucket.element_bytes;
  const double add = share * sizeof(float) / machine.add_bytes_per_second;
  const auto hop = [&](const Link& link) { return link.overhead + link.latency + bytes / link.bytes_per_second; };
  const double inside = per_node > 1 ? (per_node - 1) * hop(machine.intra) : 0;
  const double around = layout.nodes() > 1 ? (hop(machine.inter) + inside) / per_node : inside / per_node + hop(machine.intra) / per_node;
  const TaskGraph::Task all_begin = graph_.join(begin);
  Ends ends{graph_.add(0, TaskGraph::kNone, TaskGraph::kNone, steps * (around + add / 2))};
  graph_.after(ends.front(), all_begin);
  const auto receive = [&](int rank, int source, int messages) {
    ends.push_back(fabric_.send(source, rank, bytes, messages));
    graph_.after(ends.back(), all_begin);
  };
  for (int rank = 0; rank < layout.simulated(); ++rank) {
    const int index = rank % per_node, neighbour = rank - index + (index + per_node - 1) % per_node;
    int entering = 0;  // rings that come to this rank from another node
    for (int ring = 0; ring < rings && layout.nodes() > 1; ++ring) entering += ring * per_node / rings == index;
    if (entering > 0) receive(rank, (neighbour + ranks_ - per_node) % ranks_, steps * entering);
    if (per_node > 1 && rings > entering) receive(rank, neighbour, steps * (rings - entering));
  }
  return Ends(begin.size(), graph_.join(ends));
}

Ends ExchangeTasks::hierarchical(const Bucket& bucket, const Ends& begin) {
  const Layout& layout = fabric_.layout();
  const auto inside = [this](int rank) { return node(rank); };
  const auto across = [this](int rank) { return column(rank); };
  Ends now = scatter(inside, bucket, begin);
  if (layout.nodes() > 1) {
    const auto per_node = static_cast<std::size_t>(layout.per_node);
    const Bucket slice{(bucket.elements + per_node - 1) / per_node, bucket.element_bytes};
    const bool halves = std::has_single_bit(static_cast<unsigned>(layout.nodes()));
    if (halves || (layout.folded && layout.nodes() > kFewNodes))
      now = halves ? halving(across, slice, halving_chunk(slice.elements), now) : halving_of_most(slice, now);
    else
      now = gather(across, slice, scatter(across, slice, now));
  }
  return gather(inside, bucket, now);
}

/// Across many nodes that are no power of two: those beyond it send their slices to others first and get the sums at the end
/// (Thakur, Rabenseifner & Gropp 2005, section 4.4). Every node counts as one of those that do more.
Ends ExchangeTasks::halving_of_most(const Bucket& slice, const Ends& begin) {
  const auto most = [this](int rank) {
    Group group = column(rank);
    group.size = static_cast<int>(std::bit_floor(static_cast<unsigned>(group.size)));
    return group;
  };
  const Range whole{0, slice.elements};
  const int per_node = fabric_.layout().per_node;
  Ends now;
  for (int rank = 0; rank < per_node; ++rank) {
    const TaskGraph::Task message = fabric_.send(rank + per_node, rank, bytes_of(whole, slice));
    graph_.after(message, begin[at(rank)]);
    now.push_back(fabric_.add(rank, floats_of(whole)));
    graph_.after(now.back(), message);
  }
  now = halving(most, slice, halving_chunk(slice.elements), now);
  for (int rank = 0; rank < per_node; ++rank) {
    const TaskGraph::Task message = fabric_.send(rank + per_node, rank, bytes_of(whole, slice));
    graph_.after(message, now[at(rank)]);
    now[at(rank)] = message;
  }
  return now;
}

}  // namespace convoy::simulation
