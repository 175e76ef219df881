"""Scaled dot-product attention: PyTorch's own where it has the mask, else its formula with the scores changed as FlexAttention would.

A query of these cases sees a key at least: PyTorch gives NaN for others.
"""

import numpy as np
import torch
import torch.nn.functional as F

from .family import Family, f32, i32

# Batch, heads, key heads, queries, keys, head size, value size.
PLAIN = {
    "one": (1, 1, 1, 1, 1, 1, 1),
    "self": (2, 3, 3, 7, 7, 4, 4),
    "cross": (2, 2, 2, 5, 9, 6, 3),
    "grouped": (1, 6, 2, 5, 8, 4, 4),
    "multi_query": (2, 4, 1, 3, 6, 4, 5),
    "many_keys": (1, 2, 1, 3, 140, 4, 4),
    "wide": (1, 1, 1, 4, 5, 72, 40),
}


def reference(change):
    """softmax(change(q kᵀ / √d, indices, buffers)) v"""

    def function(q, k, v, *buffers):
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        indices = [torch.arange(n).reshape([-1 if i == axis else 1 for i in range(4)]) for axis, n in enumerate(scores.shape)]
        return change(scores, indices, *buffers).softmax(-1) @ v

    return function


def seen(scores, condition):
    return scores.masked_fill(~condition, float("-inf"))


def build():
    family = Family("attention")

    def tensors(name, sizes):
        batch, heads, key_heads, queries, keys, size, value_size = sizes
        random = family.random(name)
        shapes = [(batch, heads, queries, size), (batch, key_heads, keys, size), (batch, key_heads, keys, value_size)]
        return random, [f32(random.normal(size=shape)) for shape in shapes]

    def case(name, score, sizes, function, buffers=lambda random: [], **attributes):
        random, inputs = tensors(name, sizes)
        family.case(name, "attention", function, inputs + buffers(random), {"score": score, **attributes})

    for label, sizes in PLAIN.items():
        grouped = sizes[1] != sizes[2]
        case(f"plain_{label}", "plain", sizes, lambda q, k, v, g=grouped: F.scaled_dot_product_attention(q, k, v, enable_gqa=g))
    case("scale", "plain", PLAIN["self"], lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=0.7), scale=0.7)
    for label in ("self", "many_keys"):
        batch, heads, _, _, keys, size, value_size = PLAIN[label]
        square = (batch, heads, heads, min(keys, 45), min(keys, 45), size, value_size)
        case(f"causal_{label}", "causal", square, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True))
    case("causal_from", "causal_from", (2, 2, 1, 3, 9, 4, 4), reference(lambda s, at: seen(s, at[3] <= at[2] + 6)), offset=6)
    case("window", "window", (1, 2, 2, 12, 12, 4, 4), reference(lambda s, at: seen(s, (at[3] - at[2] >= -3) & (at[3] - at[2] <= 1))),
         before=3, after=1)  # fmt: skip
    case("prefix", "prefix", (1, 2, 2, 9, 9, 4, 4), reference(lambda s, at: seen(s, (at[3] < 4) | (at[3] <= at[2]))), length=4)
    case("soft_cap", "soft_cap", PLAIN["cross"], reference(lambda s, at: 0.8 * torch.tanh(s / 0.8)), limit=0.8)
    case("alibi", "alibi", (2, 4, 4, 6, 6, 4, 4), reference(lambda s, at, slopes: s + slopes * (at[3] - at[2])),
         lambda random: [f32(2.0 ** -np.arange(1, 5)).reshape(1, 4, 1, 1)])  # fmt: skip
    documents = i32([[0, 0, 0, 1, 1, 2, 2, 2, 2], [0, 1, 1, 1, 1, 1, 2, 3, 3]])
    case("documents", "documents", (2, 2, 1, 9, 9, 4, 4), reference(lambda s, at, a, b: seen(s, a == b)),
         lambda random: [documents.reshape(2, 1, 9, 1), documents.reshape(2, 1, 1, 9)])  # fmt: skip
    case("lengths", "lengths", (3, 2, 2, 4, 6, 4, 4), reference(lambda s, at, n: seen(s, at[3] < n.reshape(-1, 1, 1, 1))),
         lambda random: [i32([6, 1, 4])])  # fmt: skip
    for label, shape in {"full": (2, 2, 5, 9), "heads": (1, 2, 5, 9), "queries": (5, 9), "keys": (2, 1, 1, 9)}.items():
        case(f"bias_{label}", "bias", PLAIN["cross"], lambda q, k, v, bias: F.scaled_dot_product_attention(q, k, v, attn_mask=bias),
             lambda random, shape=shape: [f32(random.normal(size=shape))])  # fmt: skip
    return family
