"""The networks that step_vs_pytorch.py measures: PyTorch's twins of core/models, with parameters in the same order."""
from dataclasses import dataclass, field
from typing import Callable


def lenet(torch):
    """core/models/lenet.cpp, variant modern."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 120, 5), nn.ReLU(), nn.Flatten(),
        nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def resnet20(torch):
    """core/models/resnet_small.cpp: shortcut A."""
    nn, functional = torch.nn, torch.nn.functional

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


def torchvision_model(name, **options):
    def build(torch):
        import torchvision
        return getattr(torchvision.models, name)(**options)
    return build


def googlenet(torch):
    """torchvision's, but for its auxiliary heads' pooling: 5 x 5 of stride 3, as published, where torchvision has windows that
    adapt to a map of 4 x 4."""
    import torchvision
    from torchvision.models.googlenet import InceptionAux
    functional = torch.nn.functional

    class Head(InceptionAux):
        def forward(self, x):
            x = torch.flatten(self.conv(functional.avg_pool2d(x, 5, 3)), 1)
            return self.fc2(self.dropout(functional.relu(self.fc1(x))))

    model = torchvision.models.googlenet(aux_logits=True, transform_input=False, init_weights=False)
    model.aux1.__class__ = model.aux2.__class__ = Head
    return model


def google_order(names):
    """torchvision's modules begin with all that the main path has but its last layer."""
    heads = [n for n in names if n.startswith("aux")]
    return [n for n in names if n not in heads and not n.startswith("fc/")] + heads + [n for n in names if n.startswith("fc/")]


@dataclass
class Network:
    """A network, what is put into it, and what its measurement takes."""
    build: Callable                      # of the module torch
    input: tuple                         # height, width, channels
    classes: int
    batch: dict                          # unless given; {device: samples}
    steps: dict                          # of a block; {device: steps}
    options: list = field(default_factory=list)     # convoy's
    micro_batches: tuple = (1, 8)        # in how many the batch is cut in convoy, beside each other
    flattened: dict = field(default_factory=dict)   # dense layers behind a map: {parameter: [height, width, channels]}
    order: Callable = list               # convoy's names of parameters in the order of PyTorch's
    auxiliary: tuple = ()                # weights of the losses behind the first
    torchvision: bool = False
    near_ties: float = 0                 # share of the gradient that moves where rounding turns a few max poolings' winners


def large(build, batch, steps, **more):
    return Network(build, (224, 224, 3), 1000, {"cpu": batch, "cuda": 16 * batch}, {"cpu": steps, "cuda": 20},
                   micro_batches=(1, 2), torchvision=True, **more)


# Another model is another line: its twin's parameters() in the order of `convoy model show NAME`.
MODELS = {
    "lenet-5": Network(lenet, (28, 28, 1), 10, {"cpu": 128, "cuda": 128}, {"cpu": 100, "cuda": 1000},
                       options=["--model.variant=modern"]),
    "resnet-20": Network(resnet20, (28, 28, 1), 10, {"cpu": 128, "cuda": 128}, {"cpu": 10, "cuda": 200}),
    "alexnet-2014": large(torchvision_model("alexnet"), 32, 4, near_ties=0.02, flattened={"fc6/weights": [6, 6, 256]}),
    "vgg-16": large(torchvision_model("vgg16", init_weights=False), 8, 1, near_ties=0.02, flattened={"fc6/weights": [7, 7, 512]}),
    "googlenet": large(googlenet, 16, 3, options=["--model.variant=library"], order=google_order, auxiliary=(0.3, 0.3),
                       flattened={"aux1/fc1/weights": [4, 4, 128], "aux2/fc1/weights": [4, 4, 128]}),
    "resnet-50": large(torchvision_model("resnet50"), 16, 2, options=["--model.stride-on=3x3"]),
    "densenet-121": large(torchvision_model("densenet121"), 16, 2),
}
