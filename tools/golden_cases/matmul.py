"""Matrix products of every rank that torch.matmul takes, and the linear layer's product."""

import torch
import torch.nn.functional as F

from .family import Family, f32

SHAPES = {
    "dot": ((5,), (5,)),
    "dot_long": ((1031,), (1031,)),
    "vector_matrix": ((5,), (5, 3)),
    "vector_batch": ((4,), (2, 4, 3)),
    "matrix_vector": ((3, 5), (5,)),
    "batch_vector": ((2, 3, 4), (4,)),
    "one": ((1, 1), (1, 1)),
    "outer": ((3, 1), (1, 4)),
    "inner": ((1, 7), (7, 1)),
    "small": ((3, 4), (4, 2)),
    "odd": ((17, 3), (3, 17)),
    "square": ((17, 17), (17, 17)),
    "tall": ((65, 2), (2, 3)),
    "deep": ((2, 259), (259, 3)),
    "tiles": ((33, 65), (65, 129)),
    "batch": ((3, 4, 5), (3, 5, 2)),
    "batch_matrix": ((3, 4, 5), (5, 2)),
    "matrix_batch": ((4, 5), (3, 5, 2)),
    "batch_rank_4": ((2, 3, 4, 5), (2, 3, 5, 3)),
    "broadcast_batches": ((5, 1, 3, 4), (2, 4, 6)),
    "broadcast_both": ((2, 1, 3, 2), (1, 3, 2, 4)),
    "broadcast_one": ((1, 3, 4), (5, 4, 2)),
    "size_0_inner": ((3, 0), (0, 4)),
    "size_0_rows": ((0, 3), (3, 4)),
    "size_0_batch": ((0, 3, 2), (2, 4)),
    "size_0_dot": ((0,), (0,)),
}
LINEAR = {
    "rank_1": ((4,), 3),
    "rank_2": ((6, 7), 5),
    "rank_3": ((2, 3, 4), 5),
    "rank_4": ((2, 1, 3, 2), 3),
    "one": ((1, 1), 1),
    "size_0_batch": ((0, 4), 3),
    "wide": ((5, 33), 65),
}


def build():
    family = Family("matmul")
    for label, shapes in SHAPES.items():
        random = family.random(label)
        family.case(f"matmul_{label}", "matmul", torch.matmul, [f32(random.normal(size=shape)) for shape in shapes])
    random = family.random("extremes")
    scaled = [f32(random.normal(size=(4, 6)) * 1e15), f32(random.normal(size=(6, 3)) * 1e-15)]
    family.case("matmul_extremes", "matmul", torch.matmul, scaled)
    for label, (shape, out) in LINEAR.items():
        random = family.random(f"linear_{label}")
        inputs = [f32(random.normal(size=size)) for size in (shape, (out, shape[-1]), (out,))]
        family.case(f"linear_{label}", "linear", F.linear, inputs)
    return family
