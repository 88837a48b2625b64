"""A copy of the package whose kernels with filters in lanes do 1.3 times the multiplications: the gate is to notice.

    python -m numconv bench --gate FILE --save
    python -m tests.slowed FILE

The extra products are by one, so all results stay the same. A second argument is how many (0.3).
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
OLD = """\
        return value

    return tile(tile, types.int64, _offsets(tile), types.int64), codegen
"""
"""The end of `outer`."""
NEW = (
    """\
        if tile.vecs > 1 and not tile.integral:
            one = ir.IntType(8 * tile.size)(0x3F800000 if tile.size == 4 else 0x3FF0000000000000)
            top = b.lshr(right_, I64(63))
            one = b.or_(one, b.trunc(top, one.type) if tile.size == 4 else top)
            ones = _splat(b, tile.vector, b.bitcast(one, tile.element))
            for q in range(round({more} * tile.rows * tile.vecs)):
                value = b.insert_value(value, b.fmul(b.extract_value(value, q), ones), q)
"""
    + OLD
)
"""Accumulators times 1.0, which LLVM does not know to be 1.0: it is made with the top bit of an address, 0.

Not for one vector a row: such is the loop that kernels are compared with.
"""


def slowed(source: str, more: float = 0.3) -> str:
    """The source of `FILE` with products added."""
    if source.count(OLD) != 1:
        raise LookupError(f"{FILE} has no longer the text that is to be changed")
    return source.replace(OLD, NEW.format(more=more))


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
