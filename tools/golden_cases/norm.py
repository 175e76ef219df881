"""Normalisation layers: training and evaluation, forward and backward, and running statistics after two steps."""

import numpy as np
import torch
import torch.nn.functional as F

from .family import Family, f32

# Batches of one and five, channels that no group divides, ranks from two to five.
BATCHES = {
    "rank_2": (5, 3),
    "rank_2_wide": (5, 37),
    "rank_3": (1, 3, 7),
    "rank_4": (5, 3, 4, 3),
    "rank_4_one_channel": (5, 1, 3, 2),
    "rank_4_wide": (2, 37, 3, 3),
    "rank_5": (2, 3, 2, 3, 2),
}


def parameters(random, shape):
    """A weight of either sign away from 0, and a bias."""
    return [f32(random.uniform(0.5, 1.5, shape) * random.choice([-1, 1], shape)), f32(random.normal(size=shape))]


def build():
    family = Family("norm")
    batch(family)
    instance(family)
    last(family)
    group(family)
    local_response(family)
    running(family)
    return family


def batch(family):
    for label, shape in BATCHES.items():
        for affine in (True, False):
            if not affine and label not in ("rank_2", "rank_4"):
                continue
            name = f"batch_{label}" + "_plain" * (not affine)
            random = family.random(name)
            x = f32(2 + 3 * random.normal(size=shape))
            inputs = [x] + (parameters(random, shape[1]) if affine else [])
            attributes = {"affine": affine, "eps": 1e-5}
            family.case(
                name, "batch_norm", lambda x, w=None, b=None: F.batch_norm(x, None, None, w, b, True, 0.1, 1e-5),
                inputs, attributes,
            )  # fmt: skip
            mean, variance = f32(random.normal(size=shape[1])), f32(random.uniform(0.2, 3, shape[1]))

            def evaluate(x, mean, variance, w=None, b=None):
                return F.batch_norm(x, mean, variance, w, b, False, 0.1, 1e-3)

            family.case(
                f"{name}_evaluation", "batch_norm_evaluation", evaluate, [x, mean, variance] + inputs[1:],
                {"affine": affine, "eps": 1e-3}, [True, False, False] + [True] * (len(inputs) - 1),
            )  # fmt: skip
    # Far from zero the mean of squares minus the square of the mean would lose every digit.
    x = f32(1000 + family.random("far").normal(size=(5, 3, 4)))
    family.case(
        "batch_far_from_zero", "batch_norm", lambda x: F.batch_norm(x, None, None, None, None, True, 0.1, 1e-5), [x],
        {"affine": False, "eps": 1e-5},
    )  # fmt: skip


def instance(family):
    for label, shape in BATCHES.items():
        if len(shape) == 2:
            continue
        for affine in (True, False):
            if affine == (label in ("rank_4_one_channel", "rank_4_wide")):
                continue
            name = f"instance_{label}" + "_plain" * (not affine)
            random = family.random(name)
            x = f32(2 + 3 * random.normal(size=shape))
            inputs = [x] + (parameters(random, shape[1]) if affine else [])
            family.case(
                name, "instance_norm", lambda x, w=None, b=None: F.instance_norm(x, None, None, w, b, True, 0.1, 1e-5),
                inputs, {"affine": affine, "eps": 1e-5},
            )  # fmt: skip


def last(family):
    layouts = {
        "rows": ((5, 37), 1),
        "sequence": ((2, 3, 37), 1),
        "two_axes": ((5, 3, 7), 2),
        "all": ((1, 3, 5), 3),
        "picture": ((2, 3, 4, 3), 3),
        "wide": ((2, 517), 1),
    }
    for label, (shape, axes) in layouts.items():
        normalized = shape[len(shape) - axes :]
        for affine in (True, False):
            if not affine and label in ("wide", "picture"):
                continue
            suffix = "" if affine else "_plain"
            random = family.random(f"layer_{label}{suffix}")
            x = f32(1 + 2 * random.normal(size=shape))
            both = parameters(random, normalized) if affine else []
            attributes = {"affine": affine, "axes": axes, "eps": 1e-5}
            family.case(
                f"layer_{label}{suffix}", "layer_norm",
                lambda x, w=None, b=None, normalized=normalized: F.layer_norm(x, normalized, w, b, 1e-5),
                [x] + both, attributes,
            )  # fmt: skip
            for eps in (None, 1e-3) if label == "rows" else (None,):
                family.case(
                    f"rms_{label}{suffix}" + "_eps" * (eps is not None), "rms_norm",
                    # The default is that of f32, in which the layer computes.
                    lambda x, w=None, normalized=normalized, eps=eps: F.rms_norm(
                        x, normalized, w, torch.finfo(torch.float32).eps if eps is None else eps
                    ),
                    [x] + both[:1], attributes | {"eps": eps},
                )  # fmt: skip


