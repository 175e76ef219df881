"""A family of golden cases: runs each case in PyTorch, and holds what goes into the two files.

Every random number comes from a generator seeded by the family's and the case's name, so adding a case leaves the
others as they were.
"""

import json
import zlib

import numpy as np
import safetensors.numpy
import torch

# What a comparison allows when a case names no tolerance: |got - want| <= absolute + relative * |want|.
DEFAULT_TOLERANCE = {"absolute": 1e-6, "relative": 1e-5}


def f32(values):
    return np.asarray(values, dtype=np.float32)


def i32(values):
    return np.asarray(values, dtype=np.int32)


class Family:
    def __init__(self, name, **versions):
        self.name = name
        self.versions = versions or {"torch": torch.__version__.split("+")[0], "numpy": np.__version__}
        self.cases = []
        self.tensors = {}
        self.names = set()

    def random(self, name):
        """The generator of one case."""
        return np.random.default_rng(zlib.crc32(f"{self.name}/{name}".encode()))

    def store(self, name, values):
        """Keeps a tensor under `name`: floats as f32, integers as i32."""
        values = np.asarray(values)
        if values.dtype.kind == "f":
            with np.errstate(over="ignore"):
                values = values.astype(np.float32)
            if not np.isfinite(values).all():
                raise ValueError(f"{self.name}: {name} is not finite")
        elif values.dtype.kind == "i":
            if values.size and np.abs(values).max() > 2**31:
                raise ValueError(f"{self.name}: {name} overflows i32")
            values = values.astype(np.int32)
        if name in self.tensors:
            raise ValueError(f"{self.name}: {name} is stored twice")
        self.tensors[name] = np.ascontiguousarray(values).reshape(values.shape)
        return name

    def record(self, name, op, attributes, **fields):
        """Adds a case as it stands."""
        if name in self.names:
            raise ValueError(f"{self.name}: two cases are called {name}")
        self.names.add(name)
        self.cases.append({"name": name, "op": op, "attributes": attributes, **fields})

    def case(self, name, op, function, inputs, attributes=None, differentiable=None, tolerance=None):
        """Runs `function` on `inputs` (NumPy arrays of f32, i32 or bool), forward and backward.

        The stored values come from float64. The same run in float32 shows how much of the precision the case itself
        costs; where that is near the default tolerance, the case gets a wider one.
        """
        if differentiable is None:
            differentiable = [values.dtype == np.float32 for values in inputs]
        exact = _run(function, inputs, differentiable, torch.float64, None)
        random = self.random(f"{name}/upstream")
        upstream = [
            # Away from zero, so that no part of the gradient goes unseen, and at most 1, so that nothing overflows.
            f32(random.uniform(0.25, 1, output.shape) * random.choice([-1, 1], output.shape))
            if output.dtype.kind == "f"
            else None
            for output in exact[0]
        ]
        outputs, gradients = _run(function, inputs, differentiable, torch.float64, upstream)
        if tolerance is None:
            single = _run(function, inputs, differentiable, torch.float32, upstream)
            if not all(t is None or np.isfinite(t).all() for t in single[0] + single[1]):
                raise ValueError(f"{self.name}: {name} is not finite in float32: {single}")
            tolerance = _tolerance(outputs + gradients, single[0] + single[1])
        fields = {
            "inputs": [self.store(f"{name}/input{i}", values) for i, values in enumerate(inputs)],
            "differentiable": list(differentiable),
            "outputs": [self.store(f"{name}/output{i}", values) for i, values in enumerate(outputs)],
            "upstream": self._store_each(name, "upstream", upstream),
            "gradients": self._store_each(name, "gradient", gradients),
        }
        if tolerance is not None:
            fields["tolerance"] = tolerance
        self.record(name, op, attributes or {}, **fields)

    def _store_each(self, case, kind, tensors):
        return [None if t is None else self.store(f"{case}/{kind}{i}", t) for i, t in enumerate(tensors)]

    def files(self):
        """The contents of the files, by suffix. JSON has one case a line, so that a change shows as one."""
        head = "".join(f"{json.dumps(k)}: {json.dumps(v)},\n" for k, v in self.versions.items())
        cases = ",\n".join(json.dumps(case, allow_nan=False) for case in self.cases)
        files = {"json": f'{{\n{head}"cases": [\n{cases}\n]\n}}\n'.encode()}
        if self.tensors:
            files["safetensors"] = safetensors.numpy.save(dict(sorted(self.tensors.items())))
        return files


def _run(function, inputs, differentiable, dtype, upstream):
    """Outputs and, with `upstream`, d(sum(output * upstream)) / d(input), as NumPy arrays."""
    tensors = []
    for values, wants_gradient in zip(inputs, differentiable, strict=True):
        tensor = torch.from_numpy(np.array(values))
        if values.dtype == np.float32:
            tensor = tensor.to(dtype).requires_grad_(wants_gradient)
        tensors.append(tensor)
    outputs = function(*tensors)
    outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    results = [output.detach().numpy() for output in outputs]
    if upstream is None:
        return results, []
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    roots = [output for output in outputs if output.requires_grad]
    gradients = iter(())
    if wanted:
        seeds = [
            torch.from_numpy(np.array(seed)).to(dtype)
            for seed, output in zip(upstream, outputs, strict=True)
            if output.requires_grad
        ]
        gradients = iter(torch.autograd.grad(roots, wanted, seeds, allow_unused=True, materialize_grads=True))
    return results, [next(gradients).numpy() if tensor.requires_grad else None for tensor in tensors]


def _tolerance(exact, single):
    """A tolerance for four times the error of float32; None when the default is enough."""
    worst = 0.0
    for want, got in zip(exact, single, strict=True):
        if want is None or want.dtype.kind != "f" or not want.size:
            continue
        error = np.abs(got.astype(np.float64) - want)
        allowed = DEFAULT_TOLERANCE["absolute"] + DEFAULT_TOLERANCE["relative"] * np.abs(want)
        worst = max(worst, float((error / allowed).max()))
    return widened(worst)


def widened(ratio):
    """The default tolerance times the power of ten that covers four times `ratio`; None when that is one."""
    if 4 * ratio <= 1:
        return None
    power = int(np.ceil(np.log10(4 * ratio)))
    return {key: float(f"{value * 10.0**power:.0e}") for key, value in DEFAULT_TOLERANCE.items()}
