"""Functions of two elements, with broadcasting; comparisons; select; the integer operators."""

import numpy as np
import torch

from .family import Family, f32, i32

SHAPES = {
    "same": ((3, 5), (3, 5)),
    "rank_0": ((), ()),
    "scalar": ((), (2, 3, 3)),
    "row": ((4, 7), (7,)),
    "both_ways": ((4, 1, 3), (2, 1)),
    "rank_4": ((2, 1, 3, 1), (1, 4, 1, 5)),
    "size_1": ((1,), (1, 1)),
    "size_0": ((0, 3), (1, 3)),
    "size_0_inside": ((2, 0, 1), (1, 4)),
}


def pairs(*rows):
    """Columns of a list of pairs, as two inputs of the same shape."""
    return [f32(column) for column in zip(*rows, strict=True)]


def anything(random, a, b):
    return random.uniform(-5, 5, a), random.uniform(-5, 5, b)


def apart_from_zero(random, a, b):
    return random.uniform(-5, 5, a), random.uniform(0.3, 4, b) * random.choice([-1, 1], b)


def positive_base(random, a, b):
    return random.uniform(0.2, 4, a), random.uniform(-3, 3, b)


def no_ties(random, a, b):
    """Two sets without a common value: even and odd multiples of a step."""
    left = random.permutation(64)[: int(np.prod(a))] * 0.25 - 8
    right = random.permutation(64)[: int(np.prod(b))] * 0.25 - 8 + 0.125
    return left.reshape(a), right.reshape(b)


def quotients_between_integers(random, a, b):
    """Operands whose quotient stays clear of integers, where one ulp more or less would change the remainder."""
    b_values = random.choice([0.5, 1, 2, 4], b) * random.choice([-1, 1], b)
    return random.integers(-40, 40, a) + random.uniform(0.1, 0.4, a), b_values


ARITHMETIC = {
    "add": (
        torch.add,
        anything,
        pairs((1e38, 1e38), (-1e38, 1e38), (1e8, 1), (16777216, 1), (1e-30, 1e-30), (0.0, -0.0), (-3e38, 1e-30)),
    ),
    "sub": (
        torch.sub,
        anything,
        pairs((1e38, -1e38), (1e38, 1e38), (1e8, 1), (1.0000001, 1), (1e-30, 2e-30), (0.0, -0.0), (1e-30, 3e38)),
    ),
    "mul": (
        torch.mul,
        anything,
        pairs((1e18, 1e19), (-1e-15, 1e-15), (0.0, 3e38), (1e38, 1e-38), (-0.0, -2.0), (1.0000001, 1.0000001)),
    ),
    "div": (
        torch.div,
        apart_from_zero,
        pairs((1, 3), (0.0, 1e-10), (1e15, 1e-10), (1e-15, 1e15), (-1e18, 1e18), (1e30, -7), (1e-30, 1e-10)),
    ),
    "rem": (
        torch.fmod,
        quotients_between_integers,
        pairs((7, 2), (-7, 2), (7, -2), (-7, -2), (5.5, 2), (0.25, 8), (-0.25, 8), (1e-10, 1), (1001, 2), (3, 1e30)),
    ),
    "pow": (
        torch.pow,
        positive_base,
        pairs((1e-10, 3), (10, 30), (2, -126), (2, 120), (1, 100), (1.0001, 1000), (1e30, 0.5), (1e-10, -1.5), (5, 0)),
    ),
    "minimum": (torch.minimum, no_ties, pairs((-3e38, 3e38), (1e-30, -1e-30), (1, 1.0000001), (-5, -4), (1e30, 2))),
    "maximum": (torch.maximum, no_ties, pairs((-3e38, 3e38), (1e-30, -1e-30), (1, 1.0000001), (-5, -4), (1e30, 2))),
    "atan2": (
        torch.atan2,
        apart_from_zero,
        pairs(
            (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1), (1e-15, 1e-15), (1e-15, -1e-15),
            (1e15, 1e-15), (1e-15, 1e15), (-1e15, -1e15), (1e-4, -1),
        ),
    ),
}  # fmt: skip

COMPARISONS = {"eq": torch.eq, "ne": torch.ne, "lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge}


def truncated_division(a, b):
    return torch.div(a, b, rounding_mode="trunc")


INTEGER = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": truncated_division,
    "rem": torch.fmod,
    "minimum": torch.minimum,
    "maximum": torch.maximum,
}


