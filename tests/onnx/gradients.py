#!/usr/bin/env python3
"""`wgrad grad` and `wgrad fit` against PyTorch, on models that PyTorch exports.

Exports small models of all layer kinds with torch.onnx.export, by both of its exporters, and compares what `wgrad grad --jobs`
says with torch.autograd: the gradients of all float inputs, and of all parameters that the file keeps under their names (rtol 1e-3,
atol 1e-5). Then it trains a CNN and an LSTM for 20 steps with `wgrad fit`, and compares the losses (1e-4 relative). Models of
operators that the importer does not know are listed as such. Exit status 1 where something differs.

    python tests/onnx/gradients.py [--device cpu|gpu] [--filter TEXT] [--binary target/release/wgrad] [--no-fit]

Wants the packages torch, onnx, onnxscript, numpy and safetensors.
"""

import argparse
import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnx
import torch
from safetensors.numpy import load_file, save_file
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)

RTOL, ATOL = 1e-3, 1e-5


class Fn(nn.Module):
    """A function of its inputs, with parameters of these shapes after them."""

    def __init__(self, function, *shapes):
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList(nn.Parameter(0.5 * torch.randn(shape)) for shape in shapes)

    def forward(self, *inputs):
        return self.function(*inputs, *self.weights)


def x(*shape):
    return torch.randn(*shape)


def ids(high, *shape):
    return torch.randint(0, high, shape)


class Recurrent(nn.Module):
    def __init__(self, layer, states=False):
        super().__init__()
        self.layer, self.states = layer, states

    def forward(self, x, *states):
        states = (states if isinstance(self.layer, nn.LSTM) else states[0]) if states else None
        y, last = self.layer(x, states)
        return (y, *last) if isinstance(last, tuple) else (y, last)


