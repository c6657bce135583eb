#!/usr/bin/env python3
"""A whole training step (forward, backward, update) of convoy beside PyTorch: same network, batch, precision, device.

    experiments/benchmarks/step_vs_pytorch.py --model=resnet-20
    experiments/benchmarks/step_vs_pytorch.py --model=lenet-5 --threads=1
    experiments/benchmarks/step_vs_pytorch.py --model=alexnet-2014,vgg-16,googlenet,resnet-50,densenet-121 --precision=bf16
    experiments/benchmarks/step_vs_pytorch.py --model=resnet-20 --device=cuda --precision=bf16 --batch=1024

First the gate: from convoy's own weights, images and labels PyTorch computes loss and gradient in double precision and in the
precision measured; convoy's must be about as near to the former as PyTorch's are. Nothing is timed before that.

Then the contenders alternate in one run, block by block; printed are medians over blocks, and the median and spread of the
ratio over blocks. convoy is measured with the whole batch at once (V=1: PyTorch's very arithmetic) and in micro-batches (V=8,
its default; V=2, one on each of two threads, for images of 224x224). In bf16 and fp16 its own fp32 runs beside. Each of its
blocks is a fresh process, warmed up, then timed; its step begins with the images as stored (uint8) and normalises them,
PyTorch's with floats that lie on the device already. Dropout is off in the gate, on in what is timed.

Where others use the CPU, rounds during which they took more than 25 % of it are left out, if three others remain; --calm=60 waits
up to a minute before each block for them to be done.

On the CPU PyTorch is measured in its default layout and in channels_last, in fresh processes; Debian's Python with torch is
/usr/bin/python3 (launch/setup --benchmarks). With --device=cuda: channels_last, eager (under autocast for bf16 and fp16) and
through torch.compile(mode="max-autotune"), the update by the fused SGD; one process each that waits between blocks, for
compiling takes a minute. Needs nothing but a Python with torch (and torchvision for the networks of pytorch_networks.py that
are its own) and convoy's binary: --convoy=BUNDLE/bin/convoy. A network whose peer is missing is skipped.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from pytorch_networks import MODELS


# ---- PyTorch's side: runs in a process of its own ----

class Peer:
    """The network on its device in one of the ways in which PyTorch runs it."""

    def __init__(self, arguments):
        import torch
        self.torch, self.arguments = torch, arguments
        torch.set_num_threads(arguments.threads)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = arguments.precision == "tf32"
        torch.backends.cudnn.benchmark = True
        self.layout = torch.contiguous_format if arguments.way == "default" else torch.channels_last
        self.narrow = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(arguments.precision)
        self.scale = 1024.0 if arguments.precision == "fp16" else 1.0   # of the loss, so that gradients stay in range
        self.network = MODELS[arguments.model]
        self.model = self.network.build(torch).to(arguments.device, memory_format=self.layout)

    def losses(self, model, images, labels):
        """Of the model's own logits, then of auxiliary heads."""
        with self.torch.autocast(self.arguments.device, self.narrow, enabled=self.narrow is not None):
            logits = model(images)
        logits = logits if isinstance(logits, tuple) else (logits,)
        entropy = self.torch.nn.functional.cross_entropy
        return [entropy(each if self.narrow is None else each.float(), labels) for each in logits]

    def total(self, losses):
        return losses[0] + sum(weight * each for weight, each in zip(self.network.auxiliary, losses[1:]))

    def random_batch(self):
        height, width, channels = self.network.input
        images = self.torch.randn(self.arguments.batch, channels, height, width, device=self.arguments.device)
        labels = self.torch.randint(0, self.network.classes, (self.arguments.batch,), device=self.arguments.device)
        return images.to(memory_format=self.layout), labels

    def prepare_step(self):
        torch, cuda = self.torch, self.arguments.device == "cuda"
        images, labels = self.random_batch()
        optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4,
                                    **({"fused": True} if cuda else {}))
        model = torch.compile(self.model, mode="max-autotune") if self.arguments.way == "compile" else self.model

        def step():
            optimizer.zero_grad()
            (self.total(self.losses(model, images, labels)) * self.scale).backward()
            optimizer.step()
        return step

    def time_block(self, step, warm):
        synchronize = self.torch.cuda.synchronize if self.arguments.device == "cuda" else lambda: None
        for _ in range(warm):
            step()
        synchronize()
        begin = time.perf_counter()
        for _ in range(self.arguments.steps):
            step()
        synchronize()
        seconds = (time.perf_counter() - begin) / self.arguments.steps
        peak = (self.torch.cuda.max_memory_allocated() / 2**20 if self.arguments.device == "cuda"
                else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return {"seconds": seconds, "version": self.torch.__version__, "peak_memory_mib": peak}

    def serve(self):
        """A block for each line that arrives; a JSON object for each."""
        begin, step = time.perf_counter(), self.prepare_step()
        for _ in range(10):   # compiles, tunes, captures
            step()
        ready = time.perf_counter() - begin
        for _ in sys.stdin:
            print(json.dumps({**self.time_block(step, 3), "ready_seconds": ready}), flush=True)

    def gradient(self, model, images, labels, scale):
        model.zero_grad()
        losses = self.losses(model, images, labels)
        (self.total(losses) * scale).backward()
        return losses[0].item(), [p.grad.double() / scale for p in model.parameters()]


def read_step(path):
    """What `convoy bench step --dump` wrote: a line of JSON, then the arrays' bytes."""
    import torch
    types = {"float32": torch.float32, "uint8": torch.uint8, "int32": torch.int32}
    with open(path, "rb") as file:
        header, data = json.loads(file.readline()), bytearray(file.read())
    arrays = {}
    for array in header["arrays"]:
        count = 1
        for extent in array["shape"]:
            count *= extent
        arrays[array["name"]] = torch.frombuffer(data, dtype=types[array["dtype"]], count=count,
                                                 offset=array["offset"]).reshape(array["shape"])
    return header, arrays


def as_torch(tensor, shape, map_extents):
    """Filters are OHWI here and OIHW there; a dense layer behind a map of `map_extents` reads its channels last here, first
    there."""
    if map_extents:
        tensor = tensor.reshape(-1, *map_extents).permute(0, 3, 1, 2).reshape(tensor.shape)
    if tensor.dim() == 4:
        tensor = tensor.permute(0, 3, 1, 2)
    if tuple(tensor.shape) != tuple(shape):
        raise SystemExit(f"a parameter of convoy's is {tuple(tensor.shape)}, PyTorch's twin has {tuple(shape)}")
    return tensor.contiguous()


def turn_dropout_off(torch, model):
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def distance(found, exact):
    """Relative, of all gradients as one vector, and of the worst parameter that matters (1 % of the largest norm)."""
    norms = [g.norm().item() for g in exact]
    errors = [(f - g).norm().item() for f, g in zip(found, exact)]
    whole = sum(e * e for e in errors) ** 0.5 / sum(n * n for n in norms) ** 0.5
    return whole, max(e / n for e, n in zip(errors, norms) if n > 0.01 * max(norms))


def gate(arguments):
    """convoy's loss and gradient beside PyTorch's, both beside PyTorch's in double precision."""
    import copy
    header, arrays = read_step(arguments.gate)
    peer = Peer(arguments)
    torch, device = peer.torch, arguments.device
    names = peer.network.order(header["parameters"])
    parameters = list(peer.model.parameters())
    turn_dropout_off(torch, peer.model)
    if len(names) != len(parameters):
        raise SystemExit(f"convoy has {len(names)} parameters, PyTorch's twin {len(parameters)}")

    def ours_of(name, tensor, parameter):
        return as_torch(tensor, parameter.shape, peer.network.flattened.get(name))

    with torch.no_grad():
        for name, parameter in zip(names, parameters):
            parameter.copy_(ours_of(name, arrays[f"before/{name}"], parameter))
    images = (arrays["images"].permute(0, 3, 1, 2).double() - header["mean"]) / header["deviation"]
    labels = arrays["labels"].long().to(device)
    narrow, peer.narrow = peer.narrow, None
    exact_loss, exact = peer.gradient(copy.deepcopy(peer.model).double(), images.to(device), labels, 1.0)
    peer.narrow = narrow
    loss, gradient = peer.gradient(peer.model, images.float().to(device, memory_format=peer.layout), labels, peer.scale)
    # convoy's gradient: what one step of plain gradient descent took off, over its rate.
    ours = [ours_of(n, (arrays[f"before/{n}"].double() - arrays[f"after/{n}"].double()) / header["rate"], p).to(device)
            for n, p in zip(names, parameters)]
    found, theirs = distance(ours, exact), distance(gradient, exact)
    loss_error, their_loss_error = abs(header["loss"] - exact_loss) / exact_loss, abs(loss - exact_loss) / exact_loss
    # The subtraction above rounds at 2^-24; twice PyTorch's error allows for another order of sums.
    ties = peer.network.near_ties
    passed = (found[0] <= 2 * theirs[0] + 2e-5 + ties and found[1] <= 3 * theirs[1] + 2e-4 + ties
              and loss_error <= 2 * their_loss_error + 1e-5)
    print(json.dumps({"passed": passed, "loss": loss_error, "gradient": found[0], "worst": found[1],
                      "torch_loss": their_loss_error, "torch_gradient": theirs[0], "torch_worst": theirs[1]}))


# ---- the comparison ----

def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout)


