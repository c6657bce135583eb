#!/usr/bin/env python3
"""Samples per second of convoy's loader beside h5py: the same shards, shuffled order, one thread each.

    experiments/benchmarks/loader_vs_h5py.py
    experiments/benchmarks/loader_vs_h5py.py --rounds=9 --convoy=build/release/convoy

Makes two data sets of random pixels in a temporary folder (28x28x1 as IDX, 224x224x3 as PNG) and imports them. Then each
round runs convoy's `bench loader` and h5py's `images[i], labels[i]` on them, one after the other. convoy verifies every
sample's checksum; h5py verifies nothing. The files are in the page cache. Needs a Python with h5py: Debian's is
/usr/bin/python3 with the package python3-h5py (launch/setup --benchmarks).
"""
import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib

try:
    import h5py
    import numpy
except ImportError:
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    sys.exit("this Python has no h5py; launch/setup --benchmarks installs Debian's")


def write_idx(folder, count):
    folder.mkdir()
    pixels = numpy.random.default_rng(1).integers(0, 256, count * 28 * 28, dtype=numpy.uint8)
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, count, 28, 28) + pixels.tobytes())
    (folder / "train-labels-idx1-ubyte").write_bytes(
        struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count)))


def png(pixels):
    """An RGB picture, stored rather than compressed."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""))


def write_pngs(folder, count):
    random = numpy.random.default_rng(1)
    for i in range(count):
        where = folder / f"class{i % 10}"
        where.mkdir(parents=True, exist_ok=True)
        (where / f"{i:05}.png").write_bytes(png(random.integers(0, 256, (224, 224, 3), dtype=numpy.uint8)))


def h5py_rate(folder, seconds):
    """Sample by sample, in a shuffled order, as one would read with h5py."""
    files = [h5py.File(path, "r") for path in sorted(folder.glob("train-*.h5"))]
    places = [(f["images"], f["labels"], i) for f in files for i in range(f["images"].shape[0])]
    order = numpy.random.default_rng(1).permutation(len(places))
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for i in order[done % len(order):][:32]:
            images, labels, row = places[i]
            images[row], labels[row]
            done += 1
    rate = done / (time.perf_counter() - start)
    for f in files:
        f.close()
    return rate


def convoy_rates(convoy, folder):
    command = [convoy, "bench", "loader", f"--data.path={folder}", "--batch=32", "--repetitions=3", "--format=json"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {name: result[name]["median"] for name in ("loader", "pread")}


def compare(convoy, folder, rounds, seconds):
    h5py_rate(folder, seconds)  # brings the files into the page cache
    ours, bare, theirs = [], [], []
    for _ in range(rounds):
        rates = convoy_rates(convoy, folder)
        ours.append(rates["loader"])
        bare.append(rates["pread"])
        theirs.append(h5py_rate(folder, seconds))
    ratios = [a / b for a, b in zip(ours, theirs)]
    print(f"{folder.name:>12} {statistics.median(ours):>12.0f} {statistics.median(bare):>12.0f} "
          f"{statistics.median(theirs):>12.0f} {statistics.median(ratios):>8.1f}x   ({min(ratios):.1f} to {max(ratios):.1f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convoy", default="build/release/convoy")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each of h5py's measurements")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = pathlib.Path(temporary)
        write_idx(base / "idx", 60000)
        write_pngs(base / "png", 2000)
        for form, source, name in (("idx", "idx", "28x28x1"), ("image-folder", "png", "224x224x3")):
            subprocess.run([options.convoy, "data", "import", f"--from={form}", f"--input={base / source}",
                            f"--output={base / name}"], check=True, capture_output=True)
        print(f"samples/s, one thread, median of {options.rounds} rounds, alternating")
        print(f"{'':>12} {'convoy':>12} {'bare pread':>12} {'h5py':>12} {'convoy / h5py':>14}")
        for name in ("28x28x1", "224x224x3"):
            compare(options.convoy, base / name, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
