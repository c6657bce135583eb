// convoy train: trains a model on any number of ranks.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "core/trace/trace.h"
#include "distributed/watch/watch.h"
#include "io/atomic_file.h"
#include "io/ring_file.h"
#include "io/run_lives.h"
#include "launch/chaos/inject_spec.h"
#include "launch/check.h"
#include "launch/commands/commands.h"
#include "launch/errors.h"
#include "launch/train/agreement.h"
#include "launch/train/async/async_options.h"
#include "launch/train/ensemble.h"
#include "launch/train/last_words.h"
#include "launch/train/model_run.h"

namespace convoy {
namespace {

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

/// A handler of bad news must not outlive the run that it captures: the world may still fail while it ends.
struct Forget {
  World& of;
  ~Forget() { of.on_bad_news(print_bad_news); }
};

/// A run of several models.
int train_ensemble(const Config& config, World& world) {
  std::unique_ptr<Ensemble> ensemble;
  std::unique_ptr<Watch> watch;
  std::unique_ptr<RingFile> recorder;
  std::optional<Team> team;
  world.on_bad_news([&](const BadNews& news) {
    print_bad_news(news);
    if (ensemble) record_failure(ensemble->path(), nullptr, news.status, news.reason, news.rank);
  });
  const Forget forget{world};
  try {
    ensemble = std::make_unique<Ensemble>(config, world);
    watch = std::make_unique<Watch>(world, WatchOptions{}, print_watch, recall_from(ensemble->path()),
                                    [&](int rank, const std::string& words) { ensemble->lost(rank, words); });
    recorder = start_recorder(world, ensemble->path());
    team.emplace(config, world);
    const int status = ensemble->run(*team);
    if (ensemble->ended_unmeetable()) {
      recorder.reset();
      watch->leave();
      world.end_alone(status);
    }
    return status;
  } catch (const AgreedError& error) {
    if (world.rank() == 0) {
      print_failure(error.what());
      if (ensemble) record_failure(ensemble->path(), nullptr, error.status(), error.what(), error.rank(), error.again());
    }
    return error.status();
  } catch (...) {
    const Failure failure = failure_of(std::current_exception());
    world.fail(failure.status, failure.message, {.rank = failure.rank});
  }
}

/// A run of one model, by all ranks.
int train_model(const Config& config, World& world) {
  std::unique_ptr<Watch> watch;
  std::unique_ptr<RingFile> recorder;
  std::optional<Team> team;
  std::unique_ptr<ModelRun> run;
  world.on_bad_news([&](const BadNews& news) {
    print_bad_news(news);
    if (run) run->record_failure(news.status, news.reason, news.rank);
  });
  const Forget forget{world};
  try {
    run = std::make_unique<ModelRun>(config, world.all());  // its folder is locked before anything else
    // Where ranks may be left out, the trainer itself looks who lives.
    if (!is_async(config)) watch = std::make_unique<Watch>(world, WatchOptions{}, print_watch, recall_from(run->path()));
    recorder = start_recorder(world, run->path());
    team.emplace(config, world);
    const int status = run->train(*team);
    if (const std::string lost = recorder->warning(); !lost.empty() && world.rank() == 0) fmt::print(stderr, "[run] {}\n", lost);
    if (run->lost_ranks()) {
      run.reset();
      recorder.reset();
      world.end_alone(status);
    }
    return status;
  } catch (const AgreedError& error) {  // every rank is here; rank 0 speaks
    if (world.rank() == 0) print_failure(error.what());
    return error.status();
  } catch (...) {  // this rank alone: tell the others while the trainer still stands
    const Failure failure = failure_of(std::current_exception());
    world.fail(failure.status, failure.message, {.rank = failure.rank});
  }
}

int train(const Config& config, World& world) {
  trace::name_thread("main");
  return config.get<std::string>("mode") == "ensemble" ? train_ensemble(config, world) : train_model(config, world);
}

}  // namespace

Command train_command() {
  return {"train",
          "train a model on any number of ranks",
          {{.path = "train",
            .summary = "train a model on any number of ranks",
            .usage = "train --config=FILE [--run=NAME] [--resume=latest] [--SECTION.OPTION=VALUE ...]",
            .description =
                "Trains by synchronous data parallelism, unless --mode says otherwise. The batch is cut into virtual-workers "
                "micro-batches, whatever "
                "the number of ranks and threads, and their gradients are summed in a fixed order: 1, 2, 3 or 4 ranks, a "
                "crash and a resume on another number of ranks give the same bits.\n\n"
                "--mode=ensemble trains --members models, each by a part of the ranks or in turn, in RUNS/NAME/members/NN, each to the "
                "bits of a plain run with its config.cfg there. What goes wrong in a member ends that member alone, and "
                "--resume=latest trains those that are missing; an --inject clause strikes in every member, or by "
                "--member-overrides in one. RUNS/NAME/ensemble.h5 then names their checkpoints, and convoy evaluate averages "
                "them.\n\n"
                "Everything goes into one folder, RUNS/NAME: config.cfg (as used), metrics.jsonl, status.json and "
                "checkpoints/. --resume=latest goes on from the newest checkpoint that verifies, or begins afresh where "
                "there is none, so one command line serves the first start and every requeue.\n\n"
                "--mode=async trains against parameter servers, as GoogLeNet was trained: workers pull, compute and push at their "
                "own pace, a worker that dies is left out (under mpirun --enable-recovery), and pushes.jsonl holds the order of all "
                "updates, from which --replay repeats the run bit by bit. Each push, the gradient of a micro-batch, is an update at "
                "optim.rate by itself. --max-clock-gap=0 has the bits of --mode=sync.\n\n"
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
                        "mpirun --enable-recovery -n 5 convoy train --config=my.cfg --mode=async --servers=1\n"
                        "mpirun -n 4 convoy train --config=my.cfg --mode=local --replicas=4 --average-every=8\n"
                        "mpirun -n 2 convoy train --config=experiments/alexnet/imagenet.cfg --mode=model\n"
                        "convoy train --model.name=mlp --data.path=data/fashion-mnist --train.epochs=2 --optim.rate=0.05\n"
                        "mpirun -n 4 convoy train --config=my.cfg --mode=ensemble --members=7 --member-overrides='7:model.width=1.25'",
            .check = check_run,
            .run_on_ranks = train}}};
}

}  // namespace convoy
