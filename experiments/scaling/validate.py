#!/usr/bin/env python3
"""Sets `convoy plan` beside real runs on this machine: in every round, for 1, 2 and 4 ranks, it probes with 4, predicts the
step of so many ranks, and trains as many for some steps. Printed are medians over the rounds, and the spread of the error.

    experiments/scaling/validate.py --data=data/fashion-mnist experiments/resnet/fashion-mnist.cfg

Other work on the machine slows probes and runs by different amounts: run it where nothing else runs, or give more rounds.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

MPIRUN = ["mpirun", "-q", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]


def mpi(ranks, words):
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    done = subprocess.run(MPIRUN + ["-n", str(ranks)] + words, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def one_round(given, folder, options):
    """By number of ranks: {"step": (predicted, actual), "booked memory": ..., ...}."""
    cluster, found = os.path.join(folder, "here.cfg"), {}
    run = [f"--runs={folder}", *options]
    for ranks in given.ranks:
        mpi(ranks if given.probe_alike else max(given.ranks), [given.convoy, "plan", "--probe", f"--cluster={cluster}", *run])
        name = f"ranks-{ranks}"
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
        mpi(ranks, [given.convoy, "train", f"--run={name}", f"--train.steps={given.steps}",
                    f"--train.log-every={max(1, given.steps // 4)}", *run])
        told = json.loads(mpi(1, [given.convoy, "plan", "--format=json", f"--cluster={cluster}",
                                  f"--compare={os.path.join(folder, name)}"]))
        found[ranks] = {row["name"]: (row["predicted"], row["actual"]) for row in told["compared"]}
    return found


def print_table(rounds, ranks_list):
    print(f"{'ranks':>5} {'predicted ms':>13} {'actual ms':>10} {'error':>8}  {'error of single rounds':<24} {'memory':>8} {'RSS MiB':>8}")
    for ranks in ranks_list:
        steps = [each[ranks]["step"] for each in rounds]
        predicted = statistics.median(step[0] for step in steps)
        actual = statistics.median(step[1] for step in steps)
        errors = sorted(100 * (step[0] / step[1] - 1) for step in steps)
        memory = [each[ranks]["booked memory"] for each in rounds][-1]
        rss = [each[ranks]["peak RSS"] for each in rounds][-1]
        print(f"{ranks:>5} {1e3 * predicted:>13.2f} {1e3 * actual:>10.2f} {100 * (predicted / actual - 1):>6.1f} %  "
              f"{errors[0]:>6.1f} .. {statistics.median(errors):>5.1f} .. {errors[-1]:>5.1f} % "
              f"{100 * (memory[0] / memory[1] - 1):>6.2f} % {rss[1] / 2**20:>8.1f}", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("config")
    arguments.add_argument("options", nargs="*", help="of convoy, as --train.batch=256, after --")
    arguments.add_argument("--data", help="data.path")
    arguments.add_argument("--convoy", default="build/release/convoy")
    arguments.add_argument("--ranks", default="1,2,4", type=lambda text: [int(each) for each in text.split(",")])
    arguments.add_argument("--steps", type=int, default=40)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--probe-alike", action="store_true", help="probe with as many ranks as are predicted, not with the most")
    given = arguments.parse_args()
    options = [f"--config={given.config}", *([f"--data.path={given.data}"] if given.data else []), *given.options]
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(given.rounds):
            rounds.append(one_round(given, folder, options))
    print_table(rounds, given.ranks)


if __name__ == "__main__":
    main()