def build():
    family = Family("binary")
    for op, (function, draw, extremes) in ARITHMETIC.items():
        for label, shapes in SHAPES.items():
            name = f"{op}_{label}"
            inputs = [f32(values) for values in draw(family.random(name), *shapes)]
            family.case(name, op, function, inputs)
        family.case(f"{op}_extremes", op, function, extremes)
    powers(family)
    comparisons(family)
    integers(family)
    selects(family)
    return family


def powers(family):
    # A negative base has a power, and a gradient in the base, but none in the exponent.
    family.case(
        "pow_negative_base", "pow", torch.pow,
        pairs((-2, 3), (-2, 2), (-0.5, -1), (-3, 0), (-1.5, 5), (-10, -2)), differentiable=[True, False],
    )  # fmt: skip
    # At base zero neither gradient is NaN: PyTorch takes 0 where the formula would say 0 * inf.
    family.case("pow_zero_base", "pow", torch.pow, pairs((0, 2), (0, 1), (0, 3.5), (0, 0)))
    inputs = [f32(family.random("pow_square").uniform(-3, 3, (3, 4))), f32(2)]
    family.case("pow_square", "pow", torch.pow, inputs, differentiable=[True, False])


def comparisons(family):
    special = pairs((0.0, -0.0), (1, 1.0000001), (3e38, -3e38), (-1e-30, 1e-30), (2.5, 2.5), (-3e38, -3e38))
    for op, function in COMPARISONS.items():
        for label in ("same", "both_ways", "scalar", "size_0"):
            a, b = SHAPES[label]
            random = family.random(f"{op}_{label}")
            inputs = [f32(random.integers(-1, 2, a) * 0.1), f32(random.integers(-1, 2, b) * 0.1)]
            family.case(f"{op}_{label}", op, function, inputs, differentiable=[False, False])
        family.case(f"{op}_extremes", op, function, special, differentiable=[False, False])
        random = family.random(f"{op}_i32")
        inputs = [i32(random.integers(-2, 3, (3, 5))), i32(random.integers(-2, 3, (5,)))]
        family.case(f"{op}_i32", op, function, inputs)


def integers(family):
    for op, function in INTEGER.items():
        random = family.random(f"{op}_i32")
        for label in ("same", "both_ways", "rank_0"):
            a, b = SHAPES[label]
            divisor = random.integers(1, 9, b) * random.choice([-1, 1], b)
            inputs = [i32(random.integers(-100, 100, a)), i32(divisor)]
            family.case(f"{op}_i32_{label}", op, function, inputs)
    # Integer overflow wraps around, as it does in PyTorch and on a GPU.
    most, least = 2**31 - 1, -(2**31)
    family.case("add_i32_wrap", "add", torch.add, [i32([most, least, most]), i32([1, -1, most])])
    family.case("mul_i32_wrap", "mul", torch.mul, [i32([most, 65536, least]), i32([2, 65536, 3])])
    family.case("div_i32_large", "div", truncated_division, [i32([most, least, most]), i32([3, 7, -1])])
    family.case("rem_i32_large", "rem", torch.fmod, [i32([most, least, 16777217]), i32([10, 7, 2])])


def selects(family):
    shapes = {
        "same": ((3, 5), (3, 5), (3, 5)),
        "broadcast": ((3, 1), (1, 4), ()),
        "rank_0": ((), (), ()),
        "condition_row": ((5,), (2, 3, 5), (3, 1)),
        "size_0": ((0, 1), (3,), (1, 3)),
    }
    for label, (condition, a, b) in shapes.items():
        random = family.random(f"select_{label}")
        inputs = [random.random(condition) < 0.5, f32(random.normal(size=a)), f32(random.normal(size=b))]
        inputs[0] = np.asarray(inputs[0], dtype=np.bool_)
        family.case(f"select_{label}", "select", torch.where, inputs)
    random = family.random("select_i32")
    inputs = [random.random((3, 4)) < 0.5, i32(random.integers(-9, 9, (3, 4))), i32(random.integers(-9, 9, (4,)))]
    family.case("select_i32", "select", torch.where, inputs)
