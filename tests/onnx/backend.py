#!/usr/bin/env python3
"""ONNX's own backend tests through `wgrad run --jobs`.

Takes all cases of the Python package onnx (its generators of node cases, and the models that it ships: simple,
pytorch-operator, pytorch-converted) whose tensors are of float, float16, int32, int64 or bool, runs them in one process,
and compares with each case's own tolerances (rtol 1e-3, atol 1e-7 unless it says otherwise). Prints a table by group, and
the failures by operator. Exit status 1 where a case fails.

    python tests/onnx/backend.py [--device cpu|gpu] [--filter TEXT] [--binary target/release/wgrad]

Wants the packages onnx, numpy and safetensors.
"""

import argparse
import collections
import glob
import json
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file

TYPES = {np.dtype(name) for name in ("float32", "float16", "int32", "int64", "bool")}
# Their expected values come from NumPy's generator, which no other implementation has.
RANDOM = ("test_bernoulli", "test_training_dropout_default", "test_training_dropout_mask")
RANDOM_WHOLE = ("test_training_dropout",)
SHIPPED = ("simple", "pytorch-operator", "pytorch-converted")


class Case:
    """One data set of one model."""

    def __init__(self, group, name, model, inputs, outputs, rtol, atol):
        self.group, self.name, self.model = group, name, model
        self.inputs, self.outputs, self.rtol, self.atol = inputs, outputs, rtol, atol

    def operators(self):
        """The operators of the model, without those that every other model has."""
        names = {node.op_type for node in self.model.graph.node}
        plain = {"Constant", "Identity", "Cast", "Shape", "Reshape", "Add", "Mul"}
        return sorted(names - plain) or sorted(names)


def node_cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collected = collect_testcases(None)
    for case in collected:
        for number, (inputs, outputs) in enumerate(case.data_sets or []):
            name = case.name if number == 0 else f"{case.name}.{number}"
            yield Case("node", name, case.model, inputs, outputs, case.rtol, case.atol)


def read(path, info):
    """A value of a shipped data set: an array, or None where it is no tensor."""
    if info.type.WhichOneof("value") != "tensor_type":
        return None
    with open(path, "rb") as file:
        return numpy_helper.to_array(onnx.TensorProto.FromString(file.read()))


def shipped_cases():
    data = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data")
    for group in SHIPPED:
        for folder in sorted(glob.glob(os.path.join(data, group, "*", ""))):
            model = onnx.load(os.path.join(folder, "model.onnx"))
            stored = {tensor.name for tensor in model.graph.initializer}
            infos = [info for info in model.graph.input if info.name not in stored]
            for number, values in enumerate(sorted(glob.glob(os.path.join(folder, "test_data_set_*")))):
                found = len(glob.glob(os.path.join(values, "input_*.pb")))
                own = infos if found == len(infos) else list(model.graph.input)
                inputs = [read(os.path.join(values, f"input_{index}.pb"), info) for index, info in enumerate(own[:found])]
                outputs = [
                    read(os.path.join(values, f"output_{index}.pb"), info)
                    for index, info in enumerate(model.graph.output)
                ]
                name = os.path.basename(os.path.dirname(folder))
                case = Case(group, f"{group}/{name}" + (f".{number}" if number else ""), model, inputs, outputs, 1e-3, 1e-7)
                case.infos = own
                yield case


def skipped(case):
    """Why a case is left out, if it is."""
    if case.name.startswith(RANDOM) or case.name in RANDOM_WHOLE:
        return "random"
    for value in list(case.inputs) + list(case.outputs):
        if value is None or isinstance(value, (list, dict, str)):
            return "type"
        if np.asarray(value).dtype not in TYPES:
            return "type"
    return None


