// A small run under mpirun with a watch of short patience; watch_test.cpp stops, kills and delays its ranks.
//   watch_driver MODE [--silent-ms=N] [--late-ms=N] [--timeout-ms=N] [--steps=N]
// MODE: steps        steps with gradients until --steps (default: for ever)
//       slow=R       as steps, but rank R computes for --delay-ms in step 5
//       absent=R     as steps, but rank R never hands in its gradient of step 5
//       files=R      as slow, but rank R waits for samples, and a thread of its loader reads a shard
//       chain        in step 5 rank 2 waits for rank 1, rank 1 for rank 0, and rank 0 computes for --delay-ms
//       cycle        in step 5 ranks 1 and 2 wait for a message of each other that none sends
//       leave=R      as steps, but rank R leaves --delay-ms before the others do
//       die=R        as steps, but rank R kills itself in step 100; die-abort=R: by abort()
// On stdout: "pid P rank R" of each rank, "late: TEXT", "status S rank R by R: REASON", and "done".
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "distributed/watch/watch.h"
#include "distributed/world.h"

namespace convoy {
namespace {

using std::chrono::milliseconds;
using trace::Activity;
using trace::Doing;

struct Play {
  std::string mode;
  int who = 0;  // MODE=who
  int steps = 1 << 30;
  milliseconds silent{10000}, late{30000}, timeout{60000}, delay{0};
};

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

Play parse(int argc, char** argv) {
  Play play;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const int value = equals == word.npos ? 0 : std::atoi(word.c_str() + equals + 1);
    if (name == "--silent-ms") play.silent = milliseconds(value);
    else if (name == "--late-ms") play.late = milliseconds(value);
    else if (name == "--timeout-ms") play.timeout = milliseconds(value);
    else if (name == "--delay-ms") play.delay = milliseconds(value);
    else if (name == "--steps") play.steps = value;
    else play.mode = name, play.who = value;
  }
  return play;
}

/// One message from `from`, as the communicators note their waits.
void receive(Communicator& all, int from, int tag) {
  char nothing = 0;
  const Doing doing(Activity::peer, "gradient bucket 0", 1, from);
  all.receive(&nothing, 1, from, tag)->wait();
}

void send(Communicator& all, int to, int tag) {
  const char nothing = 0;
  all.send(&nothing, 1, to, tag)->wait();
}

/// Everybody's gradient to everybody.
void exchange(Communicator& all) {
  for (int other = 0; other < all.size(); ++other)
    if (other != all.rank()) send(all, other, 0);
  for (int other = 0; other < all.size(); ++other)
    if (other != all.rank()) receive(all, other, 0);
}

void read_slowly(milliseconds delay) {
  std::thread loader([&] {
    trace::name_thread("loader 0");
    const Doing reading(Activity::input, "train-00002-of-00003.h5");
    std::this_thread::sleep_for(delay);
  });
  const Doing waiting(Activity::input, "samples of step 5");
  loader.join();
}

void special_step(Communicator& all, const Play& play) {
  const int me = all.rank();
  if (play.mode == "chain") {
    if (me == 0) std::this_thread::sleep_for(play.delay);
    if (me > 0) receive(all, me - 1, 1);
    if (me + 1 < all.size()) send(all, me + 1, 1);
  }
  if (play.mode == "cycle" && (me == 1 || me == 2)) receive(all, 3 - me, 1);
  if (me != play.who) return;
  if (play.mode == "slow" || play.mode == "absent") std::this_thread::sleep_for(play.delay);
  if (play.mode == "files") read_slowly(play.delay);
}

milliseconds beat_of(const Play& play) { return std::min(milliseconds(1000), play.silent / 5); }

/// In step 4, once beats have told of the steps before: what happens from then on happens to a rank that was heard of.
void announce(Communicator& all, const Play& play) {
  std::this_thread::sleep_for(2 * beat_of(play));
  say("pid " + std::to_string(::getpid()) + " rank " + std::to_string(all.rank()));
}

void train(Communicator& all, const Play& play) {
  for (int step = 1; step <= play.steps; ++step) {
    if (step == 4) announce(all, play);
    trace::at_step(step);
    all.at("gradient bucket 0", step);
    {
      const Doing computing(Activity::compute, "conv1 convolution");
      std::this_thread::sleep_for(milliseconds(5));
      if (step == 5) special_step(all, play);
      if (step == 100 && all.rank() == play.who) {
        if (play.mode == "die") ::kill(::getpid(), SIGKILL);
        if (play.mode == "die-abort") std::abort();
      }
    }
    exchange(all);
  }
}

void run(World& world, const Play& play) {
  world.all().set_deadline(play.timeout);
  trace::name_thread("main");
  Watch watch(world, {.beat = beat_of(play), .silent = play.silent, .late = play.late},
              [](const std::string& text) { say("late: " + text); });
  try {
    train(world.all(), play);
  } catch (const PeerError& error) {
    world.fail(1, error.what(), {.rank = error.peer()});
  }
  if (play.mode != "leave") return;
  if (world.rank() == play.who)
    watch.leave();
  else
    std::this_thread::sleep_for(play.delay);
}

int play(int argc, char** argv) {
  const rlimit no_core{0, 0};
  static_cast<void>(::setrlimit(RLIMIT_CORE, &no_core));
  const Play play = parse(argc, argv);
  World world(nullptr, nullptr);
  world.on_bad_news([](const BadNews& news) {
    say("status " + std::to_string(news.status) + " rank " + std::to_string(news.rank) + " by " +
        std::to_string(news.reporter) + ": " + news.reason);
  });
  try {
    run(world, play);
  } catch (const Error& error) {
    world.fail(1, error.what());
  }
  if (world.rank() == 0) say("done");
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
