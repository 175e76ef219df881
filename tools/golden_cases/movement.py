"""Operators that move elements: views, joins and splits, gathers and scatters, sorting."""

import numpy as np
import torch
import torch.nn.functional as F

from .family import Family, f32, i32


def normal(family, name, shape):
    return f32(family.random(name).normal(size=shape))


def distinct(family, name, shape):
    count = int(np.prod(shape))
    return f32((family.random(name).permutation(count) - count / 2).reshape(shape) * 0.37)


def build():
    family = Family("movement")
    views(family)
    slices(family)
    pads(family)
    joins(family)
    gathers(family)
    scatters(family)
    orders(family)
    return family


def views(family):
    def reshape(label, x, shape):
        family.case(f"reshape_{label}", "reshape", lambda x: x.reshape(shape), [x], {"shape": shape})

    for label, source, shape in [
        ("flatten", (2, 3, 5), [30]),
        ("split", (12,), [2, 1, 6]),
        ("rank_4", (6, 4), [2, 3, 2, 2]),
        ("to_rank_0", (1, 1), []),
        ("from_rank_0", (), [1, 1, 1]),
        ("size_0", (0, 3), [2, 0, 5]),
    ]:
        reshape(label, normal(family, f"reshape_{label}", source), shape)
    reshape("i32", i32(np.arange(6)), [3, 2])
    reshape("bool", np.arange(6) % 3 == 0, [2, 3])

    def permute(label, x, axes):
        family.case(f"permute_{label}", "permute", lambda x: x.permute(axes), [x], {"axes": axes})

    for label, source, axes in [
        ("transpose", (3, 5), [1, 0]),
        ("identity", (3, 5), [0, 1]),
        ("last_two", (2, 3, 4), [0, 2, 1]),
        ("cycle", (2, 3, 4), [2, 0, 1]),
        ("heads", (2, 3, 2, 4), [0, 2, 1, 3]),
        ("reverse", (2, 3, 1, 4), [3, 2, 1, 0]),
        ("rank_1", (4,), [0]),
        ("rank_0", (), []),
        ("size_0", (0, 3, 2), [2, 0, 1]),
        ("tiles", (33, 17), [1, 0]),
    ]:
        permute(label, normal(family, f"permute_{label}", source), axes)
    permute("i32", i32(np.arange(6).reshape(2, 3)), [1, 0])

    for label, source, shape in [
        ("row", (3,), [4, 3]),
        ("column", (4, 1), [4, 3]),
        ("scalar", (), [2, 3]),
        ("middle", (1, 3, 1), [2, 3, 4]),
        ("rank_4", (2, 1, 3), [2, 2, 5, 3]),
        ("same", (2, 3), [2, 3]),
        ("size_1", (1,), [1, 1]),
        ("to_size_0", (1, 3), [0, 3]),
    ]:
        name = f"broadcast_to_{label}"
        x = normal(family, name, source)
        family.case(name, "broadcast_to", lambda x, shape=shape: x.broadcast_to(shape), [x], {"shape": shape})

    for label, source, axes in [
        ("line", (5,), [0]),
        ("rows", (3, 4), [0]),
        ("both", (3, 4), [0, 1]),
        ("rank_4", (2, 3, 2, 3), [1, 3]),
        ("size_1", (1, 1), [1]),
        ("size_0", (0, 3), [1]),
    ]:
        name = f"flip_{label}"
        x = normal(family, name, source)
        family.case(name, "flip", lambda x, axes=axes: x.flip(axes), [x], {"axes": axes})


