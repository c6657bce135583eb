// A small run under mpirun that fails in the way its first argument says; fault_test.cpp watches how it ends.
//   fault_driver MODE [RANK]     RANK: who fails (default: the last)
// Rank 0's handler prints "status S rank R: reason" on stdout.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include "core/tensor/error.h"
#include "distributed/reduction.h"
#include "distributed/world.h"

namespace convoy {
namespace {

using namespace std::chrono_literals;

struct ReturnEarly {};

void print_bad_news(const BadNews& news) {
  std::printf("status %d rank %d: %s\n", news.status, news.rank, news.reason.c_str());
}

/// Steps of a run: compute (sleep), reduce. `fail_at` is called by the failing rank before its hand-in of
/// step 20.
void train(World& world, int steps, const std::function<void()>& fail_at) {
  const auto reducer =
      make_reducer(world.all(), {.virtual_workers = world.size(), .bucket_elements = {1000, 1000}});
  const std::vector<float> gradient(1000, 1.0F);
  for (int step = 0; step < steps; ++step) {
    reducer->begin(step);
    std::this_thread::sleep_for(2ms);
    if (step == 20) fail_at();
    for (const int bucket : {0, 1}) reducer->bucket_ready(world.rank(), bucket, gradient.data());
    reducer->finish();
  }
}

constexpr int kForever = 1 << 30;

void run(World& world, const std::string& mode, int failing) {
  world.all().set_deadline(mode == "silent" || mode == "kill" ? 1s : 60s);
  if (mode == "none") return train(world, 30, [] {});
  const std::string me = "rank " + std::to_string(world.rank());
  train(world, kForever, [&] {
    if (mode == "all-at-once") world.fail(world.rank() + 1, me + " has failed");
    if (mode == "rank-0-stopped" && world.rank() == 0) ::kill(::getpid(), SIGSTOP);
    if (world.rank() != failing) return;
    if (mode == "usage") throw UsageError("a wrong option");
    if (mode == "data" || mode == "rank-0-stopped") throw DataError("sample 412 is damaged");
    if (mode == "stray") throw std::runtime_error("nobody catches this");
    if (mode == "return") throw ReturnEarly();
    if (mode == "kill") ::kill(::getpid(), SIGKILL);
    if (mode == "silent") std::this_thread::sleep_for(1h);
  });
}

/// Owns the World, so that a stray exception leaves through its destructor.
int play(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  World world(&argc, &argv);
  world.on_bad_news(print_bad_news);
  const int failing = argc > 2 ? std::atoi(argv[2]) : world.size() - 1;
  try {
    run(world, mode, failing);
  } catch (const DataError& error) {
    world.fail(3, error.what());
  } catch (const UsageError& error) {
    world.fail(2, error.what());
  } catch (const PeerError& error) {
    world.fail(1, error.what(), {.rank = error.peer()});
  } catch (const Error& error) {
    world.fail(1, error.what());
  } catch (const ReturnEarly&) {
    world.all().set_deadline(1s);
  }
  if (world.rank() == 0) std::printf("done\n");
  return 0;
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  try {
    return convoy::play(argc, argv);
  } catch (const std::exception&) {
    return 99;  // the World must have ended the process before
  }
}
