#!/usr/bin/env python3
"""`convoy plan` beside published scaling results, fed with constants of the hardware and the rate of one GPU alone:

    experiments/scaling/published.py [--convoy=build/release/convoy] [--jitter=0.02]

Each row is simulated twice: with every GPU exactly as fast as the others, and with a jitter, one and the same guess for all.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

CLUSTERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clusters")
FUSION = "--distributed.bucket-bytes=67108864"  # Horovod's fusion buffer: 64 MiB

# What: (text, cluster, GPUs, images a GPU, mode of convoy plan, options, published efficiency in %, rate that is 100 %:
# images/s of one GPU, or None for the cluster file's)
HALF = ["--precision=fp16", "--reduction-dtype=bf16", "--model.name=resnet-50", FUSION]
ROWS = [
    ("Horovod, 512 P100, ResNet-101", "p100-25gbe", 512, 64, "sync fast", ["--model.name=resnet-101", FUSION], 90, 128),
    ("Horovod, 512 P100, VGG-16", "p100-25gbe", 512, 64, "sync fast", ["--model.name=vgg-16", FUSION], 68, 154),
    ("Goyal 2017, 256 P100, ResNet-50", "p100-50gbe", 256, 32, "sync hierarchical", ["--model.name=resnet-50"], 90, 138),
    ("TF servers, 64 K80, ResNet-50", "k80-10gbe", 64, 64, "local", ["--model.name=resnet-50", "--average-every=1"], 82, 52.4),
    ("MLPerf, 64 H100, batch 50", "h100-ndr", 64, 50, "sync hierarchical", HALF, 69, 7162),
    ("MLPerf, 512 H100, batch 40", "h100-ndr", 512, 40, "sync hierarchical", HALF, 62, 7162),
    ("MLPerf, 768 H100, batch 42", "h100-ndr", 768, 42, "sync hierarchical", HALF, 62, 7162),
    ("MLPerf, 2,528 H100, batch 16", "h100-ndr", 2528, 16, "sync hierarchical", HALF, 38, 7162),
    ("MLPerf, 3,584 H100, batch 16", "h100-ndr", 3584, 16, "sync hierarchical", HALF, 39, 7162),
]


def cluster_with(name, jitter, folder):
    """The cluster file with this jitter in its [compute]."""
    with open(os.path.join(CLUSTERS, name + ".cfg")) as file:
        text = file.read()
    path = os.path.join(folder, name + ".cfg")
    with open(path, "w") as file:
        file.write(text.replace("[compute]\n", f"[compute]\njitter = {jitter}\n"))
    return path


def efficiency(convoy, row, jitter, folder):
    _, cluster, gpus, images, mode, options, _, whole = row
    words = [convoy, "plan", "--format=json", "--samples=1281167", f"--ranks={gpus}", f"--batch-per-rank={images}",
             f"--cluster={cluster_with(cluster, jitter, folder)}", *options]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    rates = {each["mode"]: each["samples_per_second"] for each in json.loads(done.stdout)["modes"]}
    return 100 * rates[mode] / gpus / whole


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--convoy", default="build/release/convoy")
    arguments.add_argument("--jitter", type=float, default=0.02)
    given = arguments.parse_args()
    print(f"| result | published | simulated | points | with a jitter of {100 * given.jitter:g} % | points |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for row in ROWS:
            found = [efficiency(given.convoy, row, jitter, folder) for jitter in (0, given.jitter)]
            published = row[6]
            print(f"| {row[0]} | {published} % | {found[0]:.0f} % | {found[0] - published:+.0f} | {found[1]:.0f} % | "
                  f"{found[1] - published:+.0f} |", flush=True)


if __name__ == "__main__":
    main()