def slices(family):
    def case(label, x, *parts):
        starts, stops, steps = zip(
            *(part.indices(size) for part, size in zip(parts, x.shape, strict=True)), strict=True
        )
        ranges = [range(*triple) for triple in zip(starts, stops, steps, strict=True)]
        want = x[parts]

        def function(x):
            for axis, indices in enumerate(ranges):
                x = x.index_select(axis, torch.tensor(list(indices), dtype=torch.int64))
            return x

        if not np.array_equal(function(torch.from_numpy(x)).numpy(), want):
            raise ValueError(f"slice_{label} is not NumPy's")
        attributes = {
            "starts": list(starts),
            "stops": list(stops),
            "steps": list(steps),
            "lengths": [len(indices) for indices in ranges],
        }
        family.case(f"slice_{label}", "slice", function, [x], attributes)

    whole = slice(None)
    for label, shape, parts in [
        ("line", (7,), [slice(2, 5)]),
        ("step_2", (7,), [slice(0, 7, 2)]),
        ("step_3_loose", (8,), [slice(1, 8, 3)]),
        ("step_past_end", (5,), [slice(1, 5, 10)]),
        ("reverse", (5,), [slice(None, None, -1)]),
        ("reverse_step_2", (6,), [slice(None, None, -2)]),
        ("reverse_part", (8,), [slice(6, 1, -3)]),
        ("rows", (5, 3), [slice(1, 4), whole]),
        ("columns", (3, 5), [whole, slice(1, 5, 2)]),
        ("both", (5, 7), [slice(4, None, -2), slice(1, 6, 2)]),
        ("rank_3", (2, 5, 3), [slice(1, 2), slice(0, 5, 2), slice(None, None, -1)]),
        ("rank_4", (2, 3, 4, 3), [whole, slice(1, 3), slice(0, 4, 3), slice(2, 0, -1)]),
        ("single", (4, 4), [slice(3, 4), slice(0, 1)]),
        ("empty", (4, 3), [slice(2, 2), whole]),
        ("whole", (3, 2), [whole, whole]),
        ("size_0", (0, 3), [whole, slice(0, 2)]),
    ]:
        case(label, normal(family, f"slice_{label}", shape), *parts)
    case("i32", i32(np.arange(10)), slice(8, 0, -3))
    case("bool", np.arange(10) % 3 == 0, slice(1, 9, 2))


def pads(family):
    def case(label, x, low, high, value):
        widths = [width for pair in reversed(list(zip(low, high, strict=True))) for width in pair]
        family.case(
            f"pad_{label}", "pad", lambda x: F.pad(x, widths, value=value), [x],
            {"low": low, "high": high, "value": value},
        )  # fmt: skip

    for label, shape, low, high, value in [
        ("line", (3,), [2], [1], 0.0),
        ("rows", (2, 3), [1, 0], [2, 0], 1.5),
        ("around", (3, 2), [1, 2], [1, 3], -1.0),
        ("rank_4", (1, 2, 3, 2), [0, 0, 1, 1], [0, 0, 1, 1], 0.0),
        ("rank_3_low", (2, 2, 2), [1, 1, 1], [0, 0, 0], 7.0),
        ("nothing", (2, 2), [0, 0], [0, 0], 3.0),
        ("from_size_0", (0, 2), [1, 0], [1, 1], 2.5),
    ]:
        case(label, normal(family, f"pad_{label}", shape), low, high, value)
    case("large_value", f32([1, 2]), [1], [1], -1e30)
    case("i32", i32([[1, 2], [3, 4]]), [0, 1], [1, 0], -1)


