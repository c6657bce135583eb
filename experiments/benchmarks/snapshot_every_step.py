#!/usr/bin/env python3
"""What checkpoints cost a run: the step time with a snapshot at every step beside none.

    experiments/benchmarks/snapshot_every_step.py --data=data/fashion-mnist
    experiments/benchmarks/snapshot_every_step.py --data=data/fashion-mnist --model=resnet-20 --ranks=2

Runs `convoy train` with --checkpoint.every-steps=1 and without, alternately. Each is run with few steps and with many; the
difference of their times is that of the steps alone, without start and end. Then prints
`convoy bench checkpoint` for the disk that the runs were on.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

NEVER = 10**9


def train(args, folder, name, every):
    """Seconds a step, from the wall clock of two runs that differ only in their number of steps."""
    seconds = []
    for steps in (args.warm_up, args.warm_up + args.steps):
        run = f"{name}-{steps}"
        command = ["mpirun", "-q", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", str(args.ranks)]
        command = (command if args.ranks > 1 else []) + [
            args.convoy, "train", f"--model.name={args.model}", f"--data.path={args.data}", f"--train.batch={args.batch}",
            f"--train.steps={steps}", f"--checkpoint.every-steps={every}", f"--runs={folder}", f"--run={run}"]
        begin = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds.append(time.monotonic() - begin)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
    return (seconds[1] - seconds[0]) / args.steps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convoy", default="build/release/convoy")
    parser.add_argument("--data", required=True, help="folder of shards")
    parser.add_argument("--model", default="lenet-5")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", default=".", help="a folder on the disk to measure")
    args = parser.parse_args()
    times = {"none": [], "every step": []}
    with tempfile.TemporaryDirectory(dir=args.runs) as folder:
        for number in range(args.rounds):
            times["none"].append(train(args, folder, f"none-{number}", NEVER))
            times["every step"].append(train(args, folder, f"every-{number}", 1))
        size = max(f.stat().st_size for f in pathlib.Path(folder).glob("*/checkpoints/step-*.h5"))
        bench = subprocess.run([args.convoy, "bench", "checkpoint", f"--output={folder}", f"--bytes={size}",
                                "--format=json"], capture_output=True, text=True, check=True)
    for name, values in times.items():
        print(f"{name:<12} {1e3 * statistics.median(values):9.3f} ms a step ({1e3 * min(values):.3f} to {1e3 * max(values):.3f})")
    ratios = [b / a for a, b in zip(times["none"], times["every step"])]
    print(f"ratio        {statistics.median(ratios):9.3f} ({min(ratios):.3f} to {max(ratios):.3f}); a checkpoint has {size} bytes")
    for row in json.loads(bench.stdout)["results"]:
        print(f"  {row['name']:<24} {row['median_bytes_per_second'] / 1e6:9.1f} MB/s {1e3 * row['median_seconds']:9.3f} ms")


if __name__ == "__main__":
    main()
