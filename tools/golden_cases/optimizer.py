"""Five steps of each optimizer with given gradients, and gradient clipping."""

import numpy as np
import torch

from .family import Family, f32, widened

STEPS = 5
# RAdam's denominator comes in at the sixth step of its defaults.
LONGER = {"radam": 9, "radam_weight_decay": 9, "rprop": 9, "asgd_mean": 7, "asgd_late_mean": 9}
SHAPES = ((3, 4), (5,))
SGD = {"lr": 0.1, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False}
ADAM = {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
RMSPROP = {"lr": 0.01, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False}
ADAGRAD = {"lr": 0.05, "lr_decay": 0.0, "weight_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10}
ADADELTA = {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0}
NADAM = {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0, "momentum_decay": 0.004}
ADAMAX = {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
RADAM = {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0, "decoupled_weight_decay": False}
ASGD = {"lr": 0.01, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6, "weight_decay": 0.0}
RPROP = {"lr": 0.01, "etas": [0.5, 1.2], "step_sizes": [1e-6, 50.0]}
CASES = {
    "sgd": ("sgd", torch.optim.SGD, SGD),
    "sgd_momentum": ("sgd", torch.optim.SGD, SGD | {"momentum": 0.9}),
    "sgd_nesterov": ("sgd", torch.optim.SGD, SGD | {"momentum": 0.9, "nesterov": True}),
    "sgd_weight_decay": ("sgd", torch.optim.SGD, SGD | {"weight_decay": 0.1}),
    "sgd_momentum_weight_decay": ("sgd", torch.optim.SGD, SGD | {"momentum": 0.9, "weight_decay": 0.1}),
    "adam": ("adam", torch.optim.Adam, ADAM),
    "adam_betas": ("adam", torch.optim.Adam, ADAM | {"lr": 0.1, "betas": [0.5, 0.9], "eps": 1e-3}),
    "adam_weight_decay": ("adam", torch.optim.Adam, ADAM | {"weight_decay": 0.1}),
    "adam_amsgrad": ("adam", torch.optim.Adam, ADAM | {"betas": [0.9, 0.9], "amsgrad": True}),
    "adamw_amsgrad": ("adamw", torch.optim.AdamW, ADAM | {"betas": [0.9, 0.9], "weight_decay": 0.1, "amsgrad": True}),
    "adamw": ("adamw", torch.optim.AdamW, ADAM | {"weight_decay": 0.1}),
    "adamw_default": ("adamw", torch.optim.AdamW, ADAM | {"lr": 0.001, "weight_decay": 0.01}),
    "rmsprop": ("rmsprop", torch.optim.RMSprop, RMSPROP),
    "rmsprop_momentum": ("rmsprop", torch.optim.RMSprop, RMSPROP | {"momentum": 0.9}),
    "rmsprop_centered": ("rmsprop", torch.optim.RMSprop, RMSPROP | {"centered": True}),
    "rmsprop_everything": (
        "rmsprop", torch.optim.RMSprop,
        RMSPROP | {"alpha": 0.9, "momentum": 0.9, "centered": True, "weight_decay": 0.1},
    ),
    "adagrad": ("adagrad", torch.optim.Adagrad, ADAGRAD),
    "adagrad_decay": (
        "adagrad", torch.optim.Adagrad,
        ADAGRAD | {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1},
    ),
    "adadelta": ("adadelta", torch.optim.Adadelta, ADADELTA),
    "adadelta_weight_decay": ("adadelta", torch.optim.Adadelta, ADADELTA | {"weight_decay": 0.1}),
    # The second parameter is in a group of its own.
    "sgd_groups": ("sgd", torch.optim.SGD, SGD | {"momentum": 0.9, "group": {"lr": 0.02, "weight_decay": 0.1}}),
    "adamw_groups": (
        "adamw", torch.optim.AdamW, ADAM | {"weight_decay": 0.1, "group": {"lr": 0.1, "weight_decay": 0.0}},
    ),
    "nadam": ("nadam", torch.optim.NAdam, NADAM),
    "nadam_weight_decay": ("nadam", torch.optim.NAdam, NADAM | {"weight_decay": 0.1}),
    "adamax": ("adamax", torch.optim.Adamax, ADAMAX),
    "adamax_everything": (
        "adamax", torch.optim.Adamax, ADAMAX | {"lr": 0.1, "betas": [0.5, 0.6], "eps": 1e-2, "weight_decay": 0.1},
    ),
    # Nothing of the past stays: steps of one size by the sign.
    "adamax_no_past": ("adamax", torch.optim.Adamax, ADAMAX | {"betas": [0.0, 0.0]}),
    "adamax_groups": ("adamax", torch.optim.Adamax, ADAMAX | {"group": {"lr": 0.1, "weight_decay": 0.1}}),
    "radam": ("radam", torch.optim.RAdam, RADAM),
    "radam_betas": ("radam", torch.optim.RAdam, RADAM | {"lr": 0.1, "betas": [0.5, 0.8], "eps": 1e-3}),
    # ρ is never above 5.
    "radam_plain": ("radam", torch.optim.RAdam, RADAM | {"betas": [0.9, 0.5]}),
    "radam_weight_decay": ("radam", torch.optim.RAdam, RADAM | {"weight_decay": 0.1}),
    "radam_decoupled": (
        "radam", torch.optim.RAdam,
        RADAM | {"betas": [0.9, 0.9], "weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
    "asgd": ("asgd", torch.optim.ASGD, ASGD),
    # Falling rates and means that one sees, from the first step and from the third on.
    "asgd_mean": ("asgd", torch.optim.ASGD, ASGD | {"lr": 0.1, "lambd": 0.5, "alpha": 0.9, "t0": 0.0}),
    "asgd_late_mean": ("asgd", torch.optim.ASGD, ASGD | {"lr": 0.1, "lambd": 0.1, "t0": 2.0, "weight_decay": 0.1}),
    "rprop": ("rprop", torch.optim.Rprop, RPROP),
    # Both bounds of the step sizes are met; the rate is beyond one of them.
    "rprop_bounds": ("rprop", torch.optim.Rprop, RPROP | {"lr": 0.2, "etas": [0.4, 1.6], "step_sizes": [0.05, 0.12]}),
    "rprop_groups": ("rprop", torch.optim.Rprop, RPROP | {"group": {"lr": 0.05}}),
}  # fmt: skip


def run(optimizer_class, arguments, start, gradients, dtype):
    """The parameters after each step, and their running means where there are some."""
    # `torch.tensor` copies: the update in place must not reach `start`.
    parameters = [torch.tensor(values, dtype=dtype, requires_grad=True) for values in start]
    arguments = dict(arguments)
    if group := arguments.pop("group", None):
        optimizer = optimizer_class([{"params": parameters[:1]}, {"params": parameters[1:], **group}], **arguments)
    else:
        optimizer = optimizer_class(parameters, **arguments)
    history, means = [], []
    for step in gradients:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = torch.tensor(gradient, dtype=dtype)
        optimizer.step()
        history.append([parameter.detach().numpy().copy() for parameter in parameters])
        if all("ax" in optimizer.state[parameter] for parameter in parameters):
            means.append([optimizer.state[parameter]["ax"].numpy().copy() for parameter in parameters])
    return history, means


def updates(family):
    for name, (op, optimizer_class, arguments) in CASES.items():
        random = family.random(name)
        start = [f32(random.normal(size=shape)) for shape in SHAPES]
        gradients = [[f32(random.normal(size=shape)) for shape in SHAPES] for _ in range(LONGER.get(name, STEPS))]
        for step in gradients:
            step[0][0, :3] = step[0][0, :3] * [0.0, 1e3, 1e-4]  # never a gradient, large ones, small ones
        gradients[2][1][:] = 0  # one step without any for a whole parameter
        want, means = run(optimizer_class, arguments, start, gradients, torch.float64)
        single, _ = run(optimizer_class, arguments, start, gradients, torch.float32)
        ratio = max(
            float((np.abs(s - w) / (1e-6 + 1e-5 * np.abs(w))).max())
            for ws, ss in zip(want, single, strict=True)
            for w, s in zip(ws, ss, strict=True)
        )
        fields = {
            "parameters": [family.store(f"{name}/parameter{i}", values) for i, values in enumerate(start)],
            "step_gradients": [
                [family.store(f"{name}/step{t}/gradient{i}", values) for i, values in enumerate(step)]
                for t, step in enumerate(gradients)
            ],
            "step_parameters": [
                [family.store(f"{name}/step{t}/parameter{i}", values) for i, values in enumerate(step)]
                for t, step in enumerate(want)
            ],
        }
        if means:
            fields["step_means"] = [
                [family.store(f"{name}/step{t}/mean{i}", values) for i, values in enumerate(step)]
                for t, step in enumerate(means)
            ]
        if tolerance := widened(ratio):
            fields["tolerance"] = tolerance
        family.record(name, op, arguments, **fields)


def clips(family):
    def gradients(name, scale):
        random = family.random(name)
        return [f32(random.normal(size=shape) * scale) for shape in SHAPES]

    def with_gradients(inputs):
        parameters = [torch.zeros_like(values).requires_grad_() for values in inputs]
        for parameter, values in zip(parameters, inputs, strict=True):
            parameter.grad = values.clone()
        return parameters

    def by_norm(*inputs, max_norm):
        parameters = with_gradients(inputs)
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        return [parameter.grad for parameter in parameters] + [norm]

    def by_value(*inputs, clip_value):
        parameters = with_gradients(inputs)
        torch.nn.utils.clip_grad_value_(parameters, clip_value)
        return [parameter.grad for parameter in parameters]

    for label, scale, max_norm in [("active", 3, 1.0), ("inactive", 0.01, 1.0), ("zero", 0, 1.0), ("large", 1e15, 5.0)]:
        name = f"clip_grad_norm_{label}"
        inputs = gradients(name, scale)
        family.case(
            name, "clip_grad_norm", lambda *x, max_norm=max_norm: by_norm(*x, max_norm=max_norm), inputs,
            {"max_norm": max_norm, "norm_type": 2.0}, [False, False],
        )  # fmt: skip
    for label, scale, clip_value in [("active", 3, 1.0), ("inactive", 0.01, 1.0), ("small", 1, 1e-3)]:
        name = f"clip_grad_value_{label}"
        inputs = gradients(name, scale)
        family.case(
            name, "clip_grad_value", lambda *x, clip_value=clip_value: by_value(*x, clip_value=clip_value), inputs,
            {"clip_value": clip_value}, [False, False],
        )  # fmt: skip


def build():
    family = Family("optimizer")
    updates(family)
    clips(family)
    return family
