"""Pools over one to three spatial axes, and interpolation."""

import numpy as np
import torch
import torch.nn.functional as F

from .family import Family, f32

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
POWER = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
ADAPTIVE_AVERAGE = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
ADAPTIVE_MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def normal(family, name, shape):
    return f32(family.random(name).normal(size=shape))


def distinct(family, name, shape):
    count = int(np.prod(shape))
    return f32((family.random(name).permutation(count) - count / 2).reshape(shape) * 0.037)


def build():
    family = Family("pool")
    maxima(family)
    averages(family)
    powers(family)
    adaptive(family)
    interpolations(family)
    return family


def maxima(family):
    def case(label, x, kernel, **options):
        name = f"max_{label}"
        axes = x.ndim - 2

        def function(x):
            values, indices = MAX[axes](x, kernel, return_indices=True, **options)
            return [values, indices.to(torch.int32)]

        family.case(name, "max_pool", function, [x], {"kernel": kernel, **options})

    for label, shape, kernel, options in [
        ("1d", (1, 3, 11), [3], {}),
        ("1d_padded", (5, 1, 10), [3], {"stride": [2], "padding": [1]}),
        ("1d_dilated", (1, 3, 13), [3], {"stride": [2], "padding": [1], "dilation": [2]}),
        ("1d_ceil", (2, 3, 8), [3], {"stride": [2], "ceil_mode": True}),
        ("1d_apart", (1, 2, 17), [2], {"stride": [5]}),
        ("1d_single", (1, 1, 1), [1], {}),
        ("2d", (1, 3, 6, 8), [2, 2], {}),
        ("2d_odd", (5, 1, 7, 9), [2, 2], {}),
        ("2d_overlap", (1, 37, 5, 4), [3, 3], {"stride": [2, 2], "padding": [1, 1]}),
        ("2d_ceil", (2, 3, 7, 8), [3, 2], {"stride": [2, 3], "padding": [1, 1], "ceil_mode": True}),
        ("2d_dilated", (1, 3, 9, 11), [3, 2], {"stride": [1, 2], "padding": [1, 0], "dilation": [2, 3]}),
        ("2d_apart", (1, 2, 10, 9), [2, 1], {"stride": [4, 3]}),
        ("2d_whole", (2, 3, 5, 4), [5, 4], {}),
        ("3d", (1, 3, 4, 6, 5), [2, 2, 2], {}),
        ("3d_overlap", (2, 1, 5, 4, 7), [3, 2, 3], {"stride": [2, 1, 2], "padding": [1, 0, 1], "ceil_mode": True}),
        ("3d_dilated", (1, 2, 5, 6, 7), [2, 2, 2], {"stride": [1, 2, 1], "padding": [1, 1, 1], "dilation": [2, 2, 3]}),
    ]:
        case(label, distinct(family, f"max_{label}", shape), kernel, **options)
    # The first of equals, also of zeros that a relu leaves, and of numbers below the padding's.
    ties = f32(np.maximum(np.round(family.random("max_ties").normal(size=(2, 3, 6, 7)) * 2) / 2, 0))
    case("ties", ties, [3, 3], stride=[2, 2], padding=[1, 1])
    case("negative", f32(-1 - np.abs(normal(family, "max_negative", (1, 2, 5, 5)))), [3, 3], padding=[1, 1])


