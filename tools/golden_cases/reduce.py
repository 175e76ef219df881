"""Reductions over axes, argmax and argmin, cumulative sums, softmax and log_softmax. Axes count from 0."""

import numpy as np
import torch

from .family import Family, f32, i32


def product(x, axes, keep):
    for axis in sorted(axes, reverse=True):
        x = torch.prod(x, axis, keepdim=keep)
    return x


REDUCTIONS = {
    "sum": lambda x, axes, keep: torch.sum(x, axes, keepdim=keep) if axes else x,
    "mean": lambda x, axes, keep: torch.mean(x, axes, keepdim=keep),
    "product": product,
    "max": lambda x, axes, keep: torch.amax(x, axes, keepdim=keep),
    "min": lambda x, axes, keep: torch.amin(x, axes, keepdim=keep),
    "log_sum_exp": lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep),
}
# shape, axes, keep
LAYOUTS = {
    "all": ((7,), [0], False),
    "rows": ((3, 5), [1], False),
    "columns": ((5, 3), [0], False),
    "columns_keep": ((5, 3), [0], True),
    "middle": ((2, 5, 3), [1], False),
    "outer_two": ((3, 4, 2), [0, 1], False),
    "split_two": ((3, 4, 2), [0, 2], True),
    "rank_4": ((2, 3, 2, 3), [1, 3], False),
    "rank_4_all": ((2, 3, 1, 2), [0, 1, 2, 3], False),
    "one_element": ((1, 1), [1], False),
    "length_1": ((3, 1, 2), [1], False),
}


def distinct(random, shape):
    """Values at least 0.05 apart, in random order, of both signs."""
    count = int(np.prod(shape))
    return ((random.permutation(count) - count / 2) * 0.1 + random.uniform(0, 0.05, count)).reshape(shape)


def reduced(family, name, op, x, axes, keep):
    def function(x):
        return REDUCTIONS[op](x, axes, keep)

    family.case(name, op, function, [x], {"axes": axes, "keep": keep})


def build():
    family = Family("reduce")
    for op in REDUCTIONS:
        for label, (shape, axes, keep) in LAYOUTS.items():
            name = f"{op}_{label}"
            reduced(family, name, op, f32(distinct(family.random(name), shape)), axes, keep)
        if op != "product":
            name = f"{op}_long"
            reduced(family, name, op, f32(distinct(family.random(name), (2, 517))), [1], False)
    special(family)
    variances(family)
    arguments(family)
    cumulative_sums(family)
    softmaxes(family)
    return family


def special(family):
    for op in ("sum", "product"):
        reduced(family, f"{op}_size_0", op, f32(np.zeros((0, 3))), [0], False)
    for op in REDUCTIONS:
        reduced(family, f"{op}_size_0_outside", op, f32(np.zeros((0, 3))), [1], True)
    reduced(family, "sum_rank_0", "sum", f32(2.5), [], False)
    reduced(family, "sum_cancels", "sum", f32([[4e6, 1, -4e6, 0.5], [3, 1e-7, -3, 2e-7]]), [1], False)
    # One zero leaves one gradient of its row, two leave none; a formula that divides by x would give NaN.
    reduced(family, "product_zeros", "product", f32([[2, 0, 3, -4], [0, 5, 0, 1], [1, 2, 3, 4]]), [1], False)
    reduced(family, "max_negative", "max", f32([[-1e30, -2e30, -3e38], [-5, -4, -6]]), [1], False)
    reduced(family, "min_positive", "min", f32([[1e30, 2e30, 3e38], [5, 4, 6]]), [1], False)
    reduced(
        family, "log_sum_exp_extremes", "log_sum_exp",
        f32([[1000, 999, -1000], [-1000, -1001, -1002.5], [88, 89, 90], [1e30, 0, -1e30], [0, -1e30, -1e30]]),
        [1], False,
    )  # fmt: skip
    for op in ("sum", "max", "min"):
        values = i32(family.random(f"{op}_i32").permutation(24).reshape(4, 6) - 12)
        reduced(family, f"{op}_i32", op, values, [1], False)


