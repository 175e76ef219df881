"""Convolutions and transposed convolutions over one to three axes, with every kind of stride, padding, dilation and group."""

import torch.nn.functional as F

from .family import Family, f32

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

# label: input, weight, then what differs from stride 1, no padding, dilation 1, one group.
CASES = {
    "1d_one": ((1, 1, 1), (1, 1, 1), {}),
    "1d": ((2, 3, 9), (4, 3, 3), {"padding": [1]}),
    "1d_stride": ((5, 1, 11), (2, 1, 4), {"stride": [3], "padding": [2]}),
    "1d_dilated": ((1, 3, 12), (2, 3, 3), {"dilation": [3], "padding": [3]}),
    "1d_groups": ((2, 6, 7), (9, 2, 2), {"groups": 3}),
    "1d_long": ((1, 1, 130), (1, 1, 65), {"stride": [2]}),
    "1d_37": ((1, 37, 6), (5, 37, 3), {}),
    "2d_one": ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    "2d_whole": ((2, 3, 4, 5), (2, 3, 4, 5), {}),
    "2d_3x3": ((1, 3, 7, 9), (4, 3, 3, 3), {"padding": [1, 1]}),
    "2d_valid": ((5, 1, 6, 5), (3, 1, 3, 3), {}),
    "2d_even_kernel": ((2, 3, 6, 7), (2, 3, 4, 2), {"padding": [2, 1]}),
    "2d_flat_kernel": ((2, 2, 5, 8), (3, 2, 1, 5), {"padding": [0, 2]}),
    "2d_tall_kernel": ((2, 2, 8, 3), (3, 2, 5, 1), {"padding": [2, 0]}),
    "2d_stride_2": ((1, 3, 8, 9), (4, 3, 3, 3), {"stride": [2, 2], "padding": [1, 1]}),
    "2d_stride_2_odd_rest": ((2, 1, 8, 8), (2, 1, 3, 3), {"stride": [2, 2]}),
    "2d_stride_beyond_kernel": ((2, 2, 9, 11), (3, 2, 2, 2), {"stride": [3, 4]}),
    "2d_stride_uneven": ((2, 2, 9, 7), (3, 2, 3, 3), {"stride": [1, 3], "padding": [1, 0]}),
    "2d_stride_7": ((1, 3, 15, 15), (4, 3, 7, 7), {"stride": [2, 2], "padding": [3, 3]}),
    "2d_dilated": ((1, 3, 9, 9), (2, 3, 3, 3), {"dilation": [2, 2], "padding": [2, 2]}),
    "2d_dilated_uneven": ((2, 1, 9, 12), (2, 1, 3, 3), {"dilation": [1, 3], "padding": [0, 3]}),
    "2d_dilated_stride": ((2, 2, 10, 11), (3, 2, 3, 3), {"dilation": [2, 3], "stride": [2, 2], "padding": [2, 3]}),
    "2d_dilated_stride_4": ((1, 2, 13, 12), (2, 2, 3, 2), {"dilation": [2, 6], "stride": [4, 4], "padding": [3, 0]}),
    "2d_groups": ((2, 4, 5, 6), (6, 2, 3, 3), {"groups": 2, "padding": [1, 1]}),
    "2d_groups_stride": ((1, 6, 7, 7), (3, 2, 3, 3), {"groups": 3, "stride": [2, 2], "padding": [1, 1]}),
    "2d_depthwise": ((5, 5, 6, 7), (5, 1, 3, 3), {"groups": 5, "padding": [1, 1]}),
    "2d_depthwise_37": ((1, 37, 4, 4), (37, 1, 3, 3), {"groups": 37, "padding": [1, 1]}),
    "2d_depthwise_twice": ((2, 3, 7, 6), (6, 1, 3, 3), {"groups": 3, "stride": [2, 1], "padding": [1, 1]}),
    "2d_depthwise_dilated": ((1, 4, 8, 8), (4, 1, 3, 3), {"groups": 4, "dilation": [2, 2], "padding": [2, 2]}),
    "2d_1x1": ((2, 5, 4, 3), (7, 5, 1, 1), {}),
    "2d_1x1_37": ((1, 37, 3, 3), (37, 37, 1, 1), {}),
    "2d_1x1_stride": ((2, 3, 5, 6), (4, 3, 1, 1), {"stride": [2, 2]}),
    "2d_1x1_padded": ((2, 2, 3, 3), (2, 2, 1, 1), {"padding": [1, 1]}),
    "2d_1x1_groups": ((2, 4, 3, 3), (6, 2, 1, 1), {"groups": 2}),
    "2d_much_padding": ((1, 1, 2, 2), (2, 1, 3, 3), {"padding": [4, 5]}),
    "2d_batch_5": ((5, 3, 6, 6), (4, 3, 3, 3), {"padding": [1, 1]}),
    "2d_channels_37": ((2, 37, 5, 5), (3, 37, 3, 3), {"padding": [1, 1]}),
    "2d_asymmetric": ((2, 2, 5, 6), (3, 2, 3, 3), {"pads": [[0, 2], [1, 0]]}),
    "2d_asymmetric_stride": ((1, 3, 7, 6), (2, 3, 3, 2), {"pads": [[1, 0], [0, 3]], "stride": [2, 3]}),
    "2d_same": ((2, 2, 6, 5), (3, 2, 4, 3), {"same": True}),
    "2d_same_dilated": ((1, 3, 7, 8), (2, 3, 3, 2), {"same": True, "dilation": [2, 3]}),
    "2d_reflect": ((2, 2, 5, 6), (3, 2, 3, 3), {"mode": "reflect", "padding": [2, 1]}),
    "2d_replicate": ((2, 2, 5, 6), (3, 2, 3, 3), {"mode": "replicate", "padding": [1, 3], "stride": [2, 2]}),
    "2d_circular": ((2, 2, 5, 6), (3, 2, 3, 3), {"mode": "circular", "padding": [2, 2]}),
    "1d_reflect": ((2, 3, 7), (2, 3, 4), {"mode": "reflect", "padding": [3]}),
    "3d": ((1, 2, 4, 5, 6), (3, 2, 3, 3, 3), {"padding": [1, 1, 1]}),
    "3d_stride": ((2, 1, 5, 6, 7), (2, 1, 2, 3, 3), {"stride": [2, 1, 3], "padding": [1, 0, 1]}),
    "3d_groups_dilated": ((1, 4, 5, 5, 6), (4, 2, 2, 2, 3), {"groups": 2, "dilation": [2, 1, 2]}),
    "3d_1x1": ((2, 3, 2, 3, 4), (2, 3, 1, 1, 1), {}),
}
TRANSPOSED_CASES = {
    "1d": ((2, 3, 5), (3, 4, 3), {}),
    "1d_stride": ((1, 2, 6), (2, 3, 4), {"stride": [3], "padding": [1], "output_padding": [2]}),
    "1d_one": ((1, 1, 1), (1, 1, 1), {}),
    "2d": ((1, 3, 4, 5), (3, 2, 3, 3), {"padding": [1, 1]}),
    "2d_double": ((2, 3, 4, 4), (3, 2, 4, 4), {"stride": [2, 2], "padding": [1, 1]}),
    "2d_output_padding": ((2, 2, 4, 3), (2, 3, 3, 3), {"stride": [2, 2], "padding": [1, 1], "output_padding": [1, 0]}),
    "2d_dilated": ((1, 2, 4, 4), (2, 2, 3, 2), {"stride": [2, 3], "dilation": [3, 2], "padding": [2, 1]}),
    "2d_output_padding_by_dilation": ((1, 2, 4, 4), (2, 2, 3, 3), {"dilation": [3, 3], "output_padding": [2, 1]}),
    "2d_groups": ((2, 4, 3, 5), (4, 3, 3, 3), {"groups": 2, "stride": [2, 1]}),
    "2d_depthwise": ((5, 3, 4, 4), (3, 1, 2, 2), {"groups": 3, "stride": [2, 2]}),
    "2d_gaps": ((2, 2, 3, 3), (2, 2, 2, 2), {"stride": [4, 3]}),
    "2d_37": ((1, 37, 3, 3), (37, 2, 3, 3), {"stride": [2, 2]}),
    "3d": ((1, 2, 3, 3, 4), (2, 2, 2, 3, 2), {"stride": [2, 1, 2], "padding": [0, 1, 1], "output_padding": [1, 0, 0]}),
}


