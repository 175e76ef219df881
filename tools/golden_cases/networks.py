"""Small forms of the benchmarks' networks (`benches/compare/networks.py`): the loss and the gradients of all parameters.

Parameters, images, sounds and tokens follow from formulas that the Rust test repeats, so only results are stored: of each gradient some
elements and the mean magnitude of all.
"""

import sys
import zlib
from pathlib import Path

import numpy as np
import torch

from .family import Family
from .recurrent import draw, probe

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benches" / "compare"))
import networks  # noqa: E402

# Seeds of what a model is given: floats, integers, labels.
X, TOKENS, LABELS = 1000, 1001, 1002
# name: the model, the shape of its floats, of its tokens and of its labels.
CASES = {
    "llama": (lambda: networks.Llama(**networks.TINY_LLAMA), None, (2, 12), (2, 12)),
    "resnet": (lambda: networks.ResNet(**networks.TINY_RESNET), (3, 3, 32, 32), None, (3,)),
    "whisper": (lambda: networks.Whisper(**networks.TINY_WHISPER), (2, 8, 40), (2, 10), (2, 10)),
}


def integers(seed, shape, below):
    """Integers from 0 to below a bound."""
    return torch.tensor(np.floor((draw(seed, shape, 1.0).astype(np.float64) + 1) / 2 * below).astype(np.int64)).clamp(0, below - 1)


def value(name, shape):
    """A parameter: within ± 0.3, weights of normalisations within 1 ± 0.3."""
    drawn = draw(zlib.crc32(name.encode()) & 0xFFFF, shape, 0.3)
    is_scale = len(shape) == 1 and name.endswith("weight")
    return drawn.astype(np.float64) + 1.0 if is_scale else drawn.astype(np.float64)


def build():
    family = Family("networks")
    for name, (make, floats, tokens, labels) in CASES.items():
        model = make().double().train()
        if name == "llama":
            model.cosines, model.sines = model.cosines.double(), model.sines.double()
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                parameter.copy_(torch.tensor(value(parameter_name, tuple(parameter.shape)).astype(np.float32).astype(np.float64)))
        classes = 10 if name == "resnet" else 64
        inputs = [torch.tensor(draw(X, floats, 1.0).astype(np.float64))] if floats else []
        inputs += [integers(TOKENS, tokens, classes)] if tokens else []
        logits = model(*inputs)
        loss = networks.loss(logits, integers(LABELS, labels, classes))
        loss.backward()
        model.eval()
        with torch.no_grad():
            evaluated = model(*inputs)
        parameters = dict(model.named_parameters())
        family.record(
            name, name, {"parameters": list(parameters)},
            loss=loss.item(),
            logits=family.store(f"{name}/logits", probe(logits.detach())),
            evaluation=family.store(f"{name}/evaluation", probe(evaluated)),
            norm=float(torch.sqrt(sum((parameter.grad**2).sum() for parameter in parameters.values()))),
            gradients={key: family.store(f"{name}/{key}", probe(parameter.grad)) for key, parameter in parameters.items()},
        )  # fmt: skip
    return family
