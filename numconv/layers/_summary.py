"""The table of `Sequential.summary`, in Keras's manner."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._sequential import Sequential

_HEADINGS = ("Layer (type)", "Output Shape", "Param #")


def summary(model: Sequential) -> str:
    """Layers, shapes of their outputs, and how many weights."""
    rows = [
        (layer.label, str((None, *shape)), f"{layer.count_params():,}")
        for layer, shape in zip(model.layers, model.shapes, strict=True)
    ]
    widths = [max(30, *(len(row[0]) + 2 for row in rows)), max(24, *(len(row[1]) + 2 for row in rows)), 11]
    rule, double = "_" * sum(widths), "=" * sum(widths)
    lines = ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in (_HEADINGS, *rows)]  # fmt: skip
    trained = sum(layer.count_params() for layer in model.layers if layer.trainable)
    total = model.count_params()
    counts = [("Total", total), ("Trainable", trained), ("Non-trainable", total - trained)]
    feet = [f"{words} params: {count:,} ({_bytes(count * model.dtype.itemsize)})" for words, count in counts]
    return "\n".join([f'Model: "{model.name}"', rule, lines[0], double, *lines[1:], double, *feet, rule])


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1024:
            return f"{count:.2f} {unit}"
        count /= 1024
    return f"{count:.2f} GB"
