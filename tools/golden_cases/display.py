"""How NumPy prints arrays: `text` is `str(array)`."""

import numpy as np

from .family import Family


def arrays():
    random = np.random.default_rng(0)
    f32, f64 = np.float32, np.float64
    nan, inf = np.nan, np.inf
    yield "scalars", [f32(0.1), f32(1e-5), f64(1e16), f64(123456.789), f32(3), f32(-2.5e-4), f64(nan), f64(-inf), np.int64(-7)]
    yield "bools", [np.array([True, False, True]), np.array([[True], [True]]), np.bool_(True)]
    yield "integers", [
        np.arange(6).reshape(2, 3), np.array([-1, 20, 300]), np.array([2**62 + 1, -(2**62) - 1]),
        np.array([200, 7], np.uint8), np.arange(40, dtype=np.int32) * 1000,
    ]
    yield "floats", [
        np.array([1.0, 2.0]), np.array([1.5, 2.25, -3.125]), np.array([0.1, 0.2, 0.3], f32), np.array([0.0, -0.0]),
        np.array([1 / 3, 2 / 3]), np.array([1 / 3, 100 / 7], f32), np.array([123456789.123, 1.0]),
        np.array([1e-5, 1.0]), np.array([1e-5, 1.0], f32), np.array([0.001, 1.0]), np.array([0.001, 2.0]),
        np.array([1e10, -1e-10, 0]), np.array([99999999.5, 5e5]), np.array([1e100, 1.0]), np.array([16777216.0], f32),
        np.array([[1.0], [-10.25], [100.0]], f32), np.array([1e8]), np.array([1.0, 0.3333333333333333]),
    ]
    yield "special", [
        np.array([nan, 1.0]), np.array([inf, -inf, 0.5]), np.array([nan, nan]), np.array([1e10, nan, -inf]),
        np.array([-inf, 1234.5]), np.array([inf, 100.25], f32),
    ]
    yield "halves", [np.array([0.1, 1.1, 65504], np.float16), np.array([1 / 3, 2.0], np.float16)]
    yield "shapes", [
        np.arange(24.0).reshape(2, 3, 4), np.arange(8).reshape(2, 2, 2, 1), np.zeros((0, 3)), np.zeros((2, 0)),
        np.ones((1, 1, 1)), np.array([[[-1.5]], [[2.0]]]),
    ]
    yield "long", [
        random.normal(size=30), random.normal(size=30).astype(f32), np.arange(1000), np.arange(1001), np.arange(1001.0) / 8,
        random.normal(size=(40, 50)), random.normal(size=(12, 12, 12)).astype(f32), np.arange(2000).reshape(4, 500) * 1.5,
        np.arange(1200).reshape(2, 2, 300), np.arange(5000).reshape(5, 1000), random.normal(size=(5, 30)) * 1e-6,
    ]


def build():
    family = Family("display")
    for group, values in arrays():
        for number, value in enumerate(values):
            array = np.asarray(value)
            name = f"{group}{number}"
            text = str(value)
            attributes = {"dtype": str(array.dtype), "shape": list(array.shape)}
            numbers = [str(v) if array.dtype.kind in "iu" else repr(float(v)) for v in array.flatten().tolist()]
            family.record(name, "display", attributes, values=" ".join(numbers), text=text)
    return family