def joins(family):
    for label, shapes, axis in [
        ("lines", [(3,), (2,)], 0),
        ("rows", [(2, 3), (1, 3), (3, 3)], 0),
        ("columns", [(3, 2), (3, 5)], 1),
        ("middle", [(2, 1, 3), (2, 2, 3)], 1),
        ("rank_4", [(1, 2, 2, 1), (1, 2, 2, 3)], 3),
        ("one", [(2, 2)], 0),
        ("with_size_0", [(2, 3), (0, 3), (1, 3)], 0),
        ("many", [(1, 2)] * 9, 0),
    ]:
        inputs = [normal(family, f"concat_{label}{i}", shape) for i, shape in enumerate(shapes)]
        family.case(f"concat_{label}", "concat", lambda *xs, axis=axis: torch.cat(xs, axis), inputs, {"axis": axis})
    family.case("concat_i32", "concat", lambda *xs: torch.cat(xs, 0), [i32([1, 2]), i32([3])], {"axis": 0})

    for label, shape, count, axis in [
        ("first", (3, 2), 3, 0),
        ("last", (3, 2), 2, 2),
        ("middle", (3, 2), 2, 1),
        ("rank_0", (), 4, 0),
        ("one", (2,), 1, 0),
        ("rank_3", (2, 1, 3), 2, 3),
        ("size_0", (0,), 2, 0),
    ]:
        inputs = [normal(family, f"stack_{label}{i}", shape) for i in range(count)]
        family.case(f"stack_{label}", "stack", lambda *xs, axis=axis: torch.stack(xs, axis), inputs, {"axis": axis})

    for label, shape, axis, sizes in [
        ("line", (7,), 0, [3, 4]),
        ("rows", (6, 2), 0, [1, 2, 3]),
        ("columns", (2, 6), 1, [2, 2, 2]),
        ("middle", (2, 5, 3), 1, [1, 4]),
        ("rank_4", (1, 2, 2, 4), 3, [3, 1]),
        ("one", (3, 2), 1, [2]),
        ("with_size_0", (3, 2), 0, [0, 3]),
    ]:
        name = f"split_{label}"
        family.case(
            name, "split", lambda x, sizes=sizes, axis=axis: torch.split(x, sizes, axis),
            [normal(family, name, shape)], {"axis": axis, "sizes": sizes},
        )  # fmt: skip

    for label, shapes in {
        "same": ((3, 4), (3, 4), (3, 4)),
        "broadcast": ((4,), (3, 1), ()),
        "rank_4": ((2, 1, 3, 1), (1, 2, 1, 4), (3, 4)),
    }.items():
        random = family.random(f"where_{label}")
        inputs = [
            random.random(shapes[0]) < 0.5,
            f32(random.normal(size=shapes[1])),
            f32(random.normal(size=shapes[2])),
        ]
        family.case(f"where_{label}", "where", torch.where, inputs)


def gathers(family):
    for label, shape, index_shape, axis in [
        ("line", (5,), (8,), 0),
        ("rows", (3, 5), (3, 4), 1),
        ("columns", (5, 3), (7, 3), 0),
        ("middle", (2, 4, 3), (2, 6, 3), 1),
        ("rank_4", (2, 3, 2, 2), (2, 5, 2, 2), 1),
        ("one_choice", (4, 6), (4, 1), 1),
        ("smaller_index", (4, 5), (2, 3), 1),
        ("size_0_index", (3, 2), (0, 2), 0),
    ]:
        name = f"gather_{label}"
        index = i32(family.random(f"{name}_index").integers(0, shape[axis], index_shape))
        family.case(
            name, "gather", lambda x, index, axis=axis: torch.gather(x, axis, index.long()),
            [normal(family, name, shape), index], {"axis": axis},
        )  # fmt: skip
    index = i32([[2, 2, 2, 2], [0, 0, 1, 0]])
    x = normal(family, "gather_repeats", (2, 3))
    family.case("gather_repeats", "gather", lambda x, i: torch.gather(x, 1, i.long()), [x, index], {"axis": 1})
    integers = i32([[10, 20, 30], [40, 50, 60]])
    family.case("gather_i32", "gather", lambda x, i: torch.gather(x, 1, i.long()), [integers, index], {"axis": 1})

    for label, shape, count, axis in [
        ("rows", (5, 3), 4, 0),
        ("columns", (3, 5), 7, 1),
        ("line", (6,), 3, 0),
        ("middle", (2, 4, 3), 5, 1),
        ("rank_4", (2, 3, 2, 2), 4, 2),
        ("embedding", (11, 8), 19, 0),
        ("size_0", (3, 2), 0, 0),
    ]:
        name = f"index_select_{label}"
        index = i32(family.random(f"{name}_index").integers(0, shape[axis], (count,)))
        family.case(
            name, "index_select", lambda x, index, axis=axis: torch.index_select(x, axis, index),
            [normal(family, name, shape), index], {"axis": axis},
        )  # fmt: skip

    for label, index, classes in [
        ("line", i32([0, 2, 1, 2]), 3),
        ("rank_2", i32([[0, 4, 4], [3, 1, 0]]), 6),
        ("rank_0", i32(2), 4),
        ("one_class", i32([0, 0]), 1),
        ("size_0", i32(np.zeros((0,))), 3),
    ]:
        family.case(
            f"one_hot_{label}", "one_hot", lambda i, classes=classes: F.one_hot(i.long(), classes), [index],
            {"classes": classes},
        )  # fmt: skip


