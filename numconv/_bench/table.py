"""Tables as aligned text and as Markdown, and the numbers in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first `words` columns hold words, the others numbers; `feet` are set apart.

    `notes` follow below.
    """

    title: str
    headings: Row
    rows: Sequence[Row]
    feet: Sequence[Row] = ()
    words: int = 1
    notes: Sequence[str] = ()

    def text(self) -> str:
        """Aligned columns under the title."""
        every = [self.headings, *self.rows, *self.feet]
        widths = [max(len(row[i]) for row in every) for i in range(len(self.headings))]
        lines = [self._line(row, widths) for row in every]
        rule = "-" * max(map(len, lines))
        lines.insert(1, rule)
        if self.feet:
            lines.insert(len(self.rows) + 2, rule)
        return "\n".join([self.title, "", *lines, *self.notes])

    def _line(self, row: Row, widths: list[int]) -> str:
        cells = (
            cell.ljust(width) if i < self.words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    def markdown(self) -> str:
        """For GitHub: numbers to the right, the feet in italics."""
        rules = [":--" if i < self.words else "--:" for i in range(len(self.headings))]
        feet = [tuple(f"*{cell}*" if cell else "" for cell in row) for row in self.feet]
        lines = ["| " + " | ".join(row) + " |" for row in (self.headings, rules, *self.rows, *feet)]
        return "\n".join([f"**{self.title}**", "", *lines, *(f"\n{note}" for note in self.notes)])


def number(value: float | None) -> str:
    """Three digits, "-" for None."""
    if value is None:
        return "-"
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}" if value >= 0.9995 else f"{value:.3g}"


def share(value: float | None) -> str:
    """Percent."""
    return "-" if value is None else f"{value:.0%}"


def times(value: float | None) -> str:
    """A ratio: 1.23x."""
    return "-" if value is None else f"{value:.2f}x" if value < 9.995 else f"{value:.0f}x"
