"""A small BERT as an encoder of sentences: layer by layer in PyTorch's functions, under the names of Hugging Face's files.

Parameters and tokens follow from formulas that the Rust test repeats (`networks.value`), so only the sentences' vectors are stored.
"""

import torch
import torch.nn.functional as F

from .family import Family
from .networks import TOKENS, integers, value

VOCABULARY, POSITIONS, WIDTH, INNER, HEADS, LAYERS, EPS = 50, 16, 32, 64, 4, 2, 1e-12
LENGTHS = [9, 2, 5]


def shapes():
    found = {
        "embeddings.word_embeddings.weight": (VOCABULARY, WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
    }
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}."
        for part in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]:
            found[name + part + ".weight"], found[name + part + ".bias"] = (WIDTH, WIDTH), (WIDTH,)
        found[name + "intermediate.dense.weight"], found[name + "intermediate.dense.bias"] = (INNER, WIDTH), (INNER,)
        found[name + "output.dense.weight"], found[name + "output.dense.bias"] = (WIDTH, INNER), (WIDTH,)
        for part in ["attention.output.LayerNorm", "output.LayerNorm"]:
            found[name + part + ".weight"], found[name + part + ".bias"] = (WIDTH,), (WIDTH,)
    return found


def build():
    family = Family("sentences")
    p = {name: torch.tensor(value(name, shape)).float().double() for name, shape in shapes().items()}
    tokens, lengths = integers(TOKENS, (len(LENGTHS), max(LENGTHS)), VOCABULARY), torch.tensor(LENGTHS)
    is_token = torch.arange(tokens.shape[1])[None, :] < lengths[:, None]

    def product(x, name):
        return F.linear(x, p[name + ".weight"], p[name + ".bias"])

    def norm(x, name):
        return F.layer_norm(x, (WIDTH,), p[name + ".weight"], p[name + ".bias"], EPS)

    def heads(x):
        return x.unflatten(2, (HEADS, -1)).transpose(1, 2)

    x = p["embeddings.word_embeddings.weight"][tokens] + p["embeddings.position_embeddings.weight"][: tokens.shape[1]]
    x = norm(x + p["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}."
        q, k, v = (heads(product(x, f"{name}attention.self.{part}")) for part in ["query", "key", "value"])
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=is_token[:, None, None, :])
        found = product(found.transpose(1, 2).flatten(2), name + "attention.output.dense")
        x = norm(x + found, name + "attention.output.LayerNorm")
        inner = F.gelu(product(x, name + "intermediate.dense"))
        x = norm(x + product(inner, name + "output.dense"), name + "output.LayerNorm")
    counted = is_token[:, :, None].double()
    vectors = F.normalize((x * counted).sum(1) / counted.sum(1))
    family.record("small", "bert", {"lengths": LENGTHS}, vectors=family.store("small/vectors", vectors.numpy()))
    return family