def variances(family):
    layouts = LAYOUTS | {"long": ((2, 517), [1], False), "size_0_outside": ((0, 3), [1], False)}
    for correction in (0, 1):
        for label, (shape, axes, keep) in layouts.items():
            if correction and label in ("one_element", "length_1"):
                continue  # 0 / 0
            name = f"variance_{correction}_{label}"

            def function(x, axes=axes, keep=keep, correction=correction):
                return torch.var(x, axes, correction=correction, keepdim=keep)

            attributes = {"axes": axes, "keep": keep, "correction": correction}
            family.case(name, "variance", function, [f32(distinct(family.random(name), shape))], attributes)
        # Far from zero the mean of squares minus the square of the mean would lose every digit.
        values = f32(1000 + family.random(f"far_{correction}").normal(size=(3, 9)))
        family.case(
            f"variance_{correction}_far_from_zero", "variance",
            lambda x, correction=correction: torch.var(x, [1], correction=correction), [values],
            {"axes": [1], "keep": False, "correction": correction},
        )  # fmt: skip


def arguments(family):
    layouts = {
        "all": ((7,), 0, False),
        "rows": ((3, 5), 1, False),
        "columns": ((5, 3), 0, False),
        "columns_keep": ((5, 3), 0, True),
        "middle": ((2, 5, 3), 1, False),
        "rank_4": ((2, 3, 2, 3), 2, False),
        "one_element": ((1,), 0, False),
        "long": ((2, 517), 1, False),
        "size_0_outside": ((0, 3), 1, False),
    }
    for op, function in {"argmax": torch.argmax, "argmin": torch.argmin}.items():
        for label, (shape, axis, keep) in layouts.items():
            name = f"{op}_{label}"
            family.case(
                name, op, lambda x, f=function, axis=axis, keep=keep: f(x, axis, keepdim=keep),
                [f32(distinct(family.random(name), shape))], {"axis": axis, "keep": keep}, [False],
            )  # fmt: skip
        extremes = f32([[-3e38, -1e30, -2e30], [3e38, 1e30, 2e30], [1e-30, -1e-30, 2e-30]])
        family.case(
            f"{op}_extremes", op, lambda x, f=function: f(x, 1), [extremes], {"axis": 1, "keep": False}, [False]
        )


def cumulative_sum(x, axis, reverse, exclusive):
    result = torch.cumsum(x.flip(axis) if reverse else x, axis)
    if exclusive:
        result = torch.cat([torch.zeros_like(x.narrow(axis, 0, 1)), result.narrow(axis, 0, x.shape[axis] - 1)], axis)
    return result.flip(axis) if reverse else result


def cumulative_sums(family):
    layouts = {"line": ((7,), 0), "rows": ((3, 5), 1), "columns": ((5, 3), 0), "middle": ((2, 5, 3), 1)}
    layouts |= {"one_element": ((1,), 0), "rank_4": ((2, 3, 2, 2), 2), "long": ((2, 267), 1)}
    for label, (shape, axis) in layouts.items():
        for reverse in (False, True):
            for exclusive in (False, True):
                name = f"cumulative_sum_{label}" + "_reverse" * reverse + "_exclusive" * exclusive
                attributes = {"axis": axis, "reverse": reverse, "exclusive": exclusive}
                values = f32(family.random(name).normal(size=shape))
                family.case(
                    name, "cumulative_sum", lambda x, attributes=attributes: cumulative_sum(x, **attributes), [values],
                    attributes,
                )  # fmt: skip
    empty = {"axis": 1, "reverse": False, "exclusive": False}
    family.case(
        "cumulative_sum_size_0", "cumulative_sum", lambda x: cumulative_sum(x, **empty), [f32(np.zeros((0, 3)))], empty
    )


def softmaxes(family):
    layouts = {
        "line": ((7,), 0),
        "rows": ((3, 5), 1),
        "columns": ((5, 3), 0),
        "middle": ((2, 5, 3), 1),
        "rank_4": ((2, 1, 3, 4), 3),
        "length_1": ((3, 1), 1),
        "size_0": ((0, 3), 1),
        "long": ((2, 517), 1),
    }
    extremes = f32(
        [
            [1000, 999, -1000, 0],
            [-1000, -1001, -1002.5, -999],
            [88, 89, 90, 91],
            [-1e30, 0.5, -1e30, -0.5],  # a mask as attention writes it
            [3e38, 1, 0, -3e37],
            [2, 2, 2, 2],
        ]
    )
    for op, function in {"softmax": torch.softmax, "log_softmax": torch.log_softmax}.items():
        for label, (shape, axis) in layouts.items():
            name = f"{op}_{label}"
            values = f32(family.random(name).normal(size=shape) * 2)
            family.case(name, op, lambda x, f=function, axis=axis: f(x, axis), [values], {"axis": axis})
        family.case(f"{op}_extremes", op, lambda x, f=function: f(x, 1), [extremes], {"axis": 1})
