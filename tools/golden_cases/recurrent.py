"""RNN, LSTM and GRU: PyTorch's layers, and a GRU whose reset gate comes before the product, composed here. And embeddings.

Large layers have more weights than a repository wants, so every input is drawn from a formula that the Rust test has too (`draw`), and of each
result only some elements and the mean magnitude of all are stored (`probe`).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .family import Family, _tolerance, f32, i32

PROBES = 24
X, HIDDEN, CELL, UPSTREAM = 1000, 1001, 1002, 1003


def draw(seed, shape, bound):
    """Numbers within ± bound: MurmurHash3's finaliser of a counter, the same bits in both languages."""
    mask = np.uint64(0xFFFFFFFF)
    word = np.arange(int(np.prod(shape)), dtype=np.uint64) * np.uint64(0x9E3779B9) & mask
    word ^= np.uint64((seed * 0x85EBCA6B + 0x5BD1E995) & 0xFFFFFFFF)
    word = word * np.uint64(0x85EBCA6B) & mask
    word ^= word >> np.uint64(13)
    word = word * np.uint64(0xC2B2AE35) & mask
    word ^= word >> np.uint64(16)
    unit = (word >> np.uint64(8)).astype(np.float64) / 2.0**24
    return ((2 * unit - 1) * bound).astype(np.float32).reshape(shape)


def probe(values):
    """Up to 24 elements from the first to the last, and the mean magnitude of all."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    indices = range(flat.size) if flat.size <= PROBES else [k * (flat.size - 1) // (PROBES - 1) for k in range(PROBES)]
    return np.append(flat[list(indices)], np.abs(flat).mean())


def layer(c):
    sizes = {"input_size": c["input"], "hidden_size": c["hidden"], "num_layers": c["layers"]}
    options = {"bias": c["bias"], "bidirectional": c["bidirectional"]}
    if c["kind"] == "lstm":
        return torch.nn.LSTM(**sizes, **options)
    if c["kind"] in ("rnn", "rnn_relu"):
        return torch.nn.RNN(**sizes, **options, nonlinearity="relu" if c["kind"] == "rnn_relu" else "tanh")
    return torch.nn.GRU(**sizes, **options)


def reset_before(module, c, x, hidden, lengths):
    """A GRU with n = tanh(W x + b + U (r h) + d), from the parameters of PyTorch's."""
    directions = 2 if c["bidirectional"] else 1
    last = []
    for number in range(c["layers"]):
        outputs = []
        for reverse in range(directions):
            suffix = f"_l{number}" + "_reverse" * reverse
            w, u = getattr(module, "weight_ih" + suffix), getattr(module, "weight_hh" + suffix)
            zeros = w.new_zeros(3 * c["hidden"])
            b, d = (getattr(module, "bias_ih" + suffix), getattr(module, "bias_hh" + suffix)) if c["bias"] else (zeros, zeros)
            u_rz, u_n = u[: 2 * c["hidden"]], u[2 * c["hidden"] :]
            h = hidden[number * directions + reverse] if hidden is not None else w.new_zeros(c["batch"], c["hidden"])
            states = [None] * c["steps"]
            for t in reversed(range(c["steps"])) if reverse else range(c["steps"]):
                gates = x[t] @ w.T + b + d
                r, z = torch.sigmoid(gates[:, : 2 * c["hidden"]] + h @ u_rz.T).chunk(2, 1)
                n = torch.tanh(gates[:, 2 * c["hidden"] :] + (r * h) @ u_n.T)
                after = (1 - z) * n + z * h
                active = (lengths > t)[:, None] if lengths is not None else torch.ones(c["batch"], 1, dtype=torch.bool)
                states[t] = torch.where(active, after, torch.zeros_like(after))
                h = torch.where(active, after, h)
            outputs.append(torch.stack(states))
            last.append(h)
        x = torch.cat(outputs, 2)
    return x, torch.stack(last)


def run(c, dtype):
    """Outputs, last states and all gradients: of x, of given states, and of each parameter in PyTorch's order."""
    module = layer(c).to(dtype)
    with torch.no_grad():
        for seed, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.from_numpy(draw(seed, tuple(parameter.shape), c["hidden"] ** -0.5)).to(dtype))
    directions = 2 if c["bidirectional"] else 1
    x = torch.from_numpy(draw(X, (c["steps"], c["batch"], c["input"]), 1.5)).to(dtype).requires_grad_()
    shape = (c["layers"] * directions, c["batch"], c["hidden"])
    states = []
    if c["states"]:
        seeds = (HIDDEN, CELL) if c["kind"] == "lstm" else (HIDDEN,)
        states = [torch.from_numpy(draw(seed, shape, 0.8)).to(dtype).requires_grad_() for seed in seeds]
    lengths = torch.tensor(c["lengths"]) if c["lengths"] else None
    if c["kind"] == "gru_reset_before":
        outputs, h_n = reset_before(module, c, x, states[0] if states else None, lengths)
        results = [outputs, h_n]
    else:
        fed = x if lengths is None else pack_padded_sequence(x, lengths, enforce_sorted=False)
        given = None if not states else tuple(states) if c["kind"] == "lstm" else states[0]
        outputs, last = module(fed, given)
        if lengths is not None:
            outputs, _ = pad_packed_sequence(outputs, total_length=c["steps"])
        results = [outputs, *last] if c["kind"] == "lstm" else [outputs, last]
    seeds = [torch.from_numpy(draw(UPSTREAM + k, tuple(r.shape), 1.0)).to(dtype) for k, r in enumerate(results)]
    gradients = torch.autograd.grad(results, [x, *states, *module.parameters()], seeds)
    return [tensor.detach().numpy() for tensor in (*results, *gradients)]


