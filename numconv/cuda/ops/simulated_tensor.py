"""The same for the simulator: a body runs once for all lanes of a warp, which wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .simulated import Pointer
from .simulated_copies import copying

_lock = threading.Lock()


def matrices(body: Callable, kind: str, size: int, words: bool = False) -> Callable:
    """Values of a body are arrays of 32 lanes: registers of 32 bits, or accumulators."""

    def step(acc: np.ndarray, memory: np.ndarray, rows: int, columns: int) -> None:
        def all_lanes(given: list) -> np.ndarray:
            values = list(np.array([lane[0] for lane in given]).T.copy())
            left, right = (np.array([lane[i] for lane in given], np.int64) * memory.itemsize for i in (1, 2))
            with np.errstate(all="ignore"):
                body(values, _fragments(memory, left), (_words if words else _fragments)(memory, right), _Warp(kind))
            return np.array(values).T

        acc[:size] = _together(all_lanes, (acc[:size].copy(), rows, columns))

    return step


def _together(function: Callable, value: Any) -> Any:
    """A lane's row of function(values of all lanes), which one of them computes."""
    thread: Any = threading.current_thread()
    block, t = thread._manager, int(thread.threadIdx.x)
    with _lock:
        warps = block.__dict__.setdefault("warps", {})
        if t >> 5 not in warps:
            warps[t >> 5] = threading.Barrier(32), [None] * 32, [None]
            block.__dict__.setdefault("barriers", []).append(warps[t >> 5][0])  # broken when a thread fails
        barrier, values, found = warps[t >> 5]
    values[t & 31] = value
    try:
        if barrier.wait(60) == 0:
            found[0] = function(values)
        barrier.wait(60)
    except BaseException:
        barrier.abort()
        raise
    return found[0][t & 31]