def scatters(family):
    for label, shape, index_shape, axis in [
        ("line", (4,), (9,), 0),
        ("rows", (3, 5), (3, 8), 1),
        ("columns", (5, 3), (7, 3), 0),
        ("middle", (2, 4, 3), (2, 6, 3), 1),
        ("rank_4", (2, 3, 2, 2), (2, 5, 2, 2), 1),
        ("smaller_index", (4, 5), (2, 3), 1),
        ("size_0_index", (3, 2), (0, 2), 0),
    ]:
        name = f"scatter_add_{label}"
        index = i32(family.random(f"{name}_index").integers(0, shape[axis], index_shape))
        family.case(
            name, "scatter_add", lambda b, i, s, axis=axis: torch.scatter_add(b, axis, i.long(), s),
            [normal(family, name, shape), index, normal(family, f"{name}_source", index_shape)], {"axis": axis},
        )  # fmt: skip
    # Every source at one index: what an implementation with races gets wrong first.
    inputs = [f32([1, 2, 3]), i32(np.full(257, 1)), normal(family, "scatter_add_collisions", (257,))]
    family.case(
        "scatter_add_collisions", "scatter_add", lambda b, i, s: b.scatter_add(0, i.long(), s), inputs, {"axis": 0}
    )

    for label, shape, count, axis in [
        ("rows", (5, 3), 8, 0),
        ("columns", (3, 5), 4, 1),
        ("line", (3,), 7, 0),
        ("middle", (2, 4, 3), 5, 1),
        ("rank_4", (2, 3, 2, 2), 4, 2),
        ("embedding", (11, 8), 19, 0),
        ("size_0", (3, 2), 0, 0),
    ]:
        name = f"index_add_{label}"
        index = i32(family.random(f"{name}_index").integers(0, shape[axis], (count,)))
        source_shape = shape[:axis] + (count,) + shape[axis + 1 :]
        family.case(
            name, "index_add", lambda b, i, s, axis=axis: torch.index_add(b, axis, i, s),
            [normal(family, name, shape), index, normal(family, f"{name}_source", source_shape)], {"axis": axis},
        )  # fmt: skip
        if count <= shape[axis]:
            # PyTorch leaves open which of several values for one position stays.
            name = f"index_copy_{label}"
            index = i32(family.random(f"{name}_index").permutation(shape[axis])[:count])
            family.case(
                name, "index_copy", lambda b, i, s, axis=axis: torch.index_copy(b, axis, i.long(), s),
                [normal(family, name, shape), index, normal(family, f"{name}_source", source_shape)], {"axis": axis},
            )  # fmt: skip


def orders(family):
    for label, shape, k, axis in [
        ("line", (9,), 4, 0),
        ("rows", (3, 7), 2, 1),
        ("columns", (7, 3), 3, 0),
        ("middle", (2, 5, 3), 2, 1),
        ("all", (2, 4), 4, 1),
        ("one", (3, 5), 1, 1),
        ("rank_4", (2, 2, 2, 3), 2, 3),
        ("long", (2, 300), 7, 1),
    ]:
        name = f"top_k_{label}"
        family.case(
            name, "top_k", lambda x, k=k, axis=axis: tuple(torch.topk(x, k, axis, largest=True, sorted=True)),
            [distinct(family, name, shape)], {"k": k, "axis": axis},
        )  # fmt: skip
    for label, shape, axis in [
        ("line", (9,), 0),
        ("rows", (3, 7), 1),
        ("columns", (7, 3), 0),
        ("middle", (2, 5, 3), 1),
        ("rank_4", (2, 2, 2, 3), 2),
        ("one_element", (1,), 0),
        ("long", (2, 300), 1),
        ("size_0", (0, 3), 1),
    ]:
        for descending in (False, True):
            name = f"sort_{label}" + "_descending" * descending
            family.case(
                name, "sort",
                lambda x, a=axis, d=descending: tuple(torch.sort(x, dim=a, descending=d, stable=True)),
                [distinct(family, name, shape)], {"axis": axis, "descending": descending},
            )  # fmt: skip
