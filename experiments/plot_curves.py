#!/usr/bin/env python3
"""Draws runs' metrics.jsonl as curves: plot_curves.py OUTPUT.png [--what=error|loss] [--split=train|validation|both] RUN[=LABEL] ...

error: 100 % less top-1. The training curve is what the steps of one logging interval had on average. Needs matplotlib (Debian:
python3-matplotlib).
"""
import argparse
import json
import os

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def points(run, kind, what):
    """(epoch, value) of one kind of line, in the order of the epochs; a run that was resumed has some twice: the last counts."""
    found = {}
    with open(os.path.join(run, "metrics.jsonl")) as lines:
        for line in lines:
            entry = json.loads(line)
            if entry.get("kind") == kind:
                found[entry["epoch"]] = 100 - 100 * entry["top1"] if what == "error" else entry["loss"]
    return sorted(found.items())


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("output")
    arguments.add_argument("runs", nargs="+")
    arguments.add_argument("--what", choices=("error", "loss"), default="error")
    arguments.add_argument("--split", choices=("train", "validation", "both"), default="both")
    arguments.add_argument("--title", default="")
    given = arguments.parse_args()
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for number, run in enumerate(given.runs):
        folder, _, label = run.partition("=")
        for kind, style in (("train", ":"), ("validation", "-")):
            if given.split not in (kind, "both"):
                continue
            line = points(folder, kind, given.what)
            if line:
                axes.plot(*zip(*line), style, color=f"C{number}", label=f"{label or os.path.basename(folder)}, {kind}")
    axes.set_xlabel("epoch")
    axes.set_ylabel("top-1 error, %" if given.what == "error" else "loss")
    axes.set_title(given.title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(given.output, dpi=90)


if __name__ == "__main__":
    main()
