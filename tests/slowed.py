"""A copy of the package whose micro-kernel does 1.3 times the multiply-adds: the gate is to notice it, by hand.

    python -m numconv bench --gate FILE --save
    python -m tests.slowed FILE

The extra products go nowhere, so all results stay the same. It is written for x86.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "numconv"
FILE = "cpu/kernels/tile.py"
OLD = """        vectors = _vectors(b, tile, right_)
        for i in range(tile.rows):
            scalar = _broadcast(b, tile, b.add(left_, b.extract_value(offsets_, i)))
            for j, vector in enumerate(vectors):
"""
EXTRA = """        kind = ir.FunctionType(tile.vector, [tile.vector])
        for _ in range(round({more} * tile.rows * tile.vecs) if tile.vecs > 1 else 0):
            b.asm(kind, "vmulps $1, $1, $0", "=&v,v", [vectors[0]], True)
"""
"""Not for one vector a row: such is the loop that kernels are compared with."""


def slowed(source: str, more: float = 0.3) -> str:
    """The source of `FILE` with products added."""
    if source.count(OLD) != 1:
        raise LookupError(f"{FILE} has no longer the text that is to be changed")
    first, rest = OLD.split("\n", 1)
    return source.replace(OLD, first + "\n" + EXTRA.format(more=more) + rest)


def main(gate: str, more: float = 0.3) -> int:
    """Return the gate's exit status with the slowed copy."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, "numconv")
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        path = copy / FILE
        path.write_text(slowed(path.read_text(), more))
        environment = os.environ | {"PYTHONPATH": directory, "NUMCONV_CACHE_DIR": str(Path(directory, "cache"))}
        command = [sys.executable, "-m", "numconv", "bench", "--gate", str(Path(gate).resolve())]
        return subprocess.run(command, env=environment, cwd=directory).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(float, sys.argv[2:])))
