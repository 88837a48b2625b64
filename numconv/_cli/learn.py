"""``python -m numconv learn``: a hidden filter is found from examples, digits are read, and both are drawn."""

from __future__ import annotations

from pathlib import Path

from . import detector, digits
from .errors import extra
from .files import check_output, write

FORMATS = (".png", ".jpg", ".pdf")


def run(output: Path, seed: int) -> int:
    """Both lessons; the page goes to `output`."""
    extra("matplotlib", "drawing what was learned")
    check_output(output, FORMATS)
    data = digits.digits(seed)
    found = detector.approach(seed)
    print(f"A filter learns from {detector.PICTURES} pictures and the answers of a hidden one\n")
    print(detector.table(found))
    print(f"\nA network learns to read {len(data.x)} handwritten digits\n", flush=True)
    reader = digits.train(data, seed)
    print(f"{reader.model.count_params():,} weights, {reader.seconds:.1f} s", flush=True)

    from .learned import Learned, write_learned

    write(output, lambda path: write_learned(Learned(found, data, reader), path))
    print(f"\nFilters, maps and curves: {output}")
    return 0