def configurations():
    base = {
        "kind": "lstm", "steps": 2, "batch": 3, "input": 4, "hidden": 5, "layers": 1, "bidirectional": False, "bias": True,
        "states": False, "lengths": None, "batch_first": False,
    }  # fmt: skip
    cases = []

    def add(**changes):
        cases.append(base | changes)

    for kind in ("rnn", "rnn_relu", "lstm", "gru", "gru_reset_before"):
        # One step, one unit, one row, one feature; then every option alone, then all of them together.
        add(kind=kind, steps=1, batch=1, input=1, hidden=1)
        add(kind=kind, bias=False)
        add(kind=kind, steps=17, batch=33, hidden=64, input=7)
        add(kind=kind, steps=2, layers=2, bidirectional=True, states=True)
        add(kind=kind, steps=17, batch=3, lengths=[17, 1, 9])
        add(kind=kind, steps=17, batch=3, bidirectional=True, states=True, lengths=[4, 16, 2], batch_first=True)
        add(kind=kind, steps=2, layers=3, bidirectional=True, states=True, lengths=[1, 2, 1], bias=False)
        add(kind=kind, steps=17, batch=1, hidden=1, layers=3, input=2)
        add(kind=kind, steps=128, batch=3, hidden=5, states=True)
    for kind in ("lstm", "gru", "rnn", "gru_reset_before"):
        add(kind=kind, steps=17, batch=3, hidden=513, input=3)
        add(kind=kind, steps=2, batch=33, hidden=256, input=33, bidirectional=True)
    add(kind="lstm", steps=128, batch=33, hidden=64, input=10, layers=2, states=True)
    add(kind="gru", steps=128, batch=1, hidden=256, input=16)
    add(kind="lstm", steps=128, batch=3, hidden=64, input=5, bidirectional=True, lengths=[128, 1, 77])
    add(kind="gru", steps=128, batch=3, hidden=64, input=5, layers=2, bidirectional=True, lengths=[5, 128, 127])
    add(kind="lstm", steps=17, batch=33, hidden=64, input=10, bidirectional=True, lengths=[1 + k * 7 % 17 for k in range(33)])
    add(kind="lstm", steps=17, batch=1, hidden=256, input=1)
    return cases


def name_of(c):
    parts = [c["kind"], f"t{c['steps']}b{c['batch']}i{c['input']}h{c['hidden']}l{c['layers']}"]
    flags = ("bidirectional", "states", "lengths", "batch_first")
    return "_".join(parts + [flag for flag in flags if c[flag]] + ([] if c["bias"] else ["plain"]))


def build():
    family = Family("recurrent")
    for c in configurations():
        exact, single = run(c, torch.float64), run(c, torch.float32)
        exact, single = [probe(values) for values in exact], [probe(values) for values in single]
        name = name_of(c)
        fields = {"probes": family.store(f"{name}/probes", np.concatenate(exact))}
        tolerance = _tolerance(exact, single)
        if tolerance is not None:
            fields["tolerance"] = tolerance
        attributes = {key: value for key, value in c.items() if key != "kind"}
        family.record(name, c["kind"], attributes, **fields)
    embeddings(family)
    return family


def embeddings(family):
    """Tables with a padding row and a largest norm; PyTorch scales rows in place, so it gets a copy."""
    layouts = [((5, 3), (4,)), ((1, 1), (1,)), ((7, 4), (3, 33)), ((50, 9), (2, 3, 5))]
    for table, shape in layouts:
        for padding, max_norm in ((None, None), (0, None), (table[0] - 1, 1.5), (None, 0.7)):
            name = "embedding_" + "x".join(map(str, table + shape)) + f"_{padding}_{max_norm}"
            random = family.random(name)
            family.case(
                name, "embedding",
                lambda w, i, padding=padding, max_norm=max_norm: F.embedding(i.long(), w.clone(), padding, max_norm),
                [f32(random.normal(size=table)), i32(random.integers(0, table[0], shape))],
                {"padding_idx": padding, "max_norm": max_norm},
            )  # fmt: skip