def averages(family):
    for label, shape, kernel, options in [
        ("1d", (1, 3, 11), [3], {}),
        ("1d_padded", (5, 1, 10), [3], {"stride": [2], "padding": [1]}),
        ("1d_excluded", (2, 3, 10), [3], {"stride": [2], "padding": [1], "count_include_pad": False}),
        ("1d_ceil", (1, 3, 8), [3], {"stride": [2], "ceil_mode": True}),
        ("1d_ceil_padded", (1, 2, 9), [4], {"stride": [3], "padding": [2], "ceil_mode": True}),
        ("2d", (1, 3, 6, 8), [2, 2], {}),
        ("2d_odd", (5, 1, 7, 9), [2, 3], {}),
        ("2d_padded", (1, 37, 5, 4), [3, 3], {"stride": [2, 2], "padding": [1, 1]}),
        ("2d_excluded", (2, 3, 7, 6), [3, 3], {"stride": [1, 2], "padding": [1, 1], "count_include_pad": False}),
        ("2d_ceil", (2, 3, 7, 8), [3, 2], {"stride": [2, 3], "padding": [1, 1], "ceil_mode": True}),
        (
            "2d_ceil_excluded",
            (1, 3, 8, 7),
            [3, 3],
            {"stride": [2, 2], "padding": [1, 0], "ceil_mode": True, "count_include_pad": False},
        ),
        ("2d_divisor", (1, 3, 6, 7), [3, 2], {"stride": [2, 2], "padding": [1, 1], "divisor_override": 5}),
        ("2d_apart", (1, 2, 10, 9), [2, 1], {"stride": [4, 3]}),
        ("2d_large", (1, 1, 40, 37), [36, 33], {"padding": [3, 2], "stride": [2, 3]}),
        ("3d", (1, 3, 4, 6, 5), [2, 2, 2], {}),
        (
            "3d_excluded",
            (2, 1, 5, 4, 7),
            [3, 2, 3],
            {"stride": [2, 1, 2], "padding": [1, 0, 1], "ceil_mode": True, "count_include_pad": False},
        ),
        ("3d_divisor", (1, 2, 5, 4, 5), [2, 3, 2], {"divisor_override": 7, "ceil_mode": True}),
    ]:
        name = f"average_{label}"
        x = normal(family, name, shape)
        # PyTorch reads the options of one axis otherwise.
        function = lambda x, kernel=kernel, options=options, axes=len(kernel): AVERAGE[axes](x, kernel, **options)
        family.case(name, "avg_pool", function, [x], {"kernel": kernel, **options})


def powers(family):
    for label, norm, shape, kernel, options in [
        ("1_1d", 1, (1, 3, 11), [3], {}),
        ("2_1d", 2, (2, 3, 10), [3], {"stride": [2], "ceil_mode": True}),
        ("1_2d", 1, (1, 3, 7, 8), [2, 3], {}),
        ("2_2d", 2, (5, 1, 7, 8), [3, 2], {"stride": [2, 2]}),
        ("3_2d", 3, (1, 3, 6, 7), [2, 2], {"stride": [2, 3], "ceil_mode": True}),
        ("2_3d", 2, (1, 2, 4, 5, 6), [2, 2, 3], {}),
    ]:
        name = f"power_{label}"
        # Roots of negative sums are no numbers.
        x = normal(family, name, shape)
        x = f32(np.abs(x) + 0.1) if norm == 3 else x
        one = len(kernel) == 1
        arguments = (kernel[0], *options.get("stride", [None])) if one else (kernel, options.get("stride"))
        ceil = options.get("ceil_mode", False)
        function = lambda x, norm=norm, arguments=arguments, ceil=ceil, axes=len(kernel): POWER[axes](
            x, norm, *arguments, ceil
        )
        family.case(name, "lp_pool", function, [x], {"norm": norm, "kernel": kernel, **options})
    zeros = f32(np.maximum(normal(family, "power_zeros", (1, 2, 4, 4)), 0) * [1, 1, 0, 0])
    family.case(
        "power_zeros", "lp_pool", lambda x: F.lp_pool2d(x, 2, [2, 2]), [zeros], {"norm": 2, "kernel": [2, 2]}
    )


