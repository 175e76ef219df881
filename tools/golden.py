"""Writes the golden files under tests/golden: inputs, outputs and gradients as PyTorch computes them.

    python3 tools/golden.py            write every family
    python3 tools/golden.py loss unary write these families
    python3 tools/golden.py --check    regenerate in memory and compare with the files, byte for byte

The files in the repository were made with torch 2.15.0, numpy 2.4.6, safetensors 0.8.0 and, for the metrics and texts,
scikit-learn 1.9.1, for BLEU sacrebleu 2.6.0. tools/README.md describes the format.
"""

import argparse
import sys
import warnings
from pathlib import Path

import torch

from golden_cases import (
    attention,
    binary,
    bleu,
    convolution,
    custom_cell,
    display,
    gan,
    initializer,
    loss,
    matmul,
    metrics,
    movement,
    networks,
    norm,
    optimizer,
    pool,
    recurrent,
    reduce,
    schedule,
    sentences,
    text,
    training,
    transformer,
    unary,
)

OUTPUT = Path(__file__).resolve().parent.parent / "tests" / "golden"
MODULES = (
    unary, binary, reduce, movement, matmul, attention, convolution, pool, norm, recurrent, custom_cell, loss, optimizer, schedule, initializer,
    metrics, bleu, training, transformer, networks, sentences, gan, display, text,
)  # fmt: skip
FAMILIES = {module.__name__.rsplit(".", 1)[1]: module.build for module in MODULES}
SIZE_LIMIT = 4_000_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", help=f"of {', '.join(FAMILIES)}; all when none is named")
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.families if name not in FAMILIES]
    if unknown:
        parser.error(f"no such family: {', '.join(unknown)}")

    warnings.filterwarnings("ignore", message=r"Using padding=.same. with even kernel")
    # Told on purpose: the variance of nothing, and `mean` of kl_div.
    warnings.filterwarnings("ignore", message=r"var\(\): degrees of freedom|reduction: .mean. divides")
    # One thread, so that the order of every sum is the same on every machine.
    torch.set_num_threads(1)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    stale = []
    for name in arguments.families or FAMILIES:
        family = FAMILIES[name]()
        for suffix, content in family.files().items():
            path = OUTPUT / f"{name}.{suffix}"
            if not arguments.check:
                path.write_bytes(content)
            elif not path.exists() or path.read_bytes() != content:
                stale.append(path.name)
        print(f"{name:12} {len(family.cases):4} cases")
    if stale:
        sys.exit(f"differ from what is in {OUTPUT.name}: {', '.join(stale)}")
    total = sum(path.stat().st_size for path in OUTPUT.iterdir())
    if total > SIZE_LIMIT:
        sys.exit(f"the golden files hold {total} bytes, more than {SIZE_LIMIT}")


if __name__ == "__main__":
    main()
