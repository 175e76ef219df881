"""Functions of one element: random values in each function's domain, then its extremes."""

import torch
import torch.nn.functional as F

from .family import Family, f32

# Where a smooth function that saturates must neither overflow nor lose its tail.
SATURATION = [0.0, 1e-4, 1e-2, 1.0, 5.0, 9.0, 15.0, 20.5, 50.0, 88.0, 100.0, 1e4]
LARGE = [0.0, 1e-30, 1e-4, 0.49999997, 0.5, 1.5, 2.5, 3.5, 1e4, 8388607.5, 16777216.0, 1e10, 1e30, 3e38]
TINY_NORMAL = 1.2e-38


def both_signs(values):
    return [-v for v in reversed(values)] + list(values)


# name: (function, low, high of the random case, extremes)
FUNCTIONS = {
    "neg": (torch.neg, -10, 10, both_signs(LARGE)),
    "abs": (torch.abs, -10, 10, both_signs(LARGE[1:])),
    "exp": (torch.exp, -5, 5, [-100, -88, -50, -1e-4, -0.0, 0, 1e-7, 1e-4, 1, 50, 87, 88]),
    "log": (torch.log, 0.1, 10, [TINY_NORMAL, 1e-30, 1e-4, 0.5, 0.9999999, 1, 1.0000001, 2, 1e4, 1e30, 3e38]),
    "sqrt": (torch.sqrt, 0.1, 10, [TINY_NORMAL, 1e-30, 1e-4, 0.25, 1, 2, 1e4, 1e30, 3e38]),
    "rsqrt": (torch.rsqrt, 0.1, 10, [1e-20, 1e-10, 1e-4, 0.25, 1, 2, 1e4, 1e20, 3e38]),
    "reciprocal": (torch.reciprocal, 0.1, 10, both_signs([1e-18, 1e-4, 0.3, 1, 3, 1e4, 1e18, 1e37])),
    "sin": (torch.sin, -3, 3, both_signs([0, 1e-4, 1.5707964, 3.1415927, 6.2831855, 31.4, 100])),
    "cos": (torch.cos, -3, 3, both_signs([0, 1e-4, 1.5707964, 3.1415927, 6.2831855, 31.4, 100])),
    "tan": (torch.tan, -1.3, 1.3, both_signs([0, 1e-4, 1.0, 1.5, 1.6, 3.1415927, 4.6, 31.4])),
    "erf": (torch.erf, -2, 2, both_signs(SATURATION)),
    "floor": (torch.floor, -10, 10, both_signs(LARGE)),
    "ceil": (torch.ceil, -10, 10, both_signs(LARGE)),
    "round": (torch.round, -10, 10, both_signs(LARGE)),
    "trunc": (torch.trunc, -10, 10, both_signs(LARGE)),
    "sign": (torch.sign, -10, 10, both_signs(LARGE)),
    "log1p": (torch.log1p, -0.9, 10, [-0.9999, -0.5, -1e-7, -0.0, 0, 1e-20, 1e-7, 1e-4, 1, 1e4, 1e30, 3e38]),
    "expm1": (torch.expm1, -5, 5, [-100, -88, -1, -1e-7, -0.0, 0, 1e-20, 1e-7, 1e-4, 1, 50, 88]),
    "relu": (F.relu, -3, 3, both_signs(SATURATION[1:] + [1e30, 3e38])),
    "selu": (F.selu, -3, 3, both_signs(SATURATION[1:])),
    "gelu": (F.gelu, -3, 3, both_signs(SATURATION)),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), -3, 3, both_signs(SATURATION)),
    "silu": (F.silu, -3, 3, both_signs(SATURATION)),
    "mish": (F.mish, -3, 3, both_signs(SATURATION)),
    "softplus": (F.softplus, -3, 3, both_signs(SATURATION)),
    "softsign": (F.softsign, -3, 3, both_signs(SATURATION + [1e18])),
    "hard_sigmoid": (F.hardsigmoid, -5, 5, both_signs([0, 1e-4, 2.9999, 3.0001, 15, 100, 1e30])),
    "hard_swish": (F.hardswish, -5, 5, both_signs([0, 1e-4, 2.9999, 3.0001, 15, 100, 1e30])),
    "sigmoid": (torch.sigmoid, -3, 3, both_signs(SATURATION)),
    "tanh": (torch.tanh, -3, 3, both_signs(SATURATION)),
    "square": (torch.square, -10, 10, both_signs([0, 1e-30, 1e-15, 1e-4, 3, 1e4, 1e19])),
}
WITH_ALPHA = {
    "leaky_relu": (F.leaky_relu, [0.01, 0.3], both_signs(SATURATION[1:] + [1e30])),
    "elu": (F.elu, [1.0, 0.5], both_signs(SATURATION[1:])),
    "celu": (F.celu, [1.0, 2.0], both_signs(SATURATION[1:])),
}
SHAPES = [(41,), (5, 8), (3, 2, 7), (2, 1, 3, 7)]


def build():
    family = Family("unary")
    for index, (op, (function, low, high, extremes)) in enumerate(FUNCTIONS.items()):
        values = family.random(op).uniform(low, high, SHAPES[index % len(SHAPES)])
        family.case(f"{op}_random", op, function, [f32(values)])
        family.case(f"{op}_extremes", op, function, [f32(extremes)])
    for op, (function, alphas, extremes) in WITH_ALPHA.items():
        for alpha in alphas:
            attributes = {"alpha": alpha}
            name = f"{op}_alpha_{alpha}"

            def apply(x, function=function, alpha=alpha):
                return function(x, alpha)

            values = family.random(name).uniform(-3, 3, (5, 8))
            family.case(f"{name}_random", op, apply, [f32(values)], attributes)
            family.case(f"{name}_extremes", op, apply, [f32(extremes)], attributes)

    # Shapes that an elementwise kernel must take: rank 0, one element, none, more than one workgroup's worth.
    for op in ("neg", "exp", "relu", "gelu"):
        for label, shape in {"rank_0": (), "size_1": (1, 1, 1), "size_0": (0,), "size_0_inside": (3, 0, 2)}.items():
            name = f"{op}_{label}"
            family.case(name, op, FUNCTIONS[op][0], [f32(family.random(name).uniform(0.5, 2, shape))])
    values = family.random("tanh_long").uniform(-3, 3, (1031,))
    family.case("tanh_long", "tanh", torch.tanh, [f32(values)])

    # Near zero only a formula made for it keeps the relative precision that these two exist for.
    near_zero = f32(both_signs([1e-30, 1e-20, 1e-10, 3e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3]))
    for op in ("log1p", "expm1"):
        family.case(
            f"{op}_near_zero", op, FUNCTIONS[op][0], [near_zero], tolerance={"absolute": 1e-36, "relative": 1e-5}
        )

    # At a kink the derivative is a convention; these are PyTorch's: 0 for relu and abs, alpha for leaky_relu.
    kink = f32([-1, -0.0, 0, 1])
    family.case("relu_kink", "relu", F.relu, [kink])
    family.case("abs_kink", "abs", torch.abs, [kink])
    family.case("leaky_relu_kink", "leaky_relu", lambda x: F.leaky_relu(x, 0.3), [kink], {"alpha": 0.3})
    return family