class Embedded(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.linear = nn.Embedding(10, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.linear(self.embedding(x).mean(1))


class Block(nn.Module):
    """A transformer's block, with the attention written out."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (
            part.reshape(b, t, self.heads, c // self.heads).transpose(1, 2) for part in self.qkv(self.n1(x)).chunk(3, -1)
        )
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(a.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.n2(x))))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.n = nn.BatchNorm2d(3)

    def forward(self, x):
        return F.relu(x + self.b(F.relu(self.n(self.a(x)))))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10),
    )


class LSTMClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.fc = nn.LSTM(5, 12, num_layers=2, batch_first=True), nn.Linear(12, 4)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


SEQ = nn.Sequential


def models():
    """Names, modules and inputs."""
    act = {
        "relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU(0.1), "elu": nn.ELU(0.7), "selu": nn.SELU(), "celu": nn.CELU(0.8),
        "gelu": nn.GELU(), "gelu_tanh": nn.GELU("tanh"), "silu": nn.SiLU(), "mish": nn.Mish(), "softplus": nn.Softplus(),
        "softsign": nn.Softsign(), "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "hardsigmoid": nn.Hardsigmoid(),
        "hardswish": nn.Hardswish(), "hardtanh": nn.Hardtanh(), "relu6": nn.ReLU6(), "prelu": nn.PReLU(4, 0.2),
        "logsigmoid": nn.LogSigmoid(), "softmax": nn.Softmax(-1), "log_softmax": nn.LogSoftmax(1), "glu": nn.GLU(-1),
        "threshold": nn.Threshold(0.1, -0.3), "tanhshrink": nn.Tanhshrink(),
    }
    for name, module in act.items():
        yield f"act_{name}", SEQ(nn.Linear(6, 4), module), [x(5, 6)]
    unary = {
        "exp": torch.exp, "sin": torch.sin, "cos": torch.cos, "tan": lambda a: torch.tan(a * 0.3), "atan": torch.atan,
        "asin": lambda a: torch.asin(torch.tanh(a)), "sinh": torch.sinh, "asinh": torch.asinh, "erf": torch.erf,
        "abs": torch.abs, "log": lambda a: torch.log(a * a + 1), "sqrt": lambda a: torch.sqrt(a * a + 0.5),
        "reciprocal": lambda a: 1 / (a * a + 1), "neg_square": lambda a: -(a**2), "pow": lambda a: (a * a + 1) ** 1.5,
        "rsqrt": lambda a: torch.rsqrt(a * a + 1), "clamp": lambda a: torch.clamp(a, -0.5, 0.8), "sign": lambda a: a * torch.sign(a),
        "floor": lambda a: a * torch.floor(a), "logsumexp": lambda a: torch.logsumexp(a, 1), "norm": lambda a: torch.norm(a, dim=1),
        "cumsum": lambda a: torch.cumsum(a, 1), "mean": lambda a: a.mean((0, 1)), "sum_keep": lambda a: a.sum(1, keepdim=True),
        "prod": lambda a: a.prod(1), "max": lambda a: a.max(1).values, "min": lambda a: a.min(0).values, "amax": lambda a: a.amax(1),
        "var": lambda a: a.var(1), "std": lambda a: a.std(1), "topk": lambda a: a.topk(2, 1).values, "flip": lambda a: a.flip(1),
        "roll": lambda a: a.roll(1, 1), "tril": lambda a: a.tril(), "expand": lambda a: a.unsqueeze(0).expand(3, 4, 5),
        "repeat": lambda a: a.repeat(2, 3), "slice": lambda a: a[1:, ::2], "split": lambda a: a.split(2, 1)[1],
        "permute": lambda a: a.t().reshape(2, 10), "pad": lambda a: F.pad(a, (1, 2), value=0.5),
        "pad_reflect": lambda a: F.pad(a[None], (1, 2), mode="reflect"), "unfold": lambda a: a.unsqueeze(0).unsqueeze(0).squeeze(0),
        "sort": lambda a: torch.sort(a, 1).values, "chunk_stack": lambda a: torch.stack(a.chunk(2, 0), 1),
    }
    for name, function in unary.items():
        yield f"op_{name}", Fn(lambda a, w, f=function: f(a * w), (5,)), [x(4, 5)]
    yield "op_div", Fn(lambda a, b, w: a * w / (b * b + 1), (5,)), [x(4, 5), x(4, 5)]
    yield "op_maximum", Fn(lambda a, b, w: torch.maximum(a * w, b) + torch.minimum(a, b * w), (5,)), [x(4, 5), x(4, 1)]
    yield "op_where", Fn(lambda a, b, w: torch.where(a > 0, a * w, b), (5,)), [x(4, 5), x(4, 5)]
    yield "op_matmul", Fn(lambda a, w: a @ w, (3, 5, 2)), [x(2, 3, 4, 5)]
    yield "op_einsum", Fn(lambda a, w: torch.einsum("bij,jk->bik", a, w), (5, 2)), [x(3, 4, 5)]
    yield "op_gather", Fn(lambda a, i, w: torch.gather(a * w, 1, i), (5,)), [x(4, 5), ids(5, 4, 3)]
    yield "op_index_select", Fn(lambda a, i, w: (a * w).index_select(1, i), (5,)), [x(4, 5), ids(5, 7)]
    yield "op_scatter", Fn(lambda a, i, b, w: (a * w).scatter(1, i, b), (5,)), [x(4, 5), torch.tensor([[0, 2], [1, 3], [4, 0], [2, 1]]), x(4, 2)]
    yield "op_scatter_add", Fn(lambda a, i, b, w: (a * w).scatter_add(1, i, b), (5,)), [x(4, 5), ids(5, 4, 3), x(4, 3)]
    yield "op_concat", Fn(lambda a, b, w: torch.cat([a * w, b], 0), (5,)), [x(2, 5), x(3, 5)]
    yield "op_addmm", Fn(lambda a, w, b: torch.addmm(b, a, w, alpha=0.5, beta=2.0), (5, 3), (3,)), [x(4, 5)]
    yield "linear", nn.Linear(6, 4), [x(5, 6)]
    yield "linear_3d", nn.Linear(6, 4), [x(2, 5, 6)]
    yield "bilinear", nn.Bilinear(3, 4, 2), [x(5, 3), x(5, 4)]
    yield "mlp", SEQ(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)), [x(5, 6)]
    yield "embedding", Embedded(), [ids(10, 4, 3)]
    yield "conv1d", nn.Conv1d(3, 4, 3, stride=2, padding=1), [x(2, 3, 9)]
    yield "conv2d", nn.Conv2d(3, 4, 3, padding=1), [x(2, 3, 6, 7)]
    yield "conv2d_stride", nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0), bias=False), [x(2, 3, 8, 7)]
    yield "conv2d_dilated", nn.Conv2d(3, 4, 3, dilation=2), [x(2, 3, 9, 8)]
    yield "conv2d_groups", nn.Conv2d(4, 6, 3, groups=2), [x(2, 4, 6, 6)]
    yield "conv2d_depthwise", nn.Conv2d(4, 4, 3, groups=4, padding=1), [x(2, 4, 6, 6)]
    yield "conv2d_same", nn.Conv2d(3, 4, 4, padding="same"), [x(2, 3, 6, 6)]
    yield "conv2d_reflect", nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), [x(2, 3, 6, 6)]
    yield "conv3d", nn.Conv3d(2, 3, 3, padding=1), [x(1, 2, 4, 5, 4)]
    yield "conv_transpose1d", nn.ConvTranspose1d(3, 4, 3, stride=2), [x(2, 3, 5)]
    yield "conv_transpose2d", nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), [x(2, 3, 4, 5)]
    yield "conv_transpose2d_groups", nn.ConvTranspose2d(4, 6, 3, groups=2), [x(2, 4, 4, 4)]
    yield "max_pool1d", SEQ(nn.Conv1d(2, 3, 1), nn.MaxPool1d(3, 2)), [x(2, 2, 9)]
    yield "max_pool2d", SEQ(nn.Conv2d(2, 3, 1), nn.MaxPool2d(3, 2, padding=1)), [x(2, 2, 7, 7)]
    yield "max_pool2d_ceil", SEQ(nn.Conv2d(2, 3, 1), nn.MaxPool2d(2, 2, ceil_mode=True)), [x(2, 2, 7, 7)]
    yield "avg_pool2d", SEQ(nn.Conv2d(2, 3, 1), nn.AvgPool2d(3, 2, padding=1)), [x(2, 2, 7, 7)]
    yield "avg_pool2d_exclude", SEQ(nn.Conv2d(2, 3, 1), nn.AvgPool2d(3, 2, padding=1, count_include_pad=False)), [x(2, 2, 7, 7)]
    yield "adaptive_avg_pool", SEQ(nn.Conv2d(2, 3, 1), nn.AdaptiveAvgPool2d(1)), [x(2, 2, 6, 6)]
    yield "adaptive_max_pool", SEQ(nn.Conv2d(2, 3, 1), nn.AdaptiveMaxPool2d(1)), [x(2, 2, 6, 6)]
    yield "lp_pool2d", SEQ(nn.Conv2d(2, 3, 1), nn.LPPool2d(2, 2)), [x(2, 2, 6, 6)]
    yield "batch_norm1d", SEQ(nn.Linear(6, 4), nn.Tanh(), nn.BatchNorm1d(4)), [x(5, 6)]
    yield "batch_norm2d", SEQ(nn.MaxPool2d(2), nn.BatchNorm2d(3)), [x(2, 3, 6, 6)]
    yield "layer_norm", nn.LayerNorm((3, 6)), [x(2, 3, 6)]
    yield "group_norm", nn.GroupNorm(2, 6), [x(2, 6, 4, 4)]
    yield "instance_norm", nn.InstanceNorm2d(3, affine=True), [x(2, 3, 5, 5)]
    yield "rms_norm", nn.RMSNorm(6), [x(2, 3, 6)]
    yield "local_response_norm", SEQ(nn.Conv2d(2, 5, 1), nn.LocalResponseNorm(3)), [x(2, 2, 4, 4)]
    yield "dropout", SEQ(nn.Linear(6, 4), nn.Dropout(0.5)), [x(5, 6)]
    yield "upsample_nearest", SEQ(nn.Conv2d(2, 3, 1), nn.Upsample(scale_factor=2)), [x(2, 2, 3, 4)]
    yield "upsample_bilinear", SEQ(nn.Conv2d(2, 3, 1), nn.Upsample(scale_factor=2, mode="bilinear")), [x(2, 2, 3, 4)]
    yield "upsample_aligned", SEQ(nn.Conv2d(2, 3, 1), nn.Upsample(size=(5, 7), mode="bilinear", align_corners=True)), [x(2, 2, 3, 4)]
    yield "upsample_bicubic", SEQ(nn.Conv2d(2, 3, 1), nn.Upsample(scale_factor=2, mode="bicubic")), [x(2, 2, 4, 4)]
    yield "pixel_shuffle", SEQ(nn.Conv2d(2, 8, 1), nn.PixelShuffle(2)), [x(2, 2, 3, 3)]
    yield "pad_zero", SEQ(nn.ZeroPad2d(1), nn.Conv2d(2, 3, 3)), [x(2, 2, 4, 4)]
    yield "pad_replicate", SEQ(nn.ReplicationPad2d(2), nn.Conv2d(2, 3, 3)), [x(2, 2, 4, 4)]
    yield "rnn", Recurrent(nn.RNN(4, 5)), [x(6, 2, 4)]
    yield "rnn_relu", Recurrent(nn.RNN(4, 5, nonlinearity="relu", batch_first=True)), [x(2, 6, 4)]
    yield "lstm", Recurrent(nn.LSTM(4, 5)), [x(6, 2, 4)]
    yield "lstm_states", Recurrent(nn.LSTM(4, 5, batch_first=True), True), [x(2, 6, 4), x(1, 2, 5), x(1, 2, 5)]
    yield "lstm_bidirectional", Recurrent(nn.LSTM(4, 5, bidirectional=True)), [x(6, 2, 4)]
    yield "lstm_layers", Recurrent(nn.LSTM(4, 5, num_layers=2)), [x(6, 2, 4)]
    yield "gru", Recurrent(nn.GRU(4, 5)), [x(6, 2, 4)]
    yield "gru_bidirectional", Recurrent(nn.GRU(4, 5, bidirectional=True)), [x(6, 2, 4)]
    yield "gru_states", Recurrent(nn.GRU(4, 5), True), [x(6, 2, 4), x(1, 2, 5)]
    yield "lstm_classifier", LSTMClassifier(), [x(3, 6, 5)]
    yield "attention", Fn(lambda q, k, v, w: F.scaled_dot_product_attention(q @ w, k, v), (4, 4)), [x(2, 2, 5, 4), x(2, 2, 6, 4), x(2, 2, 6, 4)]
    yield "multihead", Fn(lambda a, w, b, o, p: F.multi_head_attention_forward(
        a, a, a, 8, 2, w, b, None, None, False, 0.0, o, p, training=False, need_weights=False)[0],
        (24, 8), (24,), (8, 8), (8,)), [x(5, 2, 8)]
    yield "transformer_block", Block(8, 2), [x(2, 5, 8)]
    yield "residual", Residual(), [x(2, 3, 5, 5)]
    yield "cnn", cnn(), [x(4, 1, 8, 8)]


# What the newer exporter is tried with too: it takes seconds for each. (Of an RNN it folds the first step's product with zeros, so that
# the bias is there twice.)
DYNAMO = (
    "act_gelu", "act_prelu", "act_hardswish", "op_topk", "op_gather", "op_scatter_add", "op_matmul", "op_max", "op_var", "mlp",
    "embedding", "conv1d", "conv2d_groups", "conv_transpose2d", "max_pool2d", "avg_pool2d", "batch_norm2d", "layer_norm",
    "group_norm", "instance_norm", "upsample_bilinear", "gru", "lstm", "lstm_states", "gru_bidirectional", "attention",
    "transformer_block", "residual", "cnn",
)


def export(module, inputs, path, dynamo):
    names = [f"x{index}" for index in range(len(inputs))]
    with torch.no_grad():
        outputs = module(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    given = [f"y{index}" for index in range(len(outputs))]
    options = {"dynamo": True, "external_data": False} if dynamo else {"dynamo": False, "do_constant_folding": False}
    if module.training:
        options["training"] = torch.onnx.TrainingMode.TRAINING
    with silence():
        torch.onnx.export(module, tuple(inputs), path, input_names=names, output_names=given, **options)
    return names, given


@contextlib.contextmanager
def silence():
    """Both exporters print, the older one from C++."""
    sys.stdout.flush()
    saved = [os.dup(stream) for stream in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        yield
    finally:
        for stream, own in zip((1, 2), saved):
            os.dup2(own, stream)
            os.close(own)
        os.close(nowhere)


def distinct(module):
    """Exporters store equal tensors once; here all differ."""
    for child in module.modules():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d, nn.RMSNorm)):
            for parameter in child.parameters(recurse=False):
                nn.init.normal_(parameter)
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(child.running_mean)
            nn.init.uniform_(child.running_var, 0.5, 2)


def arrays(named):
    # A copy in C's order: safetensors writes the memory as it is laid out.
    return {name: np.array(tensor.detach().numpy(), order="C", copy=True) for name, tensor in named.items()}


def prepare(folder, number, name, module, inputs, dynamo):
    """Writes a model with its inputs; gives its job and what is expected."""
    torch.manual_seed(number)
    distinct(module)
    module.eval()
    paths = {key: os.path.join(folder, f"{number}.{key}") for key in ("model", "inputs", "upstream", "outputs")}
    names, given = export(module, inputs, paths["model"], dynamo)
    # The exporter may have turned the module's mode.
    module.eval()
    inputs = [tensor.clone().requires_grad_(tensor.is_floating_point()) for tensor in inputs]
    outputs = module(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    upstream = [torch.randn_like(output) for output in outputs]
    wanted = {f"grad.{name}": tensor for name, tensor in zip(names, inputs) if tensor.requires_grad}
    wanted.update({f"grad.{name}": parameter for name, parameter in module.named_parameters()})
    gradients = torch.autograd.grad(outputs, list(wanted.values()), upstream, allow_unused=True)
    expected = {
        name: torch.zeros_like(tensor) if gradient is None else gradient
        for (name, tensor), gradient in zip(wanted.items(), gradients)
    }
    save_file(arrays(dict(zip(names, inputs))), paths["inputs"])
    save_file(arrays(dict(zip(given, upstream))), paths["upstream"])
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(paths["model"]).graph.initializer}
    own = arrays(dict(module.named_parameters()))
    # The newer exporter multiplies some parameters with others, and leaves the first one's name to the product.
    unchanged = {name for name, value in stored.items() if name in own and np.array_equal(value, own[name])} | set(names)
    return {"name": str(number), **paths}, {key: value for key, value in arrays(expected).items() if key[5:] in unchanged}


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return {event["name"]: event for event in map(json.loads, done.stdout.splitlines()) if "ok" in event}


def difference(found, expected, rtol, atol):
    for name, value in expected.items():
        if name not in found:
            return f"{name} is missing"
        actual = found[name]
        if actual.shape != value.shape:
            return f"{name} has shape {actual.shape}, not {value.shape}"
        close = np.isclose(actual, value, rtol=rtol, atol=atol, equal_nan=True)
        if not np.all(close):
            index = np.unravel_index(np.argmin(close), close.shape)
            return f"{name}: {np.sum(~close)} of {close.size} differ, as {actual[index]} instead of {value[index]}"
    return None


def gradients(arguments, folder):
    torch.manual_seed(0)
    cases, rows = [], []
    for name, module, inputs in models():
        for dynamo in (False, True):
            full = f"{name}/{'dynamo' if dynamo else 'script'}"
            if arguments.filter not in full or (dynamo and name not in DYNAMO):
                continue
            try:
                cases.append((full, *prepare(folder, len(cases), name, module, inputs, dynamo)))
            except Exception as error:  # PyTorch's own refusals
                rows.append((full, "no export", str(error).strip().split("\n")[0][:100]))
    jobs = os.path.join(folder, "jobs.jsonl")
    with open(jobs, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(job) + "\n" for _, job, _ in cases)
    events = run([arguments.binary, "grad", "--jobs", jobs, "--json", "--device", arguments.device])
    for name, job, expected in cases:
        event = events.get(job["name"])
        if event is None:
            rows.append((name, "failed", "was not run"))
        elif not event["ok"]:
            missing = "not supported" in event["error"]
            rows.append((name, "missing" if missing else "failed", event["error"].split(": ", 1)[-1][:300]))
        else:
            reason = difference(load_file(job["outputs"]), expected, RTOL, ATOL)
            rows.append((name, "failed" if reason else "ok", reason or f"{len(expected)} gradients"))
    return rows


OPTIMIZERS = {
    "sgd": ({"name": "sgd", "lr": 0.05, "momentum": 0.9}, lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
    "nesterov": (
        {"name": "sgd", "lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, nesterov=True, weight_decay=0.01),
    ),
    "adam": ({"name": "adam", "lr": 0.01}, lambda p: torch.optim.Adam(p, 0.01)),
    "adamw": ({"name": "adamw", "lr": 0.01}, lambda p: torch.optim.AdamW(p, 0.01)),
    "rmsprop": ({"name": "rmsprop", "lr": 0.002}, lambda p: torch.optim.RMSprop(p, 0.002)),
    "adagrad": ({"name": "adagrad", "lr": 0.02}, lambda p: torch.optim.Adagrad(p, 0.02)),
}

LOSSES = {
    "cross_entropy": (F.cross_entropy, lambda y: ids(y.shape[1], y.shape[0])),
    "soft cross_entropy": (F.cross_entropy, lambda y: torch.softmax(torch.randn_like(y), 1)),
    "mse": (F.mse_loss, torch.randn_like),
    "l1": (F.l1_loss, torch.randn_like),
    "smooth_l1": (F.smooth_l1_loss, torch.randn_like),
    "bce_with_logits": (F.binary_cross_entropy_with_logits, lambda y: torch.rand_like(y).round()),
}


def fits():
    """Names, modules, inputs of batches, losses and optimizers."""
    for optimizer in OPTIMIZERS:
        yield f"fit_cnn_{optimizer}", cnn, lambda n: x(n, 1, 8, 8), "cross_entropy", optimizer
        yield f"fit_lstm_{optimizer}", LSTMClassifier, lambda n: x(n, 6, 5), "cross_entropy", optimizer
    for loss in LOSSES:
        yield f"fit_mlp_{loss}", lambda: SEQ(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)), lambda n: x(n, 6), loss, "sgd"
    for mode in ("", "_training"):
        yield f"fit_batch_norm{mode}", batch_norm, lambda n: x(n, 1, 8, 8), "cross_entropy", "sgd"


def batch_norm():
    return SEQ(nn.Conv2d(1, 4, 3), nn.ReLU6(), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3))


def fit(arguments, folder, name, make, batch, loss, optimizer, dynamo):
    torch.manual_seed(1)
    module = make()
    distinct(module)
    module.train(name.split(".")[0].endswith("_training"))
    path = os.path.join(folder, f"{name}.onnx")
    data = os.path.join(folder, f"{name}.batches")
    os.makedirs(data)
    inputs = batch(8)
    training = module.training
    state = {name: value.clone() for name, value in module.state_dict().items()}
    try:
        export(module, [inputs], path, dynamo)
    except Exception as error:
        return "no export", str(error).strip().split("\n")[0][:100]
    # The exporter runs the module, which changes running statistics in training: the file's are those that count.
    state.update((tensor.name, torch.tensor(onnx.numpy_helper.to_array(tensor)))
                 for tensor in onnx.load(path).graph.initializer if tensor.name in state)
    module.train(training)
    function, make_target = LOSSES[loss]
    batches = []
    for number in range(3):
        inputs = batch(8)
        target = make_target(module(inputs).detach())
        batches.append((inputs, target))
        save_file(arrays({"x0": inputs, "target": target}), os.path.join(data, f"{number}.safetensors"))
    module.load_state_dict(state)
    text, make_optimizer = OPTIMIZERS[optimizer]
    steps = make_optimizer(module.parameters())
    losses = []
    for step in range(20):
        inputs, target = batches[step % 3]
        steps.zero_grad()
        value = function(module(inputs), target)
        value.backward()
        steps.step()
        losses.append(value.item())
    out = os.path.join(folder, f"{name}.out")
    command = [
        arguments.binary, "fit", path, "--batches", data, "--loss", loss.split()[-1], "--optimizer", json.dumps(text),
        "--steps", "20", "--outputs", out, "--json", "--device", arguments.device,
    ]
    event = next(iter(run(command).values()), None)
    if event is None or not event["ok"]:
        error = "was not run" if event is None else event["error"]
        return ("missing" if "not supported" in error else "failed"), error[:300]
    found = load_file(out)
    if reason := difference(found, {"loss": np.array(losses, dtype=np.float32)}, 1e-4, 0):
        return "failed", reason
    own = dict(module.named_parameters())
    own.update((name, buffer) for name, buffer in module.named_buffers() if name.endswith("running_mean"))
    after = {name: value for name, value in arrays(own).items() if name in found}
    # Where gradients are next to nothing, optimizers divide noise by noise.
    if reason := difference(found, after, 2e-3, 1e-4):
        return "failed", reason
    return "ok", f"loss {losses[0]:.4f} to {losses[-1]:.4f}, {len(after)} initializers"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--filter", default="", help="only models with this in their names")
    parser.add_argument("--binary", default="target/release/wgrad")
    parser.add_argument("--no-fit", action="store_true", help="only gradients")
    parser.add_argument("--all", action="store_true", help="list what is well too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = gradients(arguments, folder)
        for name, *case in fits() if not arguments.no_fit else []:
            # The newer exporter writes no training mode.
            for dynamo in (False,) if name.endswith("_training") else (False, True):
                full = f"{name}/{'dynamo' if dynamo else 'script'}"
                if arguments.filter in full:
                    rows.append((full, *fit(arguments, folder, full.replace("/", "."), *case, dynamo)))
    for name, state, detail in rows:
        if state != "ok" or arguments.all:
            print(f"{state:<10}{name:<36}{detail}")
    counts = {state: sum(row[1] == state for row in rows) for state in ("ok", "failed", "missing", "no export")}
    models_ok = len({row[0].split("/")[0] for row in rows if row[1] == "ok"})
    print(", ".join(f"{count} {state}" for state, count in counts.items()) + f"; {models_ok} models")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
