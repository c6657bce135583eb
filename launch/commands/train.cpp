// convoy train: trains a model on any number of ranks.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "core/trace/trace.h"
#include "distributed/watch/watch.h"
#include "io/atomic_file.h"
#include "io/ring_file.h"
#include "io/run_lives.h"
#include "launch/chaos/inject_spec.h"
#include "launch/check.h"
#include "launch/commands/commands.h"
#include "launch/errors.h"
#include "launch/train/last_words.h"
#include "launch/train/trainer.h"

namespace convoy {
namespace {

/// status.json of a run that failed; best effort, for the message matters more. `folder`: empty before rank 0 holds it.
void record_failure(const std::filesystem::path& folder, const Trainer* trainer, int status, const std::string& reason,
                    int rank, bool again = true) {
  if (folder.empty()) return;
  try {
    RunStatus told{.status = status, .reason = reason, .rank = rank};
    if (trainer) {
      told = trainer->status(status, reason, rank);
    } else if (const auto before = read_status(folder)) {  // the run stands where it stood
      if (status == kWrongUsage) return;  // a command that was refused changed nothing
      told.step = before->step;
      told.epoch = before->epoch;
      told.checkpoint = before->checkpoint;
    }
    if (told.checkpoint.empty()) {  // only rank 0 knows it, and may be the one that is gone
      const CheckpointFolder checkpoints(folder / "checkpoints");
      const std::vector<std::int64_t> steps = checkpoints.steps();
      if (!steps.empty()) told.checkpoint = "checkpoints/" + checkpoints.file_for(steps.front()).filename().string();
    }
    told.again = again;
    write_status(folder, told);
  } catch (const std::exception& error) {
    print_failure(fmt::format("status.json could not be written: {}", error.what()));
  }
}

/// Collective. The files of an earlier life are put aside, with its status.json, before the trainer removes that.
std::unique_ptr<RingFile> start_recorder(World& world, const std::filesystem::path& run_folder) {
  int life = 0;
  std::string warning;
  if (world.rank() == 0) life = begin_life(run_folder, warning);
  if (!warning.empty()) fmt::print(stderr, "[run] {}\n", warning);
  world.all().broadcast(&life, sizeof life, 0);
  return std::make_unique<RingFile>(
      watch_folder(run_folder),
      RingIdentity{.rank = world.rank(), .size = world.size(), .pid = getpid(), .host = host_name(), .life = life});
}

int train(const Config& config, World& world) {
  std::unique_ptr<RunFolder> folder;  // rank 0's, locked before anything else
  std::filesystem::path path;         // the same on every rank: whoever takes a dead rank 0's place writes status.json
  std::unique_ptr<Watch> watch;
  std::unique_ptr<Trainer> trainer;
  std::unique_ptr<RingFile> recorder;
  trace::name_thread("main");
  world.on_bad_news([&](const BadNews& news) {
    print_bad_news(news);
    record_failure(path, trainer.get(), news.status, news.reason, news.rank);
  });
  // The handler must not outlive the trainer that it captures: the world may still fail while it ends.
  struct Forget {
    World& of;
    ~Forget() { of.on_bad_news(print_bad_news); }
  } forget{world};
  try {
    agree(world.all(), "the run folder", [&] {
      if (world.rank() != 0) return;
      folder = std::make_unique<RunFolder>(config.get<std::filesystem::path>("runs"), config.get<std::string>("run"));
      path = std::filesystem::absolute(folder->path());
      for (const std::string& warning : folder->warnings()) fmt::print(stderr, "[run] {}\n", warning);
    });
    path = world.all().broadcast_string(path.string(), 0);
    watch = std::make_unique<Watch>(world, WatchOptions{}, print_watch, recall_from(path));
    recorder = start_recorder(world, path);
    trainer = std::make_unique<Trainer>(config, world, folder.get());
    const int status = trainer->run();
    if (const std::string lost = recorder->warning(); !lost.empty() && world.rank() == 0)
      fmt::print(stderr, "[run] {}\n", lost);
    return status;
  } catch (const AgreedError& error) {  // every rank is here; rank 0 speaks
    if (world.rank() == 0) {
      print_failure(error.what());
      record_failure(path, trainer.get(), error.status(), error.what(), error.rank(), error.again());
    }
    return error.status();
  } catch (...) {  // this rank alone: tell the others while the trainer still stands
    const Failure failure = failure_of(std::current_exception());
    world.fail(failure.status, failure.message, {.rank = failure.rank});
  }
}

}  // namespace

Command train_command() {
  return {"train",
          "train a model on any number of ranks",
          {{.path = "train",
            .summary = "train a model on any number of ranks",
            .usage = "train --config=FILE [--run=NAME] [--resume=latest] [--SECTION.OPTION=VALUE ...]",
            .description =
                "Trains by synchronous data parallelism, unless --mode says otherwise. The batch is cut into virtual-workers micro-batches, whatever "
                "the number of ranks and threads, and their gradients are summed in a fixed order: 1, 2, 3 or 4 ranks, a "
                "crash and a resume on another number of ranks give the same bits.\n\n"
                "Everything goes into one folder, RUNS/NAME: config.cfg (as used), metrics.jsonl, status.json and "
                "checkpoints/. --resume=latest goes on from the newest checkpoint that verifies, or begins afresh where "
                "there is none, so one command line serves the first start and every requeue.\n\n"
                "--mode=local is local SGD: --replicas=K models, the same on any number of ranks up to K, each take their share "
                "of every batch and update themselves; after every --average-every=k steps, and where an epoch ends, they become "
                "their average (parameters, optimizer slots, batch-norm statistics). --local-from=EPOCH trains synchronously "
                "before. Only averages are saved, audited and evaluated: what falls due in between, signals too, waits for the "
                "next one.\n\n"
                "--mode=model puts each tower of a network with two (alexnet) on a rank of its own, ranks 2p and 2p+1 having "
                "the same micro-batches: what the other one makes travels where towers cross. The bits are those of --mode=sync "
                "on any number of ranks, and runs may change between the two; one rank holds both towers.\n\n"
                "Signals: SIGUSR1 writes a checkpoint and goes on; SIGUSR2, SIGTERM and SIGINT write one and end with "
                "status 75.\n\n"
                "Exit status: 0 done, 1 failed while running, 2 wrong usage or config, 3 bad data, 75 stopped by a signal "
                "with a checkpoint written.\n\n" +
                inject_help(),
            .examples = "convoy train --config=experiments/lenet/fashion-mnist.cfg\n"
                        "mpirun -n 4 convoy train --config=experiments/lenet/fashion-mnist.cfg --run=four --resume=latest\n"
                        "mpirun -n 4 convoy train --config=my.cfg --mode=local --replicas=4 --average-every=8\n"
                        "mpirun -n 2 convoy train --config=experiments/alexnet/imagenet.cfg --mode=model\n"
                        "convoy train --model.name=mlp --data.path=data/fashion-mnist --train.epochs=2 --optim.rate=0.05",
            .check = check_run,
            .run_on_ranks = train}}};
}

}  // namespace convoy
