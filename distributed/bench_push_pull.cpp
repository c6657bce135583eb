#include "distributed/bench_push_pull.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/tensor/error.h"
#include "distributed/backoff.h"
#include "distributed/bench_ways.h"
#include "distributed/float_buffer.h"
#include "distributed/server/parameter_server.h"
#include "distributed/server/post_office.h"

namespace convoy {
namespace {

/// v = 0.5 v + g;  w -= v: small integers at first, so that what comes of it is exact.
class MomentumSlice final : public Slice {
 public:
  explicit MomentumSlice(std::size_t count) : values_(count), momentum_(count), count_(count) {}

  std::size_t parameters() const override { return count_; }
  std::size_t leaf() const override { return count_; }
  const float* values() const override { return values_.data(); }
  void apply(const Update&, float* sum, const float*) override {
    float *w = values_.data(), *v = momentum_.data();
    for (std::size_t i = 0; i < count_; ++i) {
      v[i] = 0.5F * v[i] + sum[i];
      w[i] -= v[i];
    }
  }
  std::size_t state() const override { return count_; }
  void write_state(float* to) const override { std::copy_n(values_.data(), count_, to); }

 private:
  FloatBuffer values_, momentum_;
  std::size_t count_;
};

class Play {
 public:
  Play(Communicator& all, const BenchPushPullOptions& options)
      : all_(all),
        servers_(options.servers),
        workers_(all.size() - options.servers),
        elements_(static_cast<std::size_t>(options.elements)),
        mine_(elements_),
        parameters_(elements_),
        office_(all, peers()) {
    std::fill_n(mine_.data(), elements_, 1.0F);
    if (serves()) {
      slice_ = std::make_unique<MomentumSlice>(slice(all.rank()).second);
      server_ = std::make_unique<ParameterServer>(*slice_, false);
      return;
    }
    for (int server = 0; server < servers_; ++server) {
      const auto [begin, count] = slice(server);
      gradients_.push_back(pool_.take(count * sizeof(float)));
      std::memcpy(gradients_.back().data.get(), mine_.data() + begin, gradients_.back().bytes);
    }
  }
  ~Play() {
    try {
      for (const int peer : peers()) office_.send(peer, {.header = {.kind = FrameKind::close}, .payload = {}});
      while (office_.sending() || !office_.open_peers().empty()) office_.poll([](int, const Frame&) {});
    } catch (const std::exception&) {  // a peer is gone: the run fails for that
    }
  }

  bool serves() const { return all_.rank() < servers_; }

  void push_and_pull(bool updates) {
    int left = serves() ? workers_ : servers_;
    if (!serves())
      for (int server = 0; server < servers_; ++server)
        office_.send(server, {.header = {.kind = FrameKind::push, .worker = all_.rank()}, .payload = gradients_[static_cast<std::size_t>(server)]});
    Backoff idle;
    while (left > 0 || office_.sending()) {
      const bool moved = office_.poll([&](int from, Frame frame) {
        --left;
        serves() ? serve(from, std::move(frame), updates) : take(from, frame);
      });
      moved ? void(idle = Backoff()) : idle.pause();
    }
    updates_ += updates ? workers_ : 0;
  }

  void messages() {
    std::vector<RequestPtr> requests;
    for (int peer = serves() ? servers_ : 0; peer < (serves() ? all_.size() : servers_); ++peer) {
      const auto [begin, count] = slice(serves() ? all_.rank() : peer);
      requests.push_back(all_.send(mine_.data() + begin, count * sizeof(float), peer, kTag));
      requests.push_back(all_.receive(received(peer) + begin, count * sizeof(float), peer, kTag));
    }
    for (const RequestPtr& request : requests) request->wait();
  }

  void copy() {
    std::memcpy(parameters_.data(), mine_.data(), elements_ * sizeof(float));
    std::memcpy(received_.data(), parameters_.data(), elements_ * sizeof(float));
  }
  void make_room() {
    received_ = FloatBuffer(elements_);
    for (int peer = 1; serves() && peer < workers_; ++peer) more_.emplace_back(elements_);
  }

