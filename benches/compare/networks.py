"""The networks of `src/bench/networks` in plain PyTorch, with the same names of parameters."""

import math

import torch
import torch.nn.functional as F
from torch import nn

TINY_LLAMA = {"vocabulary": 64, "layers": 2, "width": 32, "heads": 4, "key_value_heads": 2, "inner": 48, "rotary_base": 100_000.0}
TINY_RESNET = {"blocks": [1, 2, 1, 1], "width": 4, "classes": 10}
TINY_WHISPER = {"vocabulary": 64, "layers": 2, "width": 32, "heads": 4, "longest": 16, "frequencies": 8}


class Attention(nn.Module):
    """Heads with a joint product of queries, keys and values; keys and values may have fewer heads."""

    def __init__(self, width, heads, key_value_heads=None, bias=True):
        super().__init__()
        self.heads, self.groups, self.size = heads, key_value_heads or heads, width // heads
        self.widths = [width, self.groups * self.size, self.groups * self.size]
        self.in_proj_weight = nn.Parameter(torch.empty(sum(self.widths), width))
        nn.init.xavier_uniform_(self.in_proj_weight)
        self.in_proj_bias = nn.Parameter(torch.zeros(sum(self.widths))) if bias else None
        self.out_proj = nn.Linear(width, width, bias=bias)

    def by_heads(self, x):
        return x.unflatten(2, (-1, self.size)).transpose(1, 2)

    def forward(self, x, memory=None, causal=False, turn=None, cache=None):
        if memory is None:
            q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).split(self.widths, 2)
        else:
            width = self.widths[0]
            bias = self.in_proj_bias
            q = F.linear(x, self.in_proj_weight[:width], bias[:width])
            k, v = F.linear(memory, self.in_proj_weight[width:], bias[width:]).split(self.widths[1:], 2)
        q, k, v = self.by_heads(q), self.by_heads(k), self.by_heads(v)
        if turn is not None:
            q, k = turn(q), turn(k)
        if cache is not None:
            keys, values, position = cache
            keys[:, :, position : position + k.shape[2]] = k
            values[:, :, position : position + v.shape[2]] = v
            k, v = keys[:, :, : position + k.shape[2]], values[:, :, : position + v.shape[2]]
        found = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=self.groups != self.heads)
        return self.out_proj(found.transpose(1, 2).flatten(2))


class SwiGlu(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaLayer(nn.Module):
    def __init__(self, width, heads, key_value_heads, inner):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(width, eps=1e-5)
        self.self_attn = Attention(width, heads, key_value_heads, bias=False)
        self.post_attention_layernorm = nn.RMSNorm(width, eps=1e-5)
        self.mlp = SwiGlu(width, inner)

    def forward(self, x, **options):
        x = x + self.self_attn(self.input_layernorm(x), **options)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    def __init__(self, vocabulary=49_152, layers=30, width=576, heads=9, key_value_heads=3, inner=1536, rotary_base=100_000.0, longest=2048):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embed_tokens.weight, std=width**-0.5)
        self.layers = nn.ModuleList(LlamaLayer(width, heads, key_value_heads, inner) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=1e-5)
        size = width // heads
        rates = rotary_base ** (-torch.arange(0, size, 2).double() / size)
        angles = torch.arange(longest).double()[:, None] * rates
        self.register_buffer("cosines", angles.cos().float(), persistent=False)
        self.register_buffer("sines", angles.sin().float(), persistent=False)

    def forward(self, tokens, caches=None, position=0):
        length = tokens.shape[1]
        cosines, sines = (table[position : position + length] for table in (self.cosines, self.sines))

        def turn(x):
            first, second = x.chunk(2, 3)
            return torch.cat([first * cosines - second * sines, second * cosines + first * sines], 3)

        x = self.embed_tokens(tokens)
        for index, layer in enumerate(self.layers):
            cache = None if caches is None else (*caches[index], position)
            x = layer(x, causal=length > 1, turn=turn, cache=cache)
        return F.linear(self.norm(x), self.embed_tokens.weight)

    def caches(self, capacity):
        """Room for the keys and values of a sequence, in each layer."""
        attention = self.layers[0].self_attn
        return [[torch.zeros(1, attention.groups, capacity, attention.size) for _ in range(2)] for _ in self.layers]


class Bottleneck(nn.Module):
    def __init__(self, before, channels, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, channels, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv3, self.bn3 = nn.Conv2d(channels, 4 * channels, 1, bias=False), nn.BatchNorm2d(4 * channels)
        self.downsample = None
        if stride != 1 or before != 4 * channels:
            self.downsample = nn.Sequential(nn.Conv2d(before, 4 * channels, 1, stride, bias=False), nn.BatchNorm2d(4 * channels))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class ResNet(nn.Module):
    def __init__(self, blocks=(3, 4, 6, 3), width=64, classes=1000):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        before = width
        for stage, count in enumerate(blocks):
            channels, made = width << stage, []
            for block in range(count):
                made.append(Bottleneck(before, channels, 2 if stage > 0 and block == 0 else 1))
                before = 4 * channels
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
        self.fc = nn.Linear(before, classes)

    def forward(self, images):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images)), inplace=True), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class WhisperLayer(nn.Module):
    def __init__(self, width, heads, decodes):
        super().__init__()
        self.self_attn, self.decodes = Attention(width, heads), decodes
        if decodes:
            self.multihead_attn, self.norm3 = Attention(width, heads), nn.LayerNorm(width)
        self.linear1, self.linear2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, memory=None):
        x = x + self.self_attn(self.norm1(x), causal=self.decodes)
        last = self.norm2
        if self.decodes:
            x = x + self.multihead_attn(self.norm2(x), memory)
            last = self.norm3
        return x + self.linear2(F.gelu(self.linear1(last(x))))


class Stack(nn.Module):
    def __init__(self, layers, width, heads, decodes):
        super().__init__()
        self.layers = nn.ModuleList(WhisperLayer(width, heads, decodes) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x, memory=None):
        for layer in self.layers:
            x = layer(x, memory)
        return self.norm(x)


class Whisper(nn.Module):
    def __init__(self, vocabulary=51_865, layers=4, width=384, heads=6, longest=448, frequencies=80):
        super().__init__()
        self.encoder = Stack(layers, width, heads, decodes=False)
        self.encoder.conv1 = nn.Conv1d(frequencies, width, 3, padding=1)
        self.encoder.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.decoder = Stack(layers, width, heads, decodes=True)
        self.decoder.embed_tokens = nn.Embedding(vocabulary, width)
        self.decoder.embed_positions = nn.Embedding(longest, width)
        for table in (self.decoder.embed_tokens, self.decoder.embed_positions):
            nn.init.normal_(table.weight, std=0.02)
        self.width, self.tables = width, {}

    def sinusoids(self, length, dtype):
        if (length, dtype) not in self.tables:
            half = self.width // 2
            rates = torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half).double())
            angles = torch.arange(length).double()[:, None] * rates
            self.tables[length, dtype] = torch.cat([angles.sin(), angles.cos()], 1).to(torch.float32).to(dtype)
        return self.tables[length, dtype]

    def forward(self, sound, tokens):
        x = F.gelu(self.encoder.conv2(F.gelu(self.encoder.conv1(sound)))).transpose(1, 2)
        memory = self.encoder(x + self.sinusoids(x.shape[1], x.dtype))
        x = self.decoder.embed_tokens(tokens) + self.decoder.embed_positions.weight[: tokens.shape[1]]
        return F.linear(self.decoder(x, memory), self.decoder.embed_tokens.weight)


def loss(logits, labels):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))
