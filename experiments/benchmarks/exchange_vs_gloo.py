#!/usr/bin/env python3
"""convoy's exchanges beside Gloo (PyTorch's CPU backend) on two ranks of one machine, alternating block by block.

    /usr/bin/python3 experiments/benchmarks/exchange_vs_gloo.py [--elements=25000000] [--rounds=5] [--convoy=PATH]

all-reduce: `convoy bench reduce` (the deterministic tree) beside torch.distributed.all_reduce of as many floats.
push and pull: `convoy bench push-pull` (a worker sends a gradient, the server updates, the parameters come back) beside send and
recv of the same arrays with the same update in between, and a copy in memory.

Printed: medians over rounds, GB/s (of the array; of both ways for push and pull), and the ratio of times. Needs a Python with torch
(launch/setup --benchmarks) and mpirun.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time


def gloo(rank, elements, repetitions, store):
    """Seconds of each way, on rank 0."""
    import torch
    import torch.distributed as dist
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
    gradient, momentum, weights = torch.ones(elements), torch.zeros(elements), torch.zeros(elements)
    received = torch.zeros(elements)

    def reduce():
        dist.all_reduce(gradient)

    def push_pull():
        if rank == 0:
            dist.recv(received, 1)
            momentum.mul_(0.5).add_(received)
            weights.sub_(momentum)
            dist.send(weights, 1)
        else:
            dist.send(received, 0)
            dist.recv(weights, 0)

    found = {}
    for name, run in (("reduce", reduce), ("push_pull", push_pull)):
        seconds = []
        for repetition in range(repetitions + 1):
            gradient.fill_(1)
            dist.barrier()
            begin = time.perf_counter()
            run()
            dist.barrier()
            if repetition:
                seconds.append(time.perf_counter() - begin)
        found[name] = statistics.median(seconds)
    if rank == 0:
        print(json.dumps(found))


def run_gloo(options):
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        ranks = [subprocess.Popen([sys.executable, __file__, f"--rank={rank}", f"--store={store}", f"--elements={options.elements}",
                                   f"--repetitions={options.repetitions}"], stdout=subprocess.PIPE, text=True) for rank in range(2)]
        outputs = [process.communicate()[0] for process in ranks]
        if any(process.returncode for process in ranks):
            sys.exit("the Gloo ranks failed")
        return json.loads(outputs[0])


def run_convoy(options, action):
    command = ["mpirun", "-q", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "2", options.convoy, "bench", action,
               f"--elements={options.elements}", f"--repetitions={options.repetitions}", "--format=json"]
    results = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)["results"]
    return {result["name"]: result["median_seconds"] for result in results}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", type=int, default=25_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--convoy", default="build/release/convoy")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank is not None:
        return gloo(options.rank, options.elements, options.repetitions, options.store)
    rows = {}
    for _ in range(options.rounds):
        reduce, servers, peer = run_convoy(options, "reduce"), run_convoy(options, "push-pull"), run_gloo(options)
        for name, ours, theirs in (("all-reduce", reduce["deterministic"], peer["reduce"]),
                                   ("push and pull", servers["push and pull"], peer["push_pull"]),
                                   ("memory copy (there and back)", servers["memory copy"], None)):
            rows.setdefault(name, []).append((ours, theirs))
    gigabytes = options.elements * 4 / 1e9
    print(f"{options.elements} floats, 2 ranks, {options.rounds} rounds of {options.repetitions}")
    print(f"{'':<30} {'convoy ms':>10} {'GB/s':>7} {'Gloo ms':>10} {'GB/s':>7} {'Gloo/convoy':>12}")
    for name, pairs in rows.items():
        ways = 1 if name == "all-reduce" else 2
        ours = statistics.median(pair[0] for pair in pairs)
        line = f"{name:<30} {1e3 * ours:>10.1f} {ways * gigabytes / ours:>7.2f}"
        if pairs[0][1] is not None:
            theirs = statistics.median(pair[1] for pair in pairs)
            ratios = sorted(pair[1] / pair[0] for pair in pairs)
            line += f" {1e3 * theirs:>10.1f} {ways * gigabytes / theirs:>7.2f} {statistics.median(ratios):>6.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(line)


if __name__ == "__main__":
    main()