  /// After n updates by ones: the momentum's sum is 2 - 2^(1-n), and w goes down by it each time.
  bool is_exact() const {
    if (serves()) return true;
    double momentum = 0, least = 0;
    for (std::int64_t n = 0; n < updates_; ++n) least -= (momentum = 0.5 * momentum + 1);
    // Another worker's push may be applied after this one's pull: at most so many updates are missing.
    const auto within = [&](float value) { return value >= least - 1e-3 && value <= least + 2.0 * workers_ + 1e-3; };
    return std::all_of(parameters_.data(), parameters_.data() + elements_, within);
  }
  bool received_all() const {
    const auto is_one = [](float value) { return value == 1; };
    return std::all_of(received_.data(), received_.data() + (serves() ? 0 : elements_), is_one);
  }
  std::int64_t sent_bytes() const { return office_.sent_bytes(); }

 private:
  static constexpr int kTag = 3;
  Communicator& all_;
  const int servers_, workers_;
  const std::size_t elements_;
  FloatBuffer mine_, parameters_, received_;
  std::vector<FloatBuffer> more_;   // of a server: one for each further worker
  PayloadPool pool_;
  PostOffice office_;
  std::unique_ptr<MomentumSlice> slice_;
  std::unique_ptr<ParameterServer> server_;
  std::vector<Payload> gradients_;
  std::int64_t updates_ = 0, pulls_ = 0;

  std::pair<std::size_t, std::size_t> slice(int server) const {
    const auto [begin, end] = share_of(server, servers_, 0, static_cast<int>(elements_));
    return {static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)};
  }
  std::vector<int> peers() const {
    std::vector<int> all;
    for (int rank = all_.rank() < servers_ ? servers_ : 0; rank < (all_.rank() < servers_ ? all_.size() : servers_); ++rank) all.push_back(rank);
    return all;
  }
  float* received(int peer) {
    return serves() && peer > servers_ ? more_[static_cast<std::size_t>(peer - servers_ - 1)].data() : received_.data();
  }
  void serve(int from, Frame frame, bool updates) {
    if (updates) {
      server_->take({from, 0}, std::move(frame.payload));
      server_->apply({.version = pulls_, .rate = 1, .pulled = -1, .pushes = {{from, 0}}});
    }
    office_.send(from, {.header = {.kind = FrameKind::slice}, .payload = server_->pull(from, pulls_++)});
  }
  void take(int server, const Frame& frame) {
    std::memcpy(parameters_.data() + slice(server).first, frame.payload.data.get(), frame.payload.bytes);
  }
};

}  // namespace

std::vector<BenchReduceResult> bench_push_pull(Communicator& communicator, const BenchPushPullOptions& options) {
  if (options.servers < 1 || options.servers >= communicator.size())
    throw UsageError(fmt::format("{} servers of {} rank{}: at least one rank serves and one works; start it under mpirun -n 2 or more",
                                 options.servers, communicator.size(), communicator.size() == 1 ? "" : "s"));
  communicator.at("the benchmark of servers", -1);
  Play play(communicator, options);
  play.make_room();
  const auto sent = [&] { return play.sent_bytes(); };
  const std::vector<Way> ways{
      {"push and pull", [] {}, [&] { play.push_and_pull(true); }, [&] { return play.is_exact(); }, sent},
      {"push and pull, no update", [] {}, [&] { play.push_and_pull(false); }, [&] { return play.is_exact(); }, sent},
      {"messages", [] {}, [&] { play.messages(); }, [&] { return play.received_all(); }},
      {"memory copy", [] {}, [&] { play.copy(); }, [&] { return play.received_all(); }}};
  auto results = measure_ways(communicator, ways, {.elements = options.elements, .repetitions = options.repetitions});
  for (BenchReduceResult& result : results) result.gigabytes_per_second *= 2;  // there and back
  return results;
}

}  // namespace convoy
