#!/usr/bin/env python3
"""What real GPUs' compilers make of wgrad's kernels, without a GPU. `docs/lab.md` says how to read it.

    lab.py get                          fetch and build what is missing, into a cache folder
    lab.py run [--target NAME]...       compile the kernels of `wgrad bench`, one JSON file for each target
    lab.py table [FOLDER]               print the results; --baseline FOLDER|FILE.json compares
    lab.py pose -- COMMAND              run a command on lavapipe that poses as a card

WGRAD_LAB_CACHE names the cache folder (~/.cache/wgrad-lab), WGRAD_LAB_MIRROR a mirror of Debian.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

import drivers
import report
import results

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SECONDS_A_CASE = 300


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def get(arguments):
    for name in arguments.target or drivers.TARGETS:
        if available(drivers.TARGETS[name]):
            say(f"{name}: ready")


def available(target):
    try:
        drivers.get(target)
    except drivers.Missing as reason:
        say(f"{target.name}: SKIPPED, {reason}")
        return False
    return True


def binary():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return os.environ.get("WGRAD", str(target / "release/wgrad"))


def cases(filters):
    """The benchmark's cases, without those that only compile on the host, and those that run with another whose name begins theirs."""
    found = []
    for text in filters or ["/"]:
        listed = subprocess.run([binary(), "bench", text, "--list"], stdout=subprocess.PIPE, text=True, check=True)
        found += listed.stdout.split()
    found = [name for name in dict.fromkeys(found) if not name.startswith("compile/")]
    return [name for name in found if not any(name.startswith(f"{other}/") for other in found)]


def compile_case(target, case, folder):
    """Compiles the kernels of a case, and leaves their records in a folder; returns why there are none."""
    folder.mkdir(parents=True)
    command = [binary(), "bench", case, "--quick", "--device", "gpu"]
    command, environment = drivers.prepared(target, command, {"RECORD": folder})
    environment["XDG_CACHE_HOME"] = str(folder / "cache")
    with open(folder / "log", "w") as log:
        try:
            # Results are meaningless there, so a failure at the end is expected; no records are not.
            subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, timeout=SECONDS_A_CASE)
        except subprocess.TimeoutExpired:
            say(f"{target.name}: {case} took more than {SECONDS_A_CASE} s")
    shutil.rmtree(folder / "cache", ignore_errors=True)
    lines = (folder / "log").read_text(errors="replace").splitlines()
    return "" if any(folder.glob("*.json")) else (lines or ["it ended without a word"])[-1]


def compile_target(target, names, out):
    records = out / "records" / target.name
    shutil.rmtree(records, ignore_errors=True)
    for number, case in enumerate(names):
        # A driver in a card's stead does not open every time.
        reason = compile_case(target, case, records / case)
        if reason and number > 0:
            shutil.rmtree(records / case)
            reason = compile_case(target, case, records / case)
        if reason:
            say(f"{target.name}: {case} made no kernels: {reason}")
            if number == 0:
                say(f"{target.name}: SKIPPED, the driver does not open")
                return
    results.read(target, records, out)
    say(f"{target.name}: done")


def run(arguments):
    targets = [drivers.TARGETS[name] for name in arguments.target or drivers.TARGETS]
    targets = [target for target in targets if available(target)]
    names = cases(arguments.case)
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda target: compile_target(target, names, arguments.out), targets))
    table(arguments)


def read(arguments):
    """Reads the records again, with a newer analysis."""
    for folder in sorted((arguments.out / "records").iterdir()):
        results.read(drivers.TARGETS[folder.name], folder, arguments.out)
    table(arguments)


def table(arguments):
    found = results.load(arguments.out, arguments.target)
    if not found:
        sys.exit(f"there are no results in {arguments.out}")
    if arguments.baseline:
        print(report.comparison(results.load(arguments.baseline, arguments.target), found))
    elif arguments.wide:
        print(report.wide(found, arguments.markdown))
    else:
        print(report.table(found, arguments.markdown, arguments.all))
        if seconds := report.start_up(found, arguments.markdown):
            print(f"\n{seconds}")


def pose(arguments):
    try:
        drivers.get(drivers.POSING)
    except drivers.Missing as reason:
        say(f"SKIPPED, {reason}")
        return
    switches = {"RUNS": 1, "KIND": arguments.kind}
    if arguments.subgroup:
        switches["SUBGROUP"] = arguments.subgroup
    command, environment = drivers.prepared(drivers.POSING, arguments.command, switches)
    if arguments.subgroup:
        # What is said of subgroups has to be true: the driver has as many lanes as its vectors have words.
        environment["LP_NATIVE_VECTOR_WIDTH"] = str(32 * arguments.subgroup)
    os.execve(command[0], command, environment)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    reading = argparse.ArgumentParser(add_help=False)
    reading.add_argument("--target", action="append", choices=drivers.TARGETS, metavar="NAME", help="one of " + ", ".join(drivers.TARGETS))
    reading.add_argument("--baseline", type=pathlib.Path, metavar="FOLDER|FILE.json", help="compare with an earlier run")
    reading.add_argument("--markdown", action="store_true")
    reading.add_argument("--wide", action="store_true", help="a column for each target, with the most important figures")
    reading.add_argument("--all", action="store_true", help="every kernel, also the small ones")
    out = {"type": pathlib.Path, "default": REPOSITORY / "target/lab", "metavar": "FOLDER"}

    command = commands.add_parser("get", help="fetch and build what is missing")
    command.add_argument("--target", action="append", choices=drivers.TARGETS, metavar="NAME")
    command.set_defaults(call=get)
    command = commands.add_parser("run", parents=[reading], help="compile the kernels")
    command.add_argument("--case", action="append", metavar="NAME", help="as `wgrad bench` takes them")
    command.add_argument("--out", **out)
    command.set_defaults(call=run)
    for name, what in (("read", read), ("table", table)):
        command = commands.add_parser(name, parents=[reading], help=what.__doc__ or "print the results")
        command.add_argument("out", nargs="?", **out)
        command.set_defaults(call=what)
    command = commands.add_parser("pose", help="run a command on lavapipe that poses as a card")
    command.add_argument("--kind", choices=("discrete", "integrated"), default="discrete")
    command.add_argument("--subgroup", type=int, metavar="N")
    command.add_argument("command", nargs="+")
    command.set_defaults(call=pose)
    arguments = parser.parse_args()
    if "out" in arguments:
        arguments.out = arguments.out.resolve()
    arguments.call(arguments)


if __name__ == "__main__":
    main()
