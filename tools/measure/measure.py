#!/usr/bin/env python3
"""Measures a GPU with one call that ends in time: whether wgrad is right there, how fast, what tuning wins, beside PyTorch where that is.

    cargo build --release -p wgrad-cli
    tools/measure/measure.py --device nvidia --seconds 540

Needs the binary and Python alone, so both can be copied to another machine. Results go to `docs/measured` (`--out`): a page with tables, all
lines that the commands wrote, and profiles for Perfetto. What ran out of time is there as far as it came, and says so.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
STEPS = ["mlp-tiny", "mlp", "cnn", "lstm", "gru", "gpt", "word2vec"]
LARGE = ["matmul/f32/4096x4096x4096", "matmul/f16/4096x4096x4096"]
PROFILES = [("digits", "cnn"), ("char-lm", "lstm"), ("char-lm", "gpt")]


class Section:
    """A command with its part of the time, and the JSON lines that it wrote."""

    def __init__(self, name, command, weight, environment=None):
        self.name, self.command, self.weight, self.environment = name, command, weight, environment or {}
        self.lines, self.seconds, self.outcome = [], 0.0, "not run"

    def run(self, seconds):
        begun = time.monotonic()
        try:
            child = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                     env=os.environ | self.environment, start_new_session=True)
        except OSError as error:
            self.outcome = f"not run: {error}"
            return
        try:
            out, errors = child.communicate(timeout=seconds)
            self.outcome = "done" if child.returncode == 0 else f"failed: {last_line(errors)}"
        except subprocess.TimeoutExpired:
            out, errors = stop(child)
            self.outcome = f"out of time after {seconds:.0f} s"
        self.seconds = time.monotonic() - begun
        self.lines = parsed(out)


def stop(child):
    """Asks first: a command that is asked ends its last line."""
    for what in [signal.SIGINT, signal.SIGKILL]:
        os.killpg(child.pid, what)
        try:
            return child.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    return "", ""


def parsed(text):
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            pass
    return lines


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip() and "XDG_RUNTIME_DIR" not in line]
    return lines[-1] if lines else "it said nothing"


def plan(wgrad, device, torch, quick, folder, seconds):
    """All sections, what matters most first."""
    common = ["--device", device, "--json"]
    bench = [wgrad, "bench", *(["--quick"] if quick else []), *common]
    steps = [f"step/{name}" for name in STEPS]
    sections = [
        Section("devices", [wgrad, "devices", "--json"], 1),
        Section("check", [wgrad, "check", *common], 12),
        *[Section(f"large {name}", [*bench, name], 2) for name in LARGE],
        Section("steps", [*bench, "step/"], 8),
        Section("tune", [wgrad, "tune", *steps, "--budget", str(max(5, seconds // 10)), *common], 8),
        Section("steps tuned", [*bench, "step/"], 8),
        Section("bench", [*bench], 20),
    ]
    if torch:
        compare = [sys.executable, str(ROOT / "benches/compare/pytorch.py")]
        there = {"DEVICE": torch}
        sections.insert(4, Section("PyTorch", [*compare, "step/", *LARGE], 10, there))
        sections.append(Section("PyTorch kernels", compare, 10, there))
    for demo, model in PROFILES:
        trace = folder / f"profile-{demo}-{model}.json"
        command = [wgrad, "train", demo, "--model", model, "--steps", "50", "--profile", str(trace), *common]
        sections.append(Section(f"profile {demo} {model}", command, 2))
    return sections


def torch_device():
    """The accelerator that PyTorch has here, if there is one."""
    script = ("import torch\nnames = ['cuda', 'xpu', 'mps']\n"
              "print(next((n for n in names if getattr(torch, n, None) and getattr(torch, n).is_available()), ''))")
    try:
        found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
        return found.stdout.strip() or None
    except (OSError, subprocess.TimeoutExpired):
        return None


def run(sections, total, say=print):
    """One after the other; what a section leaves of its part is for those after it."""
    end = time.monotonic() + total
    for number, section in enumerate(sections):
        left = end - time.monotonic()
        weights = sum(other.weight for other in sections[number:])
        # Twice its part, as most take less than theirs.
        seconds = min(left, 2 * left * section.weight / weights)
        if left < 1:
            section.outcome = "not run: no time was left"
            continue
        say(f"{section.name} …", flush=True)
        section.run(seconds)
        say(f"  {section.outcome}, {section.seconds:.1f} s, {len(section.lines)} lines", flush=True)


def cases(section):
    return {line["name"]: line for line in section.lines if line.get("event") == "case"}


def page(sections, device, command):
    """A page of Markdown."""
    by_name = {section.name: section for section in sections}
    empty = Section("", [], 0)
    get = lambda name: by_name.get(name, empty)
    peaks = [line for section in sections for line in section.lines if line.get("event") == "peak"]
    name = peaks[0]["device"] if peaks else device
    adapters = [line for line in get("devices").lines if line.get("name") == name]
    out = [f"# {name}", ""]
    out += [f"Measured by `{command}` on {time.strftime('%Y-%m-%d')}, {platform.system()} {platform.machine()}, commit {commit()}.", ""]
    if adapters:
        shown = {key: value for key, value in adapters[0].items() if key not in ("event", "name")}
        out += ["```json", json.dumps(shown, indent=1), "```", ""]
    if peaks:
        peak = peaks[0]
        out += [f"Limits, measured: {peak['gflops_f32']:,.0f} GFLOP/s in f32, {peak['gbytes_per_s']:,.0f} GB/s, "
                f"{peak['dispatch_us']:.2f} µs a dispatch, {peak['submit_readback_us']:.0f} µs to submit and read back.", ""]
    kernels = [line for line in get("check").lines if line.get("event") == "kernel"]
    wrong = [line["name"] for line in kernels if not line["ok"]]
    if "check" in by_name:
        out += [f"`check`: {len(kernels)} kernels, {len(wrong)} wrong{': ' + ', '.join(wrong) if wrong else ''} ({get('check').outcome}).", ""]

    torch = cases(get("PyTorch")) | cases(get("PyTorch kernels"))
    large = {name: line for section in sections if section.name.startswith("large ") for name, line in cases(section).items()}
    out += table("Large products", ["case", "wgrad TFLOP/s", "PyTorch TFLOP/s", "ratio"], [
        [name, rate(line), rate(torch.get(name)), ratio(torch.get(name), line)] for name, line in large.items()])
    before, after = cases(get("steps")), cases(get("steps tuned"))
    out += table("Training steps", ["case", "default µs", "tuned µs", "host µs", "dispatches", "PyTorch µs", "ratio, tuned"], [
        [name, micro(line), micro(after.get(name)), micro(line, "host_s"), str(line.get("dispatches", "")), micro(torch.get(name)),
         ratio(torch.get(name), after.get(name, line))] for name, line in before.items()])
    tuned = [line for line in get("tune").lines if line.get("event") == "tuned"]
    better = sorted((line for line in tuned if line["best_s"] < 0.97 * line["default_s"]), key=lambda line: line["best_s"] - line["default_s"])
    out += table("What tuning won", ["step", "kernel", "default µs", "best µs"], [
        [line["step"], line["kernel"], f"{line['default_s'] * 1e6:.1f}", f"{line['best_s'] * 1e6:.1f}"] for line in better[:30]])
    out += table("Kernels", ["case", "µs", "GFLOP/s", "GB/s", "of peak", "PyTorch µs", "ratio"], [
        [name, micro(line), f"{line['gflops']:,.0f}", f"{line['gbytes_per_s']:,.0f}", f"{line['fraction_of_peak']:.0%}",
         micro(torch.get(name)), ratio(torch.get(name), line)]
        for name, line in cases(get("bench")).items() if not name.startswith("step/")])
    out += table("What ran", ["section", "seconds", "outcome"], [
        [section.name, f"{section.seconds:.0f}", section.outcome] for section in sections])
    return "\n".join(out)


def table(title, heads, rows):
    if not rows:
        return []
    line = lambda cells: "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
    return [f"## {title}", "", line(heads), line(["---"] * len(heads)), *map(line, rows), ""]


def micro(line, key="median_s"):
    return f"{line[key] * 1e6:,.1f}" if line and line.get(key) else ""


def rate(line):
    return f"{line['gflops'] / 1000:.1f}" if line and line.get("gflops") else ""


def ratio(other, own):
    """How many times as fast as the other."""
    return f"{other['median_s'] / own['median_s']:.2f}" if other and own else ""


def commit():
    try:
        found = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=ROOT)
        return found.stdout.strip() or "unknown"
    except OSError:
        return "unknown"


def file_name(device):
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") or "device"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="gpu", help="as wgrad's --device")
    parser.add_argument("--wgrad", default=os.environ.get("WGRAD", str(ROOT / "target/release/wgrad")), help="the binary (WGRAD)")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs/measured", help="folder of the results")
    parser.add_argument("--seconds", type=float, default=540, help="time for all")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs of each case")
    parser.add_argument("--only", nargs="*", help="sections with one of these in their names")
    arguments = parser.parse_args()
    if not pathlib.Path(arguments.wgrad).is_file():
        parser.error(f"{arguments.wgrad} is not there: cargo build --release -p wgrad-cli, or --wgrad FILE")
    begun = time.monotonic()
    arguments.out.mkdir(parents=True, exist_ok=True)
    sections = plan(arguments.wgrad, arguments.device, torch_device(), arguments.quick, arguments.out, int(arguments.seconds))
    if arguments.only:
        sections = [one for one in sections if any(part in one.name for part in arguments.only)]
    run(sections, arguments.seconds - (time.monotonic() - begun) - 2)
    peak = next((line for one in sections for line in one.lines if line.get("event") == "peak"), {})
    stem = file_name(peak.get("device", arguments.device))
    command = " ".join(["tools/measure/measure.py", *sys.argv[1:]])
    (arguments.out / f"{stem}.md").write_text(page(sections, arguments.device, command) + "\n")
    with open(arguments.out / f"{stem}.jsonl", "w") as lines:
        for section in sections:
            for line in section.lines:
                lines.write(json.dumps({"section": section.name} | line) + "\n")
    print(f"{arguments.out / stem}.md")
    failed = [one.name for one in sections if one.outcome.startswith("failed")]
    return f"failed: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