def build():
    family = Family("convolution")
    for label, (source, weight, given) in CASES.items():
        name = f"conv_{label}"
        axes = len(source) - 2
        attributes = {"stride": [1] * axes, "padding": [0] * axes, "dilation": [1] * axes, "groups": 1, **given}

        def function(x, w, axes=axes, attributes=attributes):
            padding = attributes["padding"]
            if attributes.get("same"):
                padding = "same"
            elif "pads" in attributes:
                x = F.pad(x, [size for pair in reversed(attributes["pads"]) for size in pair])
            elif "mode" in attributes:
                x = F.pad(x, [size for size in reversed(padding) for _ in range(2)], attributes["mode"])
                padding = 0
            return CONV[axes](x, w, None, attributes["stride"], padding, attributes["dilation"], attributes["groups"])

        family.case(name, "conv", function, [normal(family, name, source), normal(family, name + "/w", weight)], attributes)
    for label, (source, weight, given) in TRANSPOSED_CASES.items():
        name = f"conv_transpose_{label}"
        axes = len(source) - 2
        attributes = {
            "stride": [1] * axes,
            "padding": [0] * axes,
            "output_padding": [0] * axes,
            "dilation": [1] * axes,
            "groups": 1,
            **given,
        }

        def function(x, w, axes=axes, a=attributes):
            order = [a[key] for key in ("stride", "padding", "output_padding", "groups", "dilation")]
            return TRANSPOSED[axes](x, w, None, *order)

        inputs = [normal(family, name, source), normal(family, name + "/w", weight)]
        family.case(name, "conv_transpose", function, inputs, attributes)
    return family


def normal(family, name, shape):
    return f32(family.random(name).normal(size=shape))