def group(family):
    layouts = [((5, 6), 3), ((1, 6, 7), 2), ((5, 6, 4, 3), 1), ((2, 6, 3, 2), 6), ((2, 37, 3), 37), ((2, 4, 2, 3, 2), 2)]
    for shape, groups in layouts:
        for affine in (True, False):
            name = "group_" + "x".join(map(str, shape)) + f"_of_{groups}" + "_plain" * (not affine)
            if shape[1] == groups and len(shape) == 2:
                continue
            random = family.random(name)
            x = f32(2 + 3 * random.normal(size=shape))
            inputs = [x] + (parameters(random, shape[1]) if affine else [])
            family.case(
                name, "group_norm", lambda x, w=None, b=None, groups=groups: F.group_norm(x, groups, w, b, 1e-5),
                inputs, {"affine": affine, "groups": groups, "eps": 1e-5},
            )  # fmt: skip


def local_response(family):
    layouts = [
        ((2, 7, 3), 5, 1e-4, 0.75, 1.0),
        ((2, 7, 3, 2), 4, 0.5, 0.75, 2.0),
        ((1, 3, 2), 1, 1.0, 0.5, 1.0),
        ((5, 3, 4), 9, 0.7, 1.5, 0.5),
        ((2, 37, 2), 3, 0.3, 0.75, 1.0),
        ((2, 1, 2, 2, 3), 2, 0.3, 0.75, 1.0),
    ]
    for shape, size, alpha, beta, k in layouts:
        name = "local_response_" + "x".join(map(str, shape)) + f"_of_{size}"
        family.case(
            name, "local_response_norm",
            lambda x, size=size, alpha=alpha, beta=beta, k=k: F.local_response_norm(x, size, alpha, beta, k),
            [f32(family.random(name).normal(size=shape) * 2)],
            {"size": size, "alpha": alpha, "beta": beta, "k": k},
        )  # fmt: skip


def running(family):
    """Two training steps: the layer's outputs, and its buffers after each."""
    for kind, shape in [("batch", (5, 3)), ("batch", (2, 3, 4, 3)), ("batch", (3, 37, 2)), ("instance", (2, 3, 4, 3))]:
        for momentum in (0.1, 0.3) if kind == "instance" else (0.1, 0.3, None):
            name = f"running_{kind}_" + "x".join(map(str, shape)) + f"_{momentum}"
            random = family.random(name)
            layers = {
                ("batch", 2): torch.nn.BatchNorm1d, ("batch", 3): torch.nn.BatchNorm1d,
                ("batch", 4): torch.nn.BatchNorm2d, ("instance", 4): torch.nn.InstanceNorm2d,
            }  # fmt: skip
            layer = layers[kind, len(shape)](shape[1], momentum=momentum, affine=True, track_running_stats=True)
            layer = layer.double()
            steps = {"inputs": [], "outputs": [], "running_mean": [], "running_var": [], "num_batches_tracked": []}
            for step in range(2):
                x = f32(step + 2 * random.normal(size=shape))
                y = layer(torch.from_numpy(x).double()).detach().numpy()
                steps["inputs"].append(family.store(f"{name}/input{step}", x))
                steps["outputs"].append(family.store(f"{name}/output{step}", y))
                for buffer in ("running_mean", "running_var", "num_batches_tracked"):
                    values = np.array(getattr(layer, buffer).numpy())
                    steps[buffer].append(family.store(f"{name}/{buffer}{step}", values))
            layer.eval()
            x = f32(random.normal(size=shape))
            family.store(f"{name}/evaluated", x)
            family.store(f"{name}/evaluation", layer(torch.from_numpy(x).double()).detach().numpy())
            family.record(
                name, f"{kind}_norm_steps", {"momentum": momentum}, **steps, differentiable=[], upstream=[], gradients=[],
                evaluated=f"{name}/evaluated", evaluation=f"{name}/evaluation",
            )  # fmt: skip
