#!/usr/bin/env python3
"""What `tests/onnx/export.rs` exports, through onnx.checker and onnxruntime.

Runs those tests with WGRAD_EXPORT set (or takes a folder that they have filled), checks each model, runs it on its inputs in
onnxruntime, and compares with the engine's outputs (rtol 1e-3, atol 1e-5). Exit status 1 where something differs.

    python tests/onnx/export.py [FOLDER]

Wants the packages onnx, onnxruntime, numpy and safetensors.
"""

import glob
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file


def problem(path):
    """What is wrong with a model, if anything is."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    known = {value.name for value in session.get_inputs()}
    inputs = {name: value for name, value in load_file(path[:-5] + ".inputs").items() if name in known}
    names = [value.name for value in session.get_outputs()]
    found = dict(zip(names, session.run(names, inputs)))
    for name, expected in load_file(path[:-5] + ".outputs").items():
        actual = found[name]
        if actual.dtype != expected.dtype or actual.shape != expected.shape:
            return f"{name} is {actual.dtype}{actual.shape}, not {expected.dtype}{expected.shape}"
        close = np.isclose(actual.astype(np.float64), expected.astype(np.float64), rtol=1e-3, atol=1e-5, equal_nan=True)
        if not np.all(close):
            index = np.unravel_index(np.argmin(close), close.shape)
            return f"{name}: {np.sum(~close)} of {close.size} differ, as {actual[index]} instead of {expected[index]}"
    return None


def main():
    onnxruntime.set_default_logger_severity(3)
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            folder = sys.argv[1]
        else:
            environment = dict(os.environ, WGRAD_EXPORT=folder)
            command = ["cargo", "test", "-q", "--features", "onnx", "--test", "onnx", "export"]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        paths = sorted(glob.glob(os.path.join(folder, "*.onnx")))
        failed = 0
        for path in paths:
            try:
                reason = problem(path)
            except Exception as error:
                reason = str(error).strip().split("\n")[0][:300]
            if reason:
                failed += 1
                print(f"{os.path.basename(path)[:-5]}: {reason}")
    print(f"{len(paths) - failed} of {len(paths)} models are right")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
