"""One network in convoy, torchvision and onnxruntime: the same weights give the same logits.

logits_parity.py CONVOY FOLDER TORCHVISION_NAME PIXELS CLASSES MODEL-OPTIONS...

torchvision's random weights, with running statistics that are not those of a new network, go through a safetensors file into
a convoy checkpoint, whose logits must be torchvision's; export gives them back bit for bit (load_state_dict, strict); and the
exported ONNX file gives the same in onnxruntime. A peer that is not installed is said to be skipped; without torchvision the
status is 77. Prints the relative errors, max |a - b| / max |b|.
"""
import json
import os
import struct
import subprocess
import sys
import zlib

try:
    import numpy as np
    import torch
    import torchvision
except ImportError as missing:
    print(f"skipped: {missing} (Debian: python3-torchvision)")
    sys.exit(77)

BOUND = 1e-4
convoy, folder, name, pixels, classes, options = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6:]
path = lambda file: os.path.join(folder, file)


def run(*words):
    done = subprocess.run([convoy, *words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: status {done.returncode}: {done.stderr}")
    return done.stdout


def write_safetensors(file, tensors):
    """The library's writer where it is installed, else the format in ten lines."""
    try:
        from safetensors.torch import save_file
        return save_file(tensors, file)
    except ImportError:
        pass
    header, data = {}, b""
    for key, tensor in tensors.items():
        raw = tensor.numpy().tobytes()
        kind = {torch.float32: "F32", torch.int64: "I64"}[tensor.dtype]
        header[key] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    open(file, "wb").write(struct.pack("<Q", len(text)) + text + data)


def read_safetensors(file):
    try:
        from safetensors.torch import load_file
        return load_file(file)
    except ImportError:
        pass
    content = open(file, "rb").read()
    length = struct.unpack("<Q", content[:8])[0]
    kinds = {"F32": np.float32, "I64": np.int64}
    return {key: torch.from_numpy(np.frombuffer(content[8 + length:][slice(*entry["data_offsets"])], kinds[entry["dtype"]])
                                  .reshape(entry["shape"]).copy())
            for key, entry in json.loads(content[8:8 + length]).items() if key != "__metadata__"}


def write_png(file, image):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    head = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, 2, 0, 0, 0)
    open(file, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def network():
    torch.manual_seed(7)
    extra = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    net = getattr(torchvision.models, name)(num_classes=classes, **extra)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    return net.eval()


def compare(what, found, expected):
    if found.shape != expected.shape or not np.isfinite(expected).all() or np.abs(expected).max() == 0:
        sys.exit(f"{name}, {what}: nothing to compare")
    error = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"{name}: {what}: relative error {error:.2e}")
    if not error < BOUND:
        sys.exit(f"{name}, {what}: relative error {error:.3g}, expected below {BOUND}")


net = network()
write_safetensors(path("peer.safetensors"), net.state_dict())
os.makedirs(path("images"))
images = np.random.default_rng(3).integers(0, 256, (2, pixels, pixels, 3), dtype=np.uint8)
for number, image in enumerate(images):
    write_png(path(f"images/{number}.png"), image)
run("checkpoint", "import", "--from=safetensors", f"--input={path('peer.safetensors')}", f"--output={path('net.h5')}",
    f"--image={pixels}x{pixels}x3", *options)
planes = torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2)
mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1) * 255
deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1) * 255
with torch.no_grad():
    expected = net((planes - mean) / deviation).numpy()

table = json.loads(run("predict", f"--checkpoint={path('net.h5')}", f"--input={path('images')}", "--logits", "--format=json"))
compare("convoy beside torchvision", np.array([row["logits"] for row in table], dtype=np.float32), expected)

run("checkpoint", "export", path("net.h5"), "--to=safetensors", f"--output={path('back.safetensors')}")
back = read_safetensors(path("back.safetensors"))
net.load_state_dict(back, strict=True)
for key, tensor in read_safetensors(path("peer.safetensors")).items():
    if not torch.equal(back[key], tensor):
        sys.exit(f"{name}: {key} came back different")
print(f"{name}: {len(back)} tensors came back bit for bit")

run("checkpoint", "export", path("net.h5"), "--to=onnx", f"--output={path('net.onnx')}")
try:
    import onnx
    onnx.checker.check_model(path("net.onnx"), full_check=True)
except ImportError:
    print("skipped: onnx's checker is not installed (PyPI: onnx)")
try:
    import onnxruntime
    session = onnxruntime.InferenceSession(path("net.onnx"), providers=["CPUExecutionProvider"])
    compare("onnxruntime beside torchvision", session.run(["logits"], {"images": planes.numpy()})[0], expected)
except ImportError:
    print("skipped: onnxruntime is not installed (PyPI: onnxruntime)")

try:
    import h5py
    with h5py.File(path("net.h5"), "r") as file:
        floats = []
        file["parameters"].visititems(lambda _, item: floats.append(item[...]) if isinstance(item, h5py.Dataset) else None)
    if sum(array.size for array in floats) != sum(p.numel() for p in net.parameters()):
        sys.exit(f"{name}: h5py does not find all parameters")
except ImportError:
    print("skipped: h5py is not installed (Debian: python3-h5py)")
