#!/usr/bin/env python3
"""A whole training step (forward, backward, update) of convoy beside PyTorch: same network, batch, threads, fp32.

    experiments/benchmarks/step_vs_pytorch.py --model=resnet-20
    experiments/benchmarks/step_vs_pytorch.py --model=lenet-5

The two alternate in one run: each block is a fresh process of either, warmed up, then timed. Printed are the medians over
blocks, the spread of the ratio over blocks, and the peak resident memory of either process. PyTorch is measured in its
default layout and in channels_last, and the faster of the two is the peer. convoy's step begins with the images as stored
(uint8) and normalises them; PyTorch's begins with floats. Needs a Python with torch: Debian's is /usr/bin/python3 with
the package python3-torch (launch/setup --benchmarks).
"""
import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

INPUT = {"resnet-20": (28, 28, 1), "lenet-5": (28, 28, 1)}


def lenet(nn):
    """core/models/lenet.cpp, variant modern."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 120, 5), nn.ReLU(), nn.Flatten(),
        nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def resnet20(nn):
    """core/models/resnet_small.cpp: shortcut A."""
    functional = nn.functional

    class Block(nn.Module):
        def __init__(self, channels_in, channels, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(channels)
            self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(channels)
            self.stride, self.extra = stride, channels - channels_in

        def forward(self, x):
            f = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
            if self.stride > 1:
                x = x[:, :, ::2, ::2]
            if self.extra:
                x = functional.pad(x, (0, 0, 0, 0, 0, self.extra))
            return functional.relu(f + x)

    layers, channels_in = [nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for channels in (16, 32, 64):
        for block in range(3):
            layers.append(Block(channels_in, channels, 2 if block == 0 and channels > 16 else 1))
            channels_in = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def peer(arguments):
    """One block of PyTorch; prints a JSON object."""
    import torch
    torch.set_num_threads(arguments.threads)
    layout = torch.channels_last if arguments.layout == "channels_last" else torch.contiguous_format
    model = {"lenet-5": lenet, "resnet-20": resnet20}[arguments.model](torch.nn).to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
    height, width, channels = INPUT[arguments.model]
    images = torch.randn(arguments.batch, channels, height, width).to(memory_format=layout)
    labels = torch.randint(0, 10, (arguments.batch,))

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    for _ in range(3):
        step()
    begin = time.perf_counter()
    for _ in range(arguments.steps):
        step()
    seconds = (time.perf_counter() - begin) / arguments.steps
    print(json.dumps({"seconds": seconds, "version": torch.__version__,
                      "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def run(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def convoy_block(arguments, virtual_workers):
    found = run([arguments.convoy, "bench", "step", f"--model={arguments.model}", "--input=" + "x".join(map(str, INPUT[arguments.model])),
                 f"--batch={arguments.batch}", f"--steps={arguments.steps}", "--repetitions=1", f"--virtual-workers={virtual_workers}",
                 f"--device.threads={arguments.threads}", "--format=json"]
                + (["--model.variant=modern"] if arguments.model == "lenet-5" else []))
    return {"seconds": found["median_seconds"], "peak_memory_mib": found["peak_memory_mib"]}


def torch_block(arguments, layout):
    return run([arguments.python, __file__, "--peer", f"--layout={layout}", f"--model={arguments.model}",
                f"--batch={arguments.batch}", f"--threads={arguments.threads}", f"--steps={arguments.steps}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(INPUT), default="resnet-20")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=0, help="per block (0: 10 for resnet-20, 100 for lenet-5)")
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--convoy", default="build/release/convoy")
    parser.add_argument("--python", default="/usr/bin/python3", help="a Python that has torch")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--layout", default="default", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.steps = arguments.steps or (100 if arguments.model == "lenet-5" else 10)
    if arguments.peer:
        return peer(arguments)

    contenders = {"convoy, V=1": lambda: convoy_block(arguments, 1), "convoy, V=8": lambda: convoy_block(arguments, 8),
                  "PyTorch": lambda: torch_block(arguments, "default"),
                  "PyTorch, channels_last": lambda: torch_block(arguments, "channels_last")}
    blocks = {name: [] for name in contenders}
    for block in range(arguments.blocks):
        for name, measure in contenders.items():
            blocks[name].append(measure())
        print(f"block {block + 1} of {arguments.blocks}", file=sys.stderr)
    version = blocks["PyTorch"][0]["version"]
    print(f"{arguments.model}, batch {arguments.batch}, {arguments.threads} threads, fp32; PyTorch {version}; "
          f"{arguments.blocks} alternating blocks of {arguments.steps} steps")
    median = {name: statistics.median(b["seconds"] for b in found) for name, found in blocks.items()}
    for name, found in blocks.items():
        times = [1e3 * b["seconds"] for b in found]
        print(f"  {name:<24} {1e3 * median[name]:9.3f} ms a step (least {min(times):.3f}, most {max(times):.3f})   "
              f"peak memory {max(b['peak_memory_mib'] for b in found):6.0f} MiB")
    best = min(("PyTorch", "PyTorch, channels_last"), key=median.get)
    for name in ("convoy, V=1", "convoy, V=8"):
        ratios = sorted(p["seconds"] / c["seconds"] for p, c in zip(blocks[best], blocks[name]))
        print(f"  {best} / {name}: {statistics.median(ratios):.2f} (least {ratios[0]:.2f}, most {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
