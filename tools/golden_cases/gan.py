"""Fifty steps of a small GAN: two networks, each with an optimizer, a learning rate and a schedule of its own.

Everything but the losses follows from formulas that the test repeats, so that only numbers are stored.
"""

import numpy as np
import torch
import torch.nn.functional as F

from .family import Family

STEPS = 50
# A critic's steps before each of the generator's.
CASES = {
    "kinds": {
        "generator": {"op": "adam", "lr": 2e-3, "betas": [0.5, 0.999], "gamma": 0.98},
        "critic": {"op": "sgd", "lr": 5e-2, "momentum": 0.5, "gamma": 1.0},
        "critic_steps": 1,
    },
    "rates": {
        "generator": {"op": "adam", "lr": 1e-3, "betas": [0.9, 0.999], "gamma": 1.0},
        "critic": {"op": "adam", "lr": 4e-3, "betas": [0.9, 0.999], "gamma": 0.97},
        "critic_steps": 1,
    },
    "often": {
        "generator": {"op": "adam", "lr": 3e-3, "betas": [0.9, 0.99], "gamma": 0.99},
        "critic": {"op": "rmsprop", "lr": 2e-3, "alpha": 0.9, "gamma": 0.95},
        "critic_steps": 3,
    },
}
SHAPES = {
    "generator.fc1": (6, 3),
    "generator.fc2": (2, 6),
    "critic.fc1": (8, 2),
    "critic.fc2": (1, 8),
}


def numbers(seed, count):
    return np.array([((k * 37 + seed * 11) % 23) / 11 - 1 for k in range(count)])


def weights(dtype):
    made = {}
    for index, (name, (rows, columns)) in enumerate(SHAPES.items()):
        made[f"{name}.weight"] = numbers(index + 1, rows * columns).reshape(rows, columns) * 0.6
        made[f"{name}.bias"] = numbers(index + 7, rows) * 0.2
    return {
        # Through f32, in which the session starts.
        name: torch.tensor(values.astype(np.float32), dtype=dtype, requires_grad=True) for name, values in made.items()
    }


def optimizer(settings, parameters):
    op, lr = settings["op"], settings["lr"]
    if op == "adam":
        made = torch.optim.Adam(parameters, lr=lr, betas=settings["betas"])
    elif op == "sgd":
        made = torch.optim.SGD(parameters, lr=lr, momentum=settings["momentum"])
    else:
        made = torch.optim.RMSprop(parameters, lr=lr, alpha=settings["alpha"])
    return made, torch.optim.lr_scheduler.ExponentialLR(made, settings["gamma"])


def train(case, dtype):
    w = weights(dtype)

    def generator(z):
        hidden = torch.tanh(F.linear(z, w["generator.fc1.weight"], w["generator.fc1.bias"]))
        return F.linear(hidden, w["generator.fc2.weight"], w["generator.fc2.bias"])

    def critic(x):
        hidden = torch.tanh(F.linear(x, w["critic.fc1.weight"], w["critic.fc1.bias"]))
        return F.linear(hidden, w["critic.fc2.weight"], w["critic.fc2.bias"])

    def batch(seed, width):
        return torch.tensor(numbers(seed, 4 * width).reshape(4, width).astype(np.float32), dtype=dtype)

    of = {part: [value for name, value in w.items() if name.startswith(part)] for part in ("generator", "critic")}
    made = {part: optimizer(case[part], of[part]) for part in of}
    bce = F.binary_cross_entropy_with_logits
    losses = {"generator": [], "critic": []}
    ones, zeros = torch.ones(4, 1, dtype=dtype), torch.zeros(4, 1, dtype=dtype)

    def update(part, loss):
        steps, schedule = made[part]
        for value in w.values():
            value.grad = None
        loss.backward()
        steps.step()
        schedule.step()
        losses[part].append(loss.item())

    count = 0
    for _ in range(STEPS):
        for _ in range(case["critic_steps"]):
            count += 1
            real, fake = batch(count, 2) * 0.5 + 0.3, generator(batch(count + 5, 3))
            update("critic", bce(critic(real), ones) + bce(critic(fake), zeros))
        update("generator", bce(critic(generator(batch(count + 9, 3))), ones))
    return losses


def build():
    family = Family("gan")
    for name, case in CASES.items():
        exact, single = train(case, torch.float64), train(case, torch.float32)
        for part in exact:
            error = np.abs(np.array(exact[part]) - np.array(single[part])).max()
            if error > 1e-5:
                raise ValueError(f"gan: {name} of {part} is off by {error} in float32")
        losses = {part: family.store(f"{name}/{part}", np.array(values)) for part, values in exact.items()}
        family.record(name, "gan", case, losses=losses, steps=STEPS)
    return family
