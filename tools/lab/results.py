"""Results of one target: a JSON file with the figures of each distinct kernel, and which case uses which."""

import hashlib
import json
import re
import subprocess
import sys

import drivers
import machine_code


def read(target, records, out):
    """Makes a target's file from the records that the layer left."""
    kind = machine_code.KINDS[target.assembly]
    kernels, uses = {}, []
    for path in sorted(records.rglob("[0-9]*.json")):
        case = str(path.parent.relative_to(records))
        try:
            record = json.loads(path.read_text(errors="replace"))
            assembly = record["assembly"]
        except (ValueError, KeyError):
            print(f"{target.name}: {path} has no assembly", file=sys.stderr)
            continue
        code = hashlib.sha256(without_names(assembly).encode()).hexdigest()[:16]
        number = sum(use["case"] == case and use["kernel"] == record["name"] for use in uses)
        uses.append({"case": case, "kernel": record["name"], "number": number, "code": code, "seconds": record.get("seconds")})
        if code not in kernels:
            figures = {"kernel": record["name"], "subgroup": record["subgroup"]} | kind.figures(record["statistics"])
            kernels[code] = figures | machine_code.analyse(kind, assembly, inner_turns(record["name"], target.name, case))
    content = {"target": target.name, "commit": commit(), "kernels": kernels, "uses": uses}
    text = json.dumps(content, indent=None, separators=(",", ":")).replace('{"kernel"', '\n{"kernel"').replace('{"case"', '\n{"case"')
    (out / f"{target.name}.json").write_text(text + "\n")


# Inner indices of a tile in `src/ops/product/choice.rs`, of which a turn of the inner loop has four. Its end is hidden from compilers.
TILE_INNER = {"128x128": 16, "64x64": 8, "small 64x64": 32, "small 32x32": 16}
# Of convolutions that are not read in groups, on AMD's GCN.
FEWER = {"small 64x64": 16, "small 32x32": 8}


def inner_turns(name, target, case):
    """A function of an innermost loop's multiply-adds: how often that loop is run, and the one around it; nothing where that is not known."""
    if tile := re.match(r"(?:matmul|convolution)(?:_(small))? (\d+x\d+)", name):
        size = " ".join(filter(None, tile.groups()))
        is_fewer = name.startswith("convolution") and " quads" not in name and target in ("vega10", "polaris10")
        turns = (FEWER if is_fewer else TILE_INNER).get(size, TILE_INNER.get(size, 4)) // 4
        return lambda multiply_adds: [turns]
    # Each unit of a recurrence has products with all of its state, of some rows, which is loaded 64 inner indices at a time. Forward, all gates
    # are multiplied at once; backward, one after another.
    hidden = re.search(r"/t\d+n\d+h(\d+)/", case)
    if hidden and (cell := re.match(r"(lstm|gru)_sequence( backward)? (\d+)x", name)):
        gates, rows = {"lstm": 4, "gru": 3}[cell[1]], int(cell[3])
        piece = 64 * rows * (1 if cell[2] else gates)
        return lambda multiply_adds: [max(piece // multiply_adds, 1), int(hidden[1]) * rows * gates // piece]
    return lambda multiply_adds: []


def without_names(assembly):
    """The code alone: Turnip heads its assembly with a hash of the source."""
    return "\n".join(line for line in assembly.splitlines() if not line.startswith(("Native code", ";")))


def commit():
    found = subprocess.run(["git", "describe", "--always", "--dirty"], stdout=subprocess.PIPE, text=True, cwd=drivers.HERE)
    return found.stdout.strip()


def load(path, targets=None):
    """The results in a folder, or in one file."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    found = [json.loads(file.read_text()) for file in files if file.exists()]
    order = list(drivers.TARGETS)
    return sorted((one for one in found if not targets or one["target"] in targets), key=lambda one: order.index(one["target"]))
