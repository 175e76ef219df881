"""What each initializer's weights must look like: the bound of a uniform one, the standard deviation of a normal one.

The fans are PyTorch's, for weights [out, in] and [out, in, kernel...]. LeCun's are the Kaiming ones at gain 1 and
fan_in. An orthogonal weight, flattened to [rows, columns], has W W^T = gain^2 I when rows <= columns, else W^T W.
"""

import math

import torch
from torch.nn import init

from .family import Family

SHAPES = [(5, 7), (1, 1), (64, 100), (3, 300), (8, 3, 3, 3), (6, 4, 5)]
GAINS = [("linear", None), ("relu", None), ("tanh", None), ("leaky_relu", 0.2), ("sigmoid", None), ("selu", None)]


def build():
    family = Family("initializer")
    for shape in SHAPES:
        label = "x".join(map(str, shape))
        fan_in, fan_out = init._calculate_fan_in_and_fan_out(torch.empty(shape))
        fans = {"shape": list(shape), "fan_in": fan_in, "fan_out": fan_out}
        for gain in (1.0, 2.0):
            deviation = gain * math.sqrt(2.0 / (fan_in + fan_out))
            attributes = fans | {"gain": gain}
            both(family, "xavier", f"{label}_gain_{gain}", attributes, deviation)
        for mode, fan in (("fan_in", fan_in), ("fan_out", fan_out)):
            for nonlinearity, slope in (("relu", 0.0), ("leaky_relu", 0.2)):
                gain = init.calculate_gain(nonlinearity, slope)
                attributes = fans | {"mode": mode, "nonlinearity": nonlinearity, "a": slope}
                both(family, "kaiming", f"{label}_{mode}_{nonlinearity}", attributes, gain / math.sqrt(fan))
        both(family, "lecun", label, fans, math.sqrt(1.0 / fan_in))
        rows, columns = shape[0], math.prod(shape[1:])
        for gain in (1.0, 2.0):
            family.record(
                f"orthogonal_{label}_gain_{gain}", "orthogonal", {"shape": list(shape), "gain": gain}, rows=rows,
                columns=columns, gram="W W^T" if rows <= columns else "W^T W", gram_size=min(rows, columns),
                gram_diagonal=gain * gain,
            )  # fmt: skip
    for nonlinearity, parameter in GAINS:
        attributes = {"nonlinearity": nonlinearity} | ({} if parameter is None else {"a": parameter})
        family.record(
            f"gain_{nonlinearity}", "gain", attributes, gain=float(init.calculate_gain(nonlinearity, parameter))
        )
    # The formulas above against PyTorch's own weights, where it has them.
    for shape in SHAPES:
        verify(shape)
    return family


def both(family, scheme, label, attributes, deviation):
    """The uniform and the normal form; a uniform distribution in ±bound has the deviation bound / sqrt(3)."""
    family.record(
        f"{scheme}_uniform_{label}", f"{scheme}_uniform", attributes, bound=math.sqrt(3.0) * deviation, std=deviation
    )
    family.record(f"{scheme}_normal_{label}", f"{scheme}_normal", attributes, std=deviation)


def verify(shape):
    fan_in, fan_out = init._calculate_fan_in_and_fan_out(torch.empty(shape))
    torch.manual_seed(0)
    repeated = [torch.empty(shape) for _ in range(max(1, 20_000 // math.prod(shape)))]
    for fill, deviation in [
        (init.xavier_uniform_, math.sqrt(2 / (fan_in + fan_out))),
        (init.xavier_normal_, math.sqrt(2 / (fan_in + fan_out))),
        (lambda w: init.kaiming_uniform_(w, nonlinearity="relu"), math.sqrt(2 / fan_in)),
        (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / fan_out)),
    ]:
        drawn = torch.cat([fill(w).flatten() for w in repeated]).std().item()
        if abs(drawn / deviation - 1) > 0.05:
            raise ValueError(f"PyTorch's weights of shape {shape} deviate by {drawn}, not {deviation}")