def _fragments(memory: np.ndarray, places: np.ndarray) -> Callable[[int, int], list]:
    data = memory.view(np.uint8)

    def load(offset: int, flip: int) -> list:
        first = (places ^ flip) + offset
        if (first % 16).any() or first.min() < 0 or first.max() > len(data) - 16:
            raise IndexError(f"rows of 16 bytes at {first} of {len(data)}")
        if any(len(set(first[i : i + 8] // 16 % 8)) < 8 for i in range(0, 32, 8)):
            raise IndexError(f"rows at {first}, of which two are in the same banks")
        rows = data[first[:, None] + np.arange(16)].view(np.uint32)
        return [rows[8 * i : 8 * i + 8].ravel() for i in range(4)]

    return load


def _words(memory: np.ndarray, places: np.ndarray) -> Callable[[int, int], np.ndarray]:
    """Of 32 bits; no two lanes ask the same bank for different ones."""
    data = memory.view(np.uint32)

    def load(offset: int, flip: int) -> np.ndarray:
        first = ((places ^ flip) + offset) // 4
        if first.min() < 0 or first.max() >= len(data) or len(set(first % 32)) < 32:
            raise IndexError(f"words at {first} of {len(data)}")
        return data[first]

    return load


class _Warp:
    """Products are exact, their sum with an accumulator is rounded once; the hardware's is not quite that."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def zeros(self) -> list:
        return [np.zeros(32, np.float32)] * 4

    def multiply(self, sums: list, rows: list, columns: list) -> list:
        a, b = map(self._numbers, rows), map(self._numbers, columns)
        a0, a1, a2, a3 = (part.reshape(8, -1) for part in a)
        left = np.block([[a0, a2], [a1, a3]])
        right = np.hstack([part.reshape(8, -1) for part in b])  # a row for each column of the product
        total = left @ right.T
        c = np.stack(sums, axis=1).astype(np.float64).reshape(8, 4, 2, 2)  # row, pair of columns, half, column
        total += np.concatenate([c[:, :, half].reshape(8, 8) for half in (0, 1)])
        halves = total.astype(np.float32).reshape(2, 8, 4, 2)
        return [halves[half, :, :, j].ravel() for half in (0, 1) for j in (0, 1)]

    def _numbers(self, words: np.ndarray) -> np.ndarray:
        """What a register holds: the hardware does not look at the low bits of tf32."""
        if self._kind == "tf32":
            return (words & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)
        parts = words.view(np.uint16)
        if self._kind == "f16":
            return parts.view(np.float16).astype(np.float64)
        return (parts.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)

    def add(self, a: Any, b: Any) -> Any:
        return a + b

    def rounded(self, word: np.ndarray) -> np.ndarray:
        return _tf32(word.view(np.float32)).view(np.uint32)

    def split(self, word: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, rounded = word.view(np.float32), (word + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
        within = np.abs(value) < np.uint32(0x7F7FF000).view(np.float32)
        high = np.where(within, rounded, np.uint32(0))
        return high, (value - high.view(np.float32)).view(np.uint32)


def _tf32(values: np.ndarray) -> np.ndarray:
    """Half away from zero; infinities and NaN stay."""
    rounded = ((values.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)
    return np.where(np.isfinite(values), rounded, values).astype(np.float32)


def _bf16(values: np.ndarray) -> np.ndarray:
    """Bits, half to even."""
    bits = values.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(values), np.uint32(0x7FFF), rounded).astype(np.uint16)


def copying_rows(storage: str, n: int, count: int, pitch: int) -> Callable:
    """One after the other."""
    one = copying(storage, n)

    def copy(array: np.ndarray, at: int, pointer: Pointer, offset: int, plane: int, there: bool) -> None:
        if at % n or at % 32 + n > 32 or pitch % 32:
            raise IndexError(at)
        for e in range(count):
            one(array, (int(at) ^ (e & 3) * 8) + e * pitch, pointer, offset + e * plane, there)

    return copy


def unloading(first: int, n: int, pitch: int) -> Callable:
    """Pairs, aligned to 8 bytes."""

    def put(array: np.ndarray, at: int, acc: np.ndarray) -> None:
        if at % 2 or at < 0:
            raise IndexError(at)
        for i in range(2 * n):
            place = at + i // 2 * 8 + i % 2 * 8 * pitch
            array[place : place + 2] = acc[first + 2 * i : first + 2 * i + 2]

    return put


def leaving(n: int, pitch: int) -> Callable:
    """Checked stores."""

    def leave(pointer: Pointer, offset: int, acc: np.ndarray) -> None:
        for i in range(n):
            pointer.memory[pointer.at(offset + i * pitch)] = acc[i]

    return leave


def taking_up(n: int, pitch: int) -> Callable:
    """Checked loads."""

    def add(acc: np.ndarray, pointer: Pointer, offset: int) -> None:
        for i in range(n):
            acc[i] += pointer.memory[pointer.at(offset + i * pitch)]

    return add


def lifting(n: int) -> Callable:
    """Aligned."""

    def lift(values: np.ndarray, array: np.ndarray, at: int) -> None:
        if at % n or not 0 <= at <= len(array) - n:
            raise IndexError(at)
        values[:n] = array[at : at + n]

    return lift


def storing_as(kind: str, storage: str, n: int) -> Callable:
    """Aligned, and within bounds."""
    convert = {"tf32": _tf32, "bf16": _bf16, "f16": lambda values: values.astype(np.float16)}.get(kind, np.float32)

    def store(pointer: Pointer, offset: int, values: np.ndarray) -> None:
        first, last = pointer.at(offset), pointer.at(offset + n - 1)
        place = pointer.memory[first : last + 1]
        if place.__array_interface__["data"][0] % place.nbytes:
            raise IndexError(f"offset {offset} is not aligned to {place.nbytes} bytes")
        with np.errstate(all="ignore"):
            place[:] = convert(np.asarray(values[:n], np.float32))

    return store