def convoy_command(arguments, virtual_workers, precision):
    network = MODELS[arguments.model]
    command = [arguments.convoy, "bench", "step", f"--model={arguments.model}",
               "--input=" + "x".join(map(str, network.input)), f"--batch={arguments.batch}",
               f"--virtual-workers={virtual_workers}", "--format=json", *network.options]
    if arguments.device == "cpu":
        command.append(f"--device.threads={arguments.threads}")
    if arguments.device != "cpu" or precision != "fp32":
        command += [f"--device={arguments.device}", f"--precision={precision}"]
    return command


def convoy_block(arguments, virtual_workers, precision):
    command = convoy_command(arguments, virtual_workers, precision)
    found = run(command + [f"--steps={arguments.steps}", "--repetitions=1"])
    return {**found, "seconds": found["median_seconds"]}


def torch_command(arguments, way, *more):
    return [arguments.python, os.path.abspath(__file__), f"--way={way}", f"--model={arguments.model}",
            f"--batch={arguments.batch}", f"--threads={arguments.threads}", f"--steps={arguments.steps}",
            f"--device={arguments.device}", f"--precision={arguments.precision}", *more]


class Server:
    """A PyTorch process that waits between blocks."""

    def __init__(self, arguments, way):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(torch_command(arguments, way, "--serve"), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True)

    def block(self):
        self.process.stdin.write("block\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise SystemExit("PyTorch ended:\n" + self.errors.read()[-4000:])
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Others:
    """The share of this machine's processors that processes other than our children take."""
    MOST = 0.25

    def __init__(self):
        self.begin = self.now()

    @staticmethod
    def now():
        with open("/proc/stat") as file:
            times = [int(word) for word in file.readline().split()[1:9]]
        ours = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = (sum(times) - times[3] - times[4]) / os.sysconf("SC_CLK_TCK")   # all but idle and iowait
        return time.perf_counter(), busy - ours.ru_utime - ours.ru_stime

    def share(self):
        now = self.now()
        return (now[1] - self.begin[1]) / max(now[0] - self.begin[0], 1e-3) / os.cpu_count()

    @classmethod
    def wait(cls, seconds):
        """Until they take little, at most so long."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            look = cls()
            time.sleep(0.5)
            if look.share() < cls.MOST:
                return


def pass_gate(arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "step")
        run(convoy_command(arguments, 1, arguments.precision) + [f"--dump={path}"])
        found = run(torch_command(arguments, "channels_last", f"--gate={path}"))
    print(f"gate: off double precision by, convoy / PyTorch: loss {found['loss']:.1e} / {found['torch_loss']:.1e}, gradient "
          f"{found['gradient']:.1e} / {found['torch_gradient']:.1e}, worst parameter {found['worst']:.1e} / "
          f"{found['torch_worst']:.1e}", flush=True)
    if not found["passed"]:
        raise SystemExit("the gate did not pass: the two do not compute the same step; nothing was timed")


def convoy_contenders(arguments):
    ours = {f"convoy, V={v}": lambda v=v: convoy_block(arguments, v, arguments.precision)
            for v in MODELS[arguments.model].micro_batches}
    if arguments.precision in ("bf16", "fp16"):
        ours["convoy, V=1, fp32"] = lambda: convoy_block(arguments, 1, "fp32")
    return ours


def compare(arguments):
    """All blocks by contender, and the share of the CPU that others took in each round."""
    servers = []
    contenders = convoy_contenders(arguments)
    if arguments.device == "cpu":
        peers = {"PyTorch": "default", "PyTorch, channels_last": "channels_last"}
        contenders.update({name: lambda way=way: run(torch_command(arguments, way, "--one")) for name, way in peers.items()})
    else:
        peers = {"PyTorch, channels_last": "channels_last", "PyTorch, torch.compile": "compile"}
        for name, way in peers.items():
            servers.append(Server(arguments, way))
            contenders[name] = servers[-1].block
    blocks, others = {name: [] for name in contenders}, []
    for block in range(arguments.blocks):
        shares = []
        for name, measure in contenders.items():
            Others.wait(arguments.calm)
            look = Others()
            blocks[name].append(measure())
            shares.append(look.share())
        others.append(max(shares))
        print(f"block {block + 1} of {arguments.blocks}; others took up to {100 * others[-1]:.0f} % of the CPU", file=sys.stderr)
    for server in servers:
        server.close()
    return peers, blocks, others


def calm_rounds(blocks, others):
    """Without the rounds that others disturbed, unless too few remain."""
    calm = [i for i, share in enumerate(others) if share <= Others.MOST]
    if len(calm) == len(others):
        return blocks
    if len(calm) < 3:
        print(f"  others took more than {100 * Others.MOST:.0f} % of the CPU in {len(others) - len(calm)} of {len(others)} rounds, "
              "which are counted all the same")
        return blocks
    print(f"  {len(others) - len(calm)} of {len(others)} rounds left out: others took more than {100 * Others.MOST:.0f} % of the CPU")
    return {name: [found[i] for i in calm] for name, found in blocks.items()}


def report_ratios(arguments, peers, blocks, median):
    ours = [name for name in blocks if name not in peers and name != "convoy, V=1, fp32"]
    fastest = min(peers, key=median.get)
    pairs = [(peer, name) for peer in ([fastest] if arguments.device == "cpu" else peers) for name in ours]
    if "convoy, V=1, fp32" in blocks:
        pairs.append(("convoy, V=1, fp32", "convoy, V=1"))
    for slow, fast in pairs:
        ratios = sorted(p["seconds"] / c["seconds"] for p, c in zip(blocks[slow], blocks[fast]))
        memory = max(b["peak_memory_mib"] for b in blocks[fast]) / max(b["peak_memory_mib"] for b in blocks[slow])
        print(f"  {slow} / {fast}: {statistics.median(ratios):.2f} (least {ratios[0]:.2f}, most {ratios[-1]:.2f}); "
              f"peak memory {memory:.2f} of it")


def report(arguments, peers, blocks, others):
    where = f"{arguments.threads} threads" if arguments.device == "cpu" else arguments.device
    print(f"{arguments.model}, batch {arguments.batch}, {where}, {arguments.precision}; PyTorch "
          f"{blocks[next(iter(peers))][0]['version']}; {arguments.blocks} alternating blocks of {arguments.steps} steps")
    if arguments.device == "cpu":
        blocks = calm_rounds(blocks, others)
    median = {name: statistics.median(b["seconds"] for b in found) for name, found in blocks.items()}
    for name, found in blocks.items():
        times = [1e3 * b["seconds"] for b in found]
        print(f"  {name:<24} {1e3 * median[name]:9.3f} ms a step (least {min(times):.3f}, most {max(times):.3f})   "
              f"{arguments.batch / median[name]:10.0f} images/s   peak memory {max(b['peak_memory_mib'] for b in found):6.0f} MiB"
              + (f"   ready after {found[0]['ready_seconds']:.0f} s" if "ready_seconds" in found[0] else ""))
    report_ratios(arguments, peers, blocks, median)
    command = convoy_command(arguments, 1, arguments.precision)
    limits = run(command + [f"--steps={arguments.steps}", "--repetitions=1", "--limits"])
    print(f"  convoy, V=1: {100 * limits['share_of_ceiling']:.0f} % of its kernels at this machine's limits "
          f"({', '.join(f'{rate * 1e-12:.3g} TFLOP/s in {kind}' for kind, rate in limits['limits']['flops_per_second'].items())}, "
          f"{limits['limits']['bytes_per_second'] * 1e-9:.4g} GB/s)", flush=True)


def missing_peer(arguments):
    """What the Python with PyTorch lacks for this model, in words; empty if nothing."""
    for module in ["torch"] + (["torchvision"] if MODELS[arguments.model].torchvision else []):
        try:
            found = subprocess.run([arguments.python, "-c", f"import {module}"], capture_output=True).returncode == 0
        except OSError:
            found = False
        if not found:
            return f"{arguments.python} has no {module} (launch/setup --benchmarks installs Debian's; --python=PATH names another)"
    return ""


def measure_all(arguments):
    for model in arguments.model.split(","):
        one = argparse.Namespace(**vars(arguments))
        one.model = model
        one.batch = one.batch or MODELS[model].batch[one.device]
        one.steps = one.steps or MODELS[model].steps[one.device]
        if lacks := missing_peer(one):
            print(f"{model}: skipped, for {lacks}", flush=True)
            continue
        pass_gate(one)
        report(one, *compare(one))


def known_models(text):
    for model in text.split(","):
        if model not in MODELS:
            raise argparse.ArgumentTypeError(f"unknown model {model}; known are {', '.join(MODELS)}")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=known_models, default="resnet-20", help="one or more, separated by commas: " + ", ".join(MODELS))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "tf32", "bf16", "fp16"], default="fp32")
    parser.add_argument("--batch", type=int, default=0, help="(0: as pytorch_networks.py has it)")
    parser.add_argument("--threads", type=int, default=2, help="on the CPU")
    parser.add_argument("--steps", type=int, default=0, help="per block (0: as pytorch_networks.py has it)")
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--calm", type=float, default=0, help="seconds to wait at most before a block while others use the CPU")
    parser.add_argument("--convoy", default="build/release/convoy")
    parser.add_argument("--python", default="", help="one that has torch (default: /usr/bin/python3; with --device=cuda this one)")
    for hidden in ("--serve", "--one"):
        parser.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    for hidden in ("--way", "--gate"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.python = arguments.python or ("/usr/bin/python3" if arguments.device == "cpu" else sys.executable)
    if arguments.device == "cpu" and arguments.precision not in ("fp32", "bf16"):
        parser.error(f"--precision={arguments.precision} is compared with --device=cuda only")
    if arguments.gate:
        gate(arguments)
    elif arguments.serve:
        Peer(arguments).serve()
    elif arguments.one:
        peer = Peer(arguments)
        print(json.dumps(peer.time_block(peer.prepare_step(), 2)))
    else:
        measure_all(arguments)


if __name__ == "__main__":
    main()
