#!/usr/bin/env python3
"""Training samples per second and core from JPEG files: convoy's loader beside PyTorch's DataLoader, with PIL and with
torchvision's own decoder.

    experiments/benchmarks/decode_vs_pytorch.py ../shared/data/clothing-photos/train
    experiments/benchmarks/decode_vs_pytorch.py --rounds=9 --size=224 PHOTOS        # folders of classes, of JPEG files

Imports PHOTOS into an encoded data set, then each round runs, one after the other, on one core each: `convoy bench loader
--decode=jpeg`; a DataLoader over the same files with PIL; one with torchvision.io. All three deliver what a training step
takes: float32, normalised; with --uint8 bytes, before that. Two ways of cropping: a random resized crop with a flip (area 8 to 100 %, aspect 3/4 to 4/3), and
the shorter side to 256/224 of the size with a crop from the centre, the same pixels for all. The files are in the page cache;
convoy also verifies every checksum. The DataLoader has no workers: what more of them do is to use more cores. Needs a Python
with torchvision and PIL: Debian's is /usr/bin/python3 with python3-torchvision (launch/setup --benchmarks).
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import torch
    import torchvision
    from PIL import Image
    from torchvision import transforms
except ImportError:
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    sys.exit("this Python has no torchvision; launch/setup --benchmarks installs Debian's")

MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class Files(torch.utils.data.Dataset):
    def __init__(self, files, size, random, decoder, uint8):
        self.files, self.decoder = files, decoder
        extra = {} if decoder == "pil" else {"antialias": True}
        if random:
            crop = [self.random_crop(size, extra), transforms.RandomHorizontalFlip()]
        else:
            crop = [transforms.Resize(size * 256 // 224, **extra), transforms.CenterCrop(size)]
        convert = transforms.ToTensor() if decoder == "pil" else transforms.ConvertImageDtype(torch.float32)
        finish = [convert, transforms.Normalize(MEAN, DEVIATION)]
        if uint8:
            finish = [transforms.PILToTensor()] if decoder == "pil" else []
        self.transform = transforms.Compose([*crop, *finish])

    @staticmethod
    def random_crop(size, extra):
        try:
            return transforms.RandomResizedCrop(size, **extra)
        except TypeError:  # torchvision 0.14: without antialiasing for tensors, which is less work
            return transforms.RandomResizedCrop(size)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        if self.decoder == "pil":
            with Image.open(self.files[i]) as image:
                return self.transform(image.convert("RGB")), 0
        data = torchvision.io.read_file(str(self.files[i]))
        return self.transform(torchvision.io.decode_jpeg(data, torchvision.io.ImageReadMode.RGB)), 0


def torch_rate(files, size, random, decoder, uint8, seconds):
    loader = torch.utils.data.DataLoader(Files(files, size, random, decoder, uint8), batch_size=32, shuffle=True)
    done, start = 0, time.perf_counter()
    while True:
        for images, _ in loader:
            done += len(images)
            if time.perf_counter() - start >= seconds:
                return done / (time.perf_counter() - start)


def convoy_rate(convoy, folder, size, random, uint8):
    view = ["--data.view=random-resized-crop", "--data.flip"] if random else [f"--data.resize-short={size * 256 // 224}"]
    command = [convoy, "bench", "loader", "--decode=jpeg", f"--data.path={folder}", f"--data.size={size}", *view,
               "--repetitions=3", "--format=json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["loader" if uint8 else "consumed"]["median"]


def compare(options, folder, files, random):
    ours, theirs = [], {"pil": [], "torchvision": []}
    for decoder in theirs:
        torch_rate(files, options.size, random, decoder, options.uint8, 0.2)
    for _ in range(options.rounds):
        ours.append(convoy_rate(options.convoy, folder, options.size, random, options.uint8))
        for decoder, rates in theirs.items():
            rates.append(torch_rate(files, options.size, random, decoder, options.uint8, options.seconds))
    print(f"{'random resized crop, flip' if random else 'shorter side, centre crop'}")
    print(f"  {'convoy':<28} {statistics.median(ours):>8.0f}")
    for decoder, rates in theirs.items():
        ratios = [a / b for a, b in zip(ours, rates)]
        print(f"  {'DataLoader, ' + decoder:<28} {statistics.median(rates):>8.0f}   convoy is {statistics.median(ratios):.2f}x "
              f"({min(ratios):.2f} to {max(ratios):.2f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=pathlib.Path, help="folders of classes, of JPEG files")
    parser.add_argument("--convoy", default="build/release/convoy")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--uint8", action="store_true", help="stop at bytes, neither converted nor normalised")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each of PyTorch's measurements")
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = sorted(path for path in options.photos.glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg"))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([options.convoy, "data", "import", "--from=image-folder", f"--input={options.photos}",
                        f"--output={folder}", "--encoding=jpeg"], check=True, capture_output=True)
        print(f"{len(files)} files to {options.size} x {options.size} x 3, {'uint8' if options.uint8 else 'float32'}; samples/s, one core, median of "
              f"{options.rounds} rounds, alternating; torch {torch.__version__}, torchvision {torchvision.__version__}")
        for random in (True, False):
            compare(options, folder, files, random)


if __name__ == "__main__":
    main()
