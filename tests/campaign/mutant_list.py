"""The faults to seed, from mutants.txt."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` becomes `new` in numconv/`file`, or in the one file of that folder that has it."""

    name: str
    file: str
    first: str  # -k expression of the tests that likely notice soonest
    old: str
    new: str


def _read(text: str) -> list[Mutant]:
    """Blocks of five lines, apart by empty ones, behind an introduction."""
    mutants = []
    for block in text.strip("\n").split("\n\n")[1:]:
        name, file, first, old, new = block.split("\n")
        mutants.append(Mutant(name, file, first.removeprefix("-k "), old.removeprefix("- "), new.removeprefix("+ ")))
    return mutants


MUTANTS = _read((Path(__file__).parent / "mutants.txt").read_text(encoding="utf-8"))
