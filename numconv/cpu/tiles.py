"""Shapes of register tiles, by the registers of the CPU: the one table that tuning touches.

A tile of R rows and V vectors needs R*V accumulators, V vectors of the right operand and one broadcast; a step costs
R*V multiply-adds and R + V loads. Two multiply-adds and two loads start in a cycle and a multiply-add takes four, so
that 8 accumulators at least, and R + V <= R*V, keep the multipliers busy.
"""

from __future__ import annotations

from functools import lru_cache

from .machine import Machine, machine

Shape = tuple[tuple[int, ...], ...]
Shapes = dict[int, Shape]

# (rows, vecs), the first being the usual choice and the others for what fits it badly.
FILTERS: Shapes = {32: ((6, 4), (8, 3), (8, 2), (10, 1)), 16: ((6, 2), (5, 2), (8, 1), (3, 3))}
"""Filters in lanes: rows are pixels.

Every row has an offset in a register of its own, of which x86 has 16: ten rows and more are slower than their loads say
(AVX-512, operands in L1, GFLOP/s of 204 in registers: 6x4 204, 8x3 195, 8x2 194, 10x2 187, 10x1 163, 14x1 150).
"""
GRADIENTS: Shapes = {32: ((6, 4), (8, 3), (8, 2), (8, 1)), 16: ((6, 2), (5, 2), (8, 1))}
"""Gradients of weights: rows are elements, lanes filters."""
GRADIENTS_APART: Shapes = {32: ((9, 1), (10, 1)), 16: ((9, 1), (8, 1))}
"""The same where lanes see channels apart: a load for every multiply-add, as many rows as have registers."""
PIXELS: Shapes = {32: ((8, 3), (4, 6), (12, 2), (2, 8), (1, 8)), 16: ((6, 2), (4, 3), (2, 4), (1, 7))}
"""Pixels in lanes: rows are filters."""
ROWS: Shapes = {32: ((4, 5), (3, 5), (2, 8), (1, 8)), 16: ((3, 3), (2, 4), (1, 7))}
"""Pixels in lanes: rows are output rows of one filter."""

CHANNELS: Shapes = {
    32: ((7, 1, 2), (8, 1, 2), (14, 1, 1), (7, 2, 1), (16, 1, 1), (8, 2, 1)),
    16: ((7, 1, 1), (8, 1, 1), (4, 1, 2), (4, 1, 1)),
}
"""Channels in lanes: (pixels of a row, vecs, output rows). Rows of layers are 7 or 8 pixels times a power of two."""

PLANES: Shapes = {32: ((7, 4), (4, 4), (7, 2), (14, 1)), 16: ((7, 1), (4, 2), (2, 4))}
"""Pixels in lanes: rows are output rows of one filter of few taps, with any stride."""
FEW_TAPS = 49
"""Taps up to which all of them are in the code of a tile."""
MOST_CODE = 800
"""Multiply-adds in the code of a tile: 7x7 taps in tiles of 7x4 take half a second more to compile, and are no faster
than in tiles of 4x4."""

TOGETHER = (4, 3)
"""Channels come in fours or threes: their steps share an offset (AVX-512, operands in L1: 193 GFLOP/s, not 187)."""


def cycles_a_step(rows: int, vecs: int) -> float:
    """Estimated cycles of one rank-1 update: multiply-adds, loads (and the step's offset), latency.

    Loads count a little even where they are hidden: on a CPU whose clock follows its power (Xeon, AVX-512) a loop of
    multiply-adds alone runs at 215 GFLOP/s a core, with 10 loads per 24 of them at 178, with 10 per 16 at 172.
    """
    loads = rows + vecs + 1
    return max(rows * vecs / 2, loads / 2, 4.0) + 0.1 * loads


LOAD = 0.23
"""Cycles of a load from L1 beside multiply-adds, as they cost on that CPU; a vector across two cache lines is two."""


def cycles_of_vectors(rows: int, vecs: int, load: float = LOAD) -> float:
    """`cycles_a_step` with pixels in lanes, whose vectors begin anywhere."""
    loads = rows + 2 * vecs + 1
    return max(rows * vecs / 2 + load * loads, loads / 2, 4.0)


@lru_cache(maxsize=1)
def load_from_l1() -> float:
    """`LOAD` where all that a tile reads lies in L1: where AVX-512 keeps its clock (Zen 5), loads are then nearly free.

    32 filters of 15x15, tiles of 8x3: 94 % of the peak there, 60 % on the Xeon.
    """
    return 0.06 if machine().name.startswith("znver") else LOAD


def rolling(taps: int, machine: Machine) -> Shape:
    """Tiles of all tap rows of one filter: as many vectors as fit, and fewer for what these fit badly."""
    most = min(8, (registers(machine) - 1) // (taps + 1))
    return tuple((taps, vecs) for vecs in range(most, 0, -1) if vecs == most or taps * vecs >= 8)


def planes(taps: int, machine: Machine) -> Shape:
    """Tiles for a plane of so many taps, none of which has too much code."""
    return tuple(shape for shape in shapes(PLANES, machine) if shape[0] * shape[1] * taps <= MOST_CODE)


def registers(machine: Machine) -> int:
    """Vector registers: 32 or 16."""
    return 32 if machine.registers >= 32 else 16


def shapes(table: Shapes, machine: Machine) -> Shape:
    """The tile shapes of a table for a CPU."""
    return table[registers(machine)]


def describe(machine: Machine) -> dict[str, str]:
    """Tile shapes as text, for `show_config`."""
    names: dict[str, Shapes] = {
        "filters in lanes": FILTERS,
        "pixels in lanes": PIXELS,
        "output rows": ROWS,
        "output rows of planes": PLANES,
        "channels in lanes": CHANNELS,
    }
    return {
        name: ", ".join(f"{shape[0]}x{shape[1]}x{machine.lanes['f4']}" for shape in shapes(table, machine))
        for name, table in names.items()
    }