def difference(case, path):
    """What is wrong with the outputs, if anything is."""
    found = load_file(path)
    for info, expected in zip(case.model.graph.output, case.outputs):
        if not info.name:
            continue
        expected = np.asarray(expected)
        if info.name not in found:
            return f"output {info.name} is missing"
        actual = found[info.name]
        if actual.dtype != expected.dtype:
            return f"output {info.name} is {actual.dtype}, not {expected.dtype}"
        if actual.shape != expected.shape:
            return f"output {info.name} has shape {actual.shape}, not {expected.shape}"
        close = np.isclose(actual, expected, rtol=case.rtol, atol=case.atol, equal_nan=True)
        if not np.all(close):
            index = np.unravel_index(np.argmin(close), close.shape)
            values = f"{actual[index]} instead of {expected[index]}"
            return f"output {info.name}: {np.sum(~close)} of {close.size} differ, as {values} at {tuple(map(int, index))}"
    return None


def write(folder, number, case):
    """Writes a case's model and inputs; gives its job."""
    paths = {
        key: os.path.join(folder, f"{number}.{key}") for key in ("model", "inputs", "outputs")
    }
    onnx.save(case.model, paths["model"])
    infos = getattr(case, "infos", case.model.graph.input)
    named = zip((info.name for info in infos), case.inputs)
    # A copy in C's order: safetensors writes the memory as it is laid out.
    save_file({name: np.array(value, order="C", copy=True) for name, value in named if name}, paths["inputs"])
    return {"name": str(number), **paths}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--filter", default="", help="only cases with this in their names, or of this operator")
    parser.add_argument("--binary", default="target/release/wgrad")
    parser.add_argument("--list-skipped", action="store_true", help="name the cases that are left out")
    parser.add_argument("--keep", metavar="FOLDER", help="leave the models there, as seeds for mutations.rs; runs nothing")
    parser.add_argument("--summary", action="store_true", help="only counts of failures by operator")
    arguments = parser.parse_args()

    def chosen(case):
        return arguments.filter in case.name or arguments.filter in case.operators()

    cases = [case for source in (node_cases(), shipped_cases()) for case in source if chosen(case)]
    left_out = {case.name: skipped(case) for case in cases}
    ran = [case for case in cases if not left_out[case.name]]

    if arguments.keep:
        os.makedirs(arguments.keep, exist_ok=True)
        for number, case in enumerate(ran):
            onnx.save(case.model, os.path.join(arguments.keep, f"{number}.onnx"))
        return 0

    with tempfile.TemporaryDirectory() as folder:
        jobs = os.path.join(folder, "jobs.jsonl")
        with open(jobs, "w", encoding="utf-8") as file:
            for number, case in enumerate(ran):
                file.write(json.dumps(write(folder, number, case)) + "\n")
        command = [arguments.binary, "run", "--jobs", jobs, "--json", "--device", arguments.device]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        events = {}
        for line in done.stdout.splitlines():
            event = json.loads(line)
            if event.get("event") == "run":
                events[event["name"]] = event
        failures = {}
        for number, case in enumerate(ran):
            event = events.get(str(number))
            if event is None:
                failures[case.name] = "was not run"
            elif not event["ok"]:
                failures[case.name] = event["error"].replace(os.path.join(folder, f"{number}.model"), "model")
            elif reason := difference(case, os.path.join(folder, f"{number}.outputs")):
                failures[case.name] = reason

    by_operator = collections.defaultdict(list)
    for case in ran:
        if case.name in failures:
            by_operator[", ".join(case.operators())].append(case)
    for operator, failed in sorted(by_operator.items()):
        print(f"{operator}: {len(failed)} failed")
        for case in failed if not arguments.summary else []:
            print(f"    {case.name}: {failures[case.name][:300]}")
    if arguments.list_skipped:
        for name, reason in left_out.items():
            if reason:
                print(f"skipped ({reason}): {name}")

    print(f"{'group':<20}{'cases':>7}{'passed':>8}{'failed':>8}{'skipped: type':>15}{'random':>8}")
    for group in ("node",) + SHIPPED:
        own = [case for case in cases if case.group == group]
        count = collections.Counter(left_out[case.name] for case in own)
        failed = sum(case.name in failures for case in own)
        passed = count[None] - failed
        print(f"{group:<20}{len(own):>7}{passed:>8}{failed:>8}{count['type']:>15}{count['random']:>8}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