def adaptive(family):
    for label, shape, size in [
        ("1d", (2, 3, 11), [4]),
        ("1d_more", (1, 2, 3), [7]),
        ("2d_even", (1, 3, 8, 6), [4, 2]),
        ("2d_odd", (2, 3, 7, 9), [3, 5]),
        ("2d_one", (5, 3, 3, 5), [1, 1]),
        ("2d_row", (1, 3, 5, 7), [1, 3]),
        ("2d_more", (1, 2, 3, 5), [7, 7]),
        ("3d", (1, 3, 4, 5, 7), [3, 2, 4]),
        ("2d_large", (1, 1, 68, 35), [2, 1]),
    ]:
        name = f"adaptive_average_{label}"
        function = lambda x, size=size: ADAPTIVE_AVERAGE[len(size)](x, size)
        family.case(name, "adaptive_avg_pool", function, [normal(family, name, shape)], {"size": size})

        def function(x, size=size):
            values, indices = ADAPTIVE_MAX[len(size)](x, size, return_indices=True)
            return [values, indices.to(torch.int32)]

        name = f"adaptive_max_{label}"
        family.case(name, "adaptive_max_pool", function, [distinct(family, name, shape)], {"size": size})


def interpolations(family):
    for label, shape, options in [
        ("nearest_1d_up", (2, 3, 5), {"size": [13]}),
        ("nearest_1d_down", (1, 3, 11), {"size": [4]}),
        ("nearest_2d_double", (5, 1, 4, 3), {"scale_factor": [2.0, 2.0]}),
        ("nearest_2d_factors", (1, 2, 3, 4), {"scale_factor": [3.0, 1.0]}),
        ("nearest_2d_size", (1, 3, 4, 3), {"size": [8, 9]}),
        ("nearest_2d_odd", (1, 3, 5, 7), {"size": [7, 4]}),
        ("nearest_2d_fraction", (1, 3, 5, 7), {"scale_factor": [1.7, 0.6]}),
        ("nearest_3d", (1, 2, 3, 4, 2), {"size": [5, 4, 3]}),
        ("nearest-exact_2d", (1, 3, 5, 7), {"size": [8, 3]}),
        ("linear_1d_up", (2, 3, 5), {"size": [13]}),
        ("linear_1d_down", (1, 3, 11), {"size": [4]}),
        ("linear_1d_aligned", (1, 3, 5), {"size": [9], "align_corners": True}),
        ("linear_1d_aligned_one", (1, 2, 5), {"size": [1], "align_corners": True}),
        ("linear_2d_double", (5, 1, 4, 3), {"scale_factor": [2.0, 2.0]}),
        ("linear_2d_down", (1, 3, 9, 8), {"size": [4, 5]}),
        ("linear_2d_mixed", (1, 37, 3, 4), {"size": [5, 3]}),
        ("linear_2d_aligned", (2, 3, 4, 5), {"size": [7, 9], "align_corners": True}),
        ("linear_2d_aligned_factor", (1, 3, 4, 5), {"scale_factor": [2.0, 0.5], "align_corners": True}),
        ("linear_2d_fraction", (1, 3, 5, 7), {"scale_factor": [1.7, 0.6]}),
        ("linear_2d_one", (1, 2, 1, 5), {"size": [4, 5]}),
        ("linear_3d", (1, 2, 3, 4, 2), {"size": [5, 3, 4]}),
        ("linear_3d_aligned", (1, 2, 3, 4, 2), {"size": [5, 3, 4], "align_corners": True}),
        ("cubic_2d_up", (1, 3, 4, 5), {"size": [7, 9]}),
        ("cubic_2d_aligned", (2, 1, 5, 4), {"scale_factor": [1.5, 2.0], "align_corners": True}),
    ]:
        name = f"interpolate_{label}"
        mode = label.split("_")[0]
        torch_mode = {"linear": LINEAR[len(shape) - 2], "cubic": "bicubic"}.get(mode, mode)
        arguments = {**options, "mode": torch_mode}
        function = lambda x, arguments=arguments: F.interpolate(x, **arguments)
        family.case(name, "interpolate", function, [normal(family, name, shape)], {**options, "mode": mode})
