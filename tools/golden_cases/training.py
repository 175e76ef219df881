"""Twenty steps of a small network: 7 inputs, 5 hidden units with relu, 3 classes, cross-entropy, Adam."""

import numpy as np
import torch
import torch.nn.functional as F

from .family import Family, f32, i32, widened

STEPS = 20
ADAM = {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
SHAPES = {"fc1.weight": (5, 7), "fc1.bias": (5,), "fc2.weight": (3, 5), "fc2.bias": (3,)}


def train(start, x, y, dtype):
    # `torch.tensor` copies: the update in place must not reach `start`.
    weights = {name: torch.tensor(values, dtype=dtype, requires_grad=True) for name, values in start.items()}
    x, y = torch.from_numpy(x).to(dtype), torch.from_numpy(y).long()
    optimizer = torch.optim.Adam(weights.values(), **ADAM)
    losses, first = [], None
    for _ in range(STEPS):
        optimizer.zero_grad()
        hidden = F.relu(F.linear(x, weights["fc1.weight"], weights["fc1.bias"]))
        loss = F.cross_entropy(F.linear(hidden, weights["fc2.weight"], weights["fc2.bias"]), y)
        loss.backward()
        first = first or {name: weight.grad.numpy().copy() for name, weight in weights.items()}
        losses.append(loss.item())
        optimizer.step()
    return np.array(losses), first, {name: weight.detach().numpy() for name, weight in weights.items()}


def build():
    family = Family("training")
    name = "mlp"
    random = family.random(name)
    start = {key: f32(random.normal(size=shape) * 0.5) for key, shape in SHAPES.items()}
    x, y = f32(random.normal(size=(6, 7))), i32([0, 1, 2, 1, 0, 2])
    losses, first, final = train(start, x, y, torch.float64)
    single_losses, single_first, single_final = train(start, x, y, torch.float32)
    pairs = [(losses, single_losses)] + [
        (d[k], s[k]) for d, s in ((first, single_first), (final, single_final)) for k in d
    ]
    ratio = max(float((np.abs(single - want) / (1e-6 + 1e-5 * np.abs(want))).max()) for want, single in pairs)
    fields = {
        "layers": ["linear fc1 7 5", "relu", "linear fc2 5 3"],
        "loss": {"op": "cross_entropy", "attributes": {"reduction": "mean"}},
        "steps": STEPS,
        "inputs": [family.store(f"{name}/input0", x), family.store(f"{name}/input1", y)],
        "initial": {key: family.store(f"{name}/initial/{key}", values) for key, values in start.items()},
        "losses": family.store(f"{name}/losses", losses),
        "first_gradients": {key: family.store(f"{name}/first_gradient/{key}", values) for key, values in first.items()},
        "final": {key: family.store(f"{name}/final/{key}", values) for key, values in final.items()},
    }
    if tolerance := widened(ratio):
        fields["tolerance"] = tolerance
    family.record(name, "adam", ADAM, **fields)
    return family
