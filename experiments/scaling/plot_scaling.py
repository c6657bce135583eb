#!/usr/bin/env python3
"""Draws the scaling efficiency that `convoy plan` predicts, to 4,096 GPUs:

    experiments/scaling/plot_scaling.py OUTPUT.png [--cluster=FILE] [--convoy=build/release/convoy]

One picture for each number of images a GPU; a colour for each network, a line for each way of exchanging gradients. Needs
matplotlib (Debian: python3-matplotlib).
"""
import argparse
import json
import os
import subprocess
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = os.path.dirname(os.path.abspath(__file__))
RANKS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
STYLES = {"sync hierarchical": "-", "sync fast": "--", "sync": ":"}


def curves(given, model, images):
    """Efficiency in % by mode, in the order of RANKS."""
    words = [given.convoy, "plan", "--format=json", "--samples=1281167", f"--model.name={model}", f"--batch-per-rank={images}",
             f"--cluster={given.cluster}", "--precision=fp16", "--reduction-dtype=bf16",
             "--distributed.bucket-bytes=16777216", "--ranks=" + ",".join(map(str, RANKS))]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    found = {mode: [] for mode in STYLES}
    for plan in json.loads(done.stdout)["plans"]:
        modes = {each["mode"]: 100 * each["efficiency"] for each in plan["modes"]}
        for mode, values in found.items():
            values.append(modes.get(mode, modes["sync"]))
    return found


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("output")
    arguments.add_argument("--cluster", default=os.path.join(HERE, "clusters", "h100-ndr.cfg"))
    arguments.add_argument("--convoy", default="build/release/convoy")
    arguments.add_argument("--models", default="resnet-50,vgg-16,googlenet")
    arguments.add_argument("--images", default="256,32", help="images a GPU")
    given = arguments.parse_args()
    batches = [int(each) for each in given.images.split(",")]
    figure, all_axes = plt.subplots(1, len(batches), figsize=(5.5 * len(batches), 4.6), sharey=True, squeeze=False)
    for axes, images in zip(all_axes[0], batches):
        for number, model in enumerate(given.models.split(",")):
            for mode, values in curves(given, model, images).items():
                axes.plot(RANKS, values, STYLES[mode], color=f"C{number}", label=f"{model}, {mode}")
        axes.set_xscale("log", base=2)
        axes.set_xticks(RANKS[::2], [f"{each:,}" for each in RANKS[::2]], fontsize=8)
        axes.set_xlabel("GPUs")
        axes.set_title(f"{images} images a GPU", fontsize=10)
        axes.set_ylim(0, 103)
        axes.grid(alpha=0.3)
    all_axes[0][0].set_ylabel("simulated scaling efficiency, %")
    all_axes[0][-1].legend(fontsize=7, loc="lower left")
    figure.suptitle(f"weak scaling on {os.path.basename(given.cluster)}", fontsize=10)
    figure.tight_layout()
    figure.savefig(given.output, dpi=90)


if __name__ == "__main__":
    main()
