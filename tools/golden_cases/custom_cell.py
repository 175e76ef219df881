"""Recurrent cells that are defined by their users: an LSTM with peepholes and a minimal gated unit, as loops that PyTorch differentiates."""

import torch

from .family import Family, f32, i32


def sequence(step, x, states, lengths, reverse):
    """Outputs and last states of a step function; beyond a row's length the output is 0, and the states stay."""
    outputs = [None] * len(x)
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        after = step(x[t], states)
        active = (lengths > t)[:, None] if lengths is not None else torch.ones(x.shape[1], 1, dtype=torch.bool)
        outputs[t] = torch.where(active, after[0], torch.zeros_like(after[0]))
        states = [torch.where(active, new, old) for new, old in zip(after, states, strict=True)]
    return torch.stack(outputs), *states


def peephole_lstm(w_ih, w_hh, b_ih, b_hh, w_ci, w_cf, w_co):
    def step(x, states):
        h, c = states
        i, f, g, o = (x @ w_ih.T + b_ih + h @ w_hh.T + b_hh).chunk(4, 1)
        i, f = torch.sigmoid(i + w_ci * c), torch.sigmoid(f + w_cf * c)
        c = f * c + i * torch.tanh(g)
        return torch.sigmoid(o + w_co * c) * torch.tanh(c), c

    return step


def mgu(w_ih, w_hh, b_ih, b_hh):
    hidden = w_hh.shape[1]

    def step(x, states):
        (h,) = states
        x = x @ w_ih.T + b_ih
        f = torch.sigmoid(x[:, :hidden] + h @ w_hh[:hidden].T + b_hh[:hidden])
        new = torch.tanh(x[:, hidden:] + (f * h) @ w_hh[hidden:].T + b_hh[hidden:])
        return [(1 - f) * h + f * new]

    return step


CELLS = {"peephole_lstm": (peephole_lstm, 4, 2, 3), "mgu": (mgu, 2, 1, 0)}


def build():
    family = Family("custom_cell")
    sizes = [(1, 1, 1, 1), (5, 3, 4, 7), (9, 2, 3, 17), (3, 5, 2, 33)]
    for cell, (make, gates, states, parameters) in CELLS.items():
        for steps, batch, features, hidden in sizes:
            for reverse, ragged in ((False, False), (True, False), (True, True)):
                name = f"{cell}_t{steps}b{batch}i{features}h{hidden}" + "_reverse" * reverse + "_lengths" * ragged
                random = family.random(name)

                def draw(*shape, scale=1.0, random=random):
                    return f32(random.normal(size=shape) * scale)

                rows, bound = gates * hidden, hidden**-0.5
                weights = [draw(rows, features, scale=bound), draw(rows, hidden, scale=bound), draw(rows), draw(rows)]
                weights += [draw(hidden) for _ in range(parameters)]
                inputs = [draw(steps, batch, features), *(draw(batch, hidden) for _ in range(states)), *weights]
                if ragged:
                    inputs.append(i32(random.integers(1, steps + 1, batch)))

                def run(x, *rest, make=make, states=states, ragged=ragged, reverse=reverse):
                    lengths = rest[-1] if ragged else None
                    weights = rest[states : len(rest) - ragged]
                    return sequence(make(*weights), x, list(rest[:states]), lengths, reverse)

                family.case(name, cell, run, inputs, {"reverse": reverse, "lengths": ragged})
    return family
