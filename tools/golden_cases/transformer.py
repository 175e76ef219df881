"""Multi-head attention, encoder and decoder layers and a stack, as PyTorch's modules have them, with the gradients of inputs and parameters."""

import torch
from torch import nn
from torch.func import functional_call

from .family import Family, f32

WIDTH, HEADS, FEED_FORWARD = 8, 2, 12


def padding(lengths, keys):
    return torch.arange(keys)[None, :] >= torch.tensor(lengths)[:, None]


def causal(length):
    return torch.triu(torch.ones(length, length, dtype=torch.bool), 1)


def build():
    family = Family("transformer")

    def case(name, kind, module, shapes, call, **attributes):
        random = family.random(name)
        parameters = {key: f32(random.normal(size=tuple(value.shape)) * 0.4) for key, value in module.named_parameters()}
        # Weights of normalisations are near 1.
        for key in parameters:
            if key.startswith("norm") or ".norm" in key:
                parameters[key] += f32(1.0 if key.endswith("weight") else 0.0)
        inputs = [f32(random.normal(size=shape)) for shape in shapes]

        def function(*tensors):
            values = dict(zip(parameters, tensors[len(shapes) :], strict=True))
            return call(lambda *arguments, **options: functional_call(module, values, arguments, options), *tensors[: len(shapes)])

        module.train()
        family.case(name, kind, function, inputs + list(parameters.values()), {"parameters": list(parameters), "inputs": len(shapes), **attributes})

    def attention(name, shapes, lengths=None, is_causal=False, bias=True, **widths):
        module = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, bias=bias, **widths)

        def call(run, x, keys=None, values=None):
            keys = x if keys is None else keys
            values = keys if values is None else values
            options = {"key_padding_mask": padding(lengths, keys.shape[1]) if lengths else None}
            if is_causal:
                options["attn_mask"] = causal(x.shape[1])
            return run(x, keys, values, need_weights=False, **options)[0]

        case(name, "attention", module, shapes, call, lengths=lengths, causal=is_causal, bias=bias, **widths)

    attention("attention_self", [(2, 5, WIDTH)])
    attention("attention_causal", [(2, 5, WIDTH)], is_causal=True)
    attention("attention_without_bias", [(2, 5, WIDTH)], bias=False)
    attention("attention_lengths", [(3, 5, WIDTH)], lengths=[5, 2, 1])
    attention("attention_memory", [(2, 4, WIDTH), (2, 6, WIDTH)], lengths=[6, 3])
    attention("attention_three", [(2, 4, WIDTH), (2, 6, WIDTH), (2, 6, WIDTH)])
    attention("attention_widths", [(2, 4, WIDTH), (2, 6, 5), (2, 6, 3)], kdim=5, vdim=3)

    def options(norm_first, activation, bias=True):
        return {"dim_feedforward": FEED_FORWARD, "dropout": 0.0, "activation": activation, "batch_first": True,
                "norm_first": norm_first, "bias": bias}  # fmt: skip

    def encoder(name, lengths=None, is_causal=False, norm_first=False, activation="relu", bias=True, layers=None):
        module = nn.TransformerEncoderLayer(WIDTH, HEADS, **options(norm_first, activation, bias))
        if layers:
            norm = nn.LayerNorm(WIDTH) if norm_first else None
            module = nn.TransformerEncoder(module, layers, norm=norm, enable_nested_tensor=False)

        def call(run, x):
            mask = {"mask" if layers else "src_mask": causal(x.shape[1])} if is_causal else {}
            return run(x, src_key_padding_mask=padding(lengths, x.shape[1]) if lengths else None, **mask)

        case(name, "encoder_stack" if layers else "encoder", module, [(2, 5, WIDTH)], call, lengths=lengths, causal=is_causal, norm_first=norm_first,
             activation=activation, bias=bias, layers=layers or 1)  # fmt: skip

    encoder("encoder")
    encoder("encoder_lengths", lengths=[3, 5])
    encoder("encoder_causal_gelu", is_causal=True, activation="gelu")
    encoder("encoder_norm_first", norm_first=True, lengths=[5, 2])
    encoder("encoder_without_bias", bias=False)
    encoder("encoder_stack", layers=2, lengths=[3, 5])
    encoder("encoder_stack_norm_first", layers=2, norm_first=True, is_causal=True)

    def decoder(name, lengths=None, memory_lengths=None, norm_first=False, activation="relu"):
        module = nn.TransformerDecoderLayer(WIDTH, HEADS, **options(norm_first, activation))

        def call(run, x, memory):
            return run(x, memory, tgt_mask=causal(x.shape[1]),
                       tgt_key_padding_mask=padding(lengths, x.shape[1]) if lengths else None,
                       memory_key_padding_mask=padding(memory_lengths, memory.shape[1]) if memory_lengths else None)  # fmt: skip

        case(name, "decoder", module, [(2, 4, WIDTH), (2, 6, WIDTH)], call, lengths=lengths, memory_lengths=memory_lengths, norm_first=norm_first,
             activation=activation)  # fmt: skip

    decoder("decoder")
    decoder("decoder_lengths", lengths=[4, 2], memory_lengths=[3, 6])
    decoder("decoder_norm_first_gelu", norm_first=True, activation="gelu")

    class Tied(nn.Module):
        """Words that are told by the vectors that they are read as."""

        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(7, WIDTH)
            self.head = nn.Linear(WIDTH, 7)
            self.head.weight = self.words.weight

        def forward(self, x, indices):
            return self.head(torch.tanh(self.words(indices) + x))

    indices = [[0, 3, 3], [6, 1, 3]]
    case("tied", "tied", Tied(), [(2, 3, WIDTH)], lambda run, x: run(x, torch.tensor(indices)), indices=sum(indices, []))

    return family
