"""The same for the simulator, from the definitions of the PTX ISA: descriptors, the swizzle, who holds which sum.

A product reads its operands when it is queued, and again when it is waited for: they must not have changed in between.
Meanwhile the accumulators are NaN. Sums are cut to float32, not rounded, as tensor cores are known to do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import product as product_of
from typing import Any

import numpy as np

from .simulated import Pointer
from .simulated_copies import copying

_BASE = 1024
"""The address of the block's memory."""
_BYTES = {"bf16": 2, "f16": 2, "tf32": 4}


def descriptor(array: np.ndarray, at: int) -> int:
    """The bits of section "Matrix descriptor format": address, two offsets, swizzle of 128 bytes."""
    vars(threading.current_thread())["window"] = array
    address, leading, stride = _BASE + int(at), 16, 1024
    return (address & 0x3FFFF) >> 4 | leading >> 4 << 16 | stride >> 4 << 32 | 1 << 62


def multiplying(kind: str, N: int, pairs: tuple[tuple[int, int], ...] = ((0, 0),)) -> Callable:
    """Four products of 32 bytes of K for each pair."""

    def product(acc: np.ndarray, a: int, b: int, more: int) -> None:
        state = vars(threading.current_thread())
        groups = state.setdefault("products", [])
        sums = state.get("sums")
        if sums is None:
            sums = state["sums"] = acc[: N // 2].copy()
        if not more:
            sums[:] = 0
        rows, columns = _own(N)
        group = []
        for (one, two), step in product_of(pairs, range(4)):
            left, right = int(a) + (one >> 4) + 2 * step, int(b) + (two >> 4) + 2 * step
            places = _places(left, rows), _places(right, columns)
            read = [state["window"][each] for each in places]
            group.append((places, read))
            rows_of, columns_of = (_values(each, kind) for each in read)
            with np.errstate(all="ignore"):
                total = sums.reshape(-1, 2, 2).astype(np.float64) + np.einsum(
                    "hk,jek->jhe", rows_of, columns_of.reshape(-1, 2, columns_of.shape[1])
                )
                sums[:] = _cut(total.ravel())
        groups.append(group)
        acc[: N // 2] = np.nan

    return product


def settling(N: int) -> Callable:
    """All of them, and the accumulators are there."""
    wait = finished(0)

    def settle(acc: np.ndarray) -> None:
        wait()
        sums = vars(threading.current_thread()).pop("sums", None)
        if sums is not None:
            acc[: N // 2] = sums

    return settle


def finished(groups: int) -> Callable:
    """Nothing that a product was to read has changed since it was queued."""

    def wait() -> None:
        state = vars(threading.current_thread())
        queued = state.setdefault("products", [])
        for group in queued[: len(queued) - groups]:
            for places, read in group:
                for place, before in zip(places, read, strict=True):
                    if not np.array_equal(state["window"][place], before):
                        raise RuntimeError("an operand was overwritten before its product was finished")
        del queued[: max(0, len(queued) - groups)]

    return wait


def fence_copies() -> None:
    """Nothing here: every thread sees all memory."""


def gathering(n: int, pitch: int) -> Callable:
    """Copies, one by one."""
    copy = copying("uint8", 16)

    def gather(array: np.ndarray, at: int, pointer: Pointer, origins: np.ndarray, piece: int, there: bool) -> None:
        for i in range(n):
            copy(array, int(at) + i * pitch, pointer, (int(origins[i]) + int(piece)) * 16, there)

    return gather


def streaming(n: int, pitch: int) -> Callable:
    """Copies, one by one."""
    copy = copying("uint8", 16)

    def stream(array: np.ndarray, at: int, pointer: Pointer, offset: int) -> None:
        for i in range(0, n * pitch, pitch):
            copy(array, int(at) + i, pointer, int(offset) + i, True)

    return stream


def spreading(N: int, first: int, down: int, right: int) -> Callable:
    """By pairs, where 8 bytes are aligned and columns are neighbours."""

    def spread(array: np.ndarray, at: int, acc: np.ndarray) -> None:
        if right == 1 and (at % 2 or down % 2):
            raise IndexError(at)
        for i in range(N // 2):
            array[at + i // 4 * 8 * right + i // 2 % 2 * 8 * down + i % 2 * right] = acc[first + i]

    return spread


def fetching(storage: str, first: int, n: int) -> Callable:
    """Neighbours that are aligned."""

    def fetch(values: np.ndarray, pointer: Pointer, offset: int) -> None:
        values[first : first + n] = pointer.memory[_run(pointer, offset, n)]

    return fetch


def pouring(kind: str, part: int) -> Callable:
    """To the nearest, half to even, or away from zero for tf32."""
    n = 16 // _BYTES[kind]

    def pour(pointer: Pointer, offset: int, values: np.ndarray) -> None:
        with np.errstate(all="ignore"):
            found = values[:n].astype(np.float32)
            for _ in range(part):
                found = found - rounded(found, kind)
            found = rounded(found, kind)
        bits = found.astype(np.float16) if kind == "f16" else found
        pointer.memory[_run(pointer, offset, 16)] = (
            (bits.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8) if kind == "bf16" else bits.view(np.uint8)
        )

    return pour


def rounded(values: np.ndarray, kind: str) -> np.ndarray:
    """float32 values that a kind holds."""
    if kind == "f16":
        return values.astype(np.float16).astype(np.float32)
    bits = values.view(np.uint32).astype(np.uint64)
    low = 16 if kind == "bf16" else 13
    half = (1 << low - 1) - 1 + (bits >> low & 1) if kind == "bf16" else 1 << low - 1
    found = ((bits + half) >> low << low).astype(np.uint32).view(np.float32)
    return np.where(np.isnan(values), np.float32(np.nan), found)


def _run(pointer: Pointer, offset: int, n: int) -> slice:
    first, last = pointer.at(offset), pointer.at(offset + n - 1)
    if pointer.memory[first:].__array_interface__["data"][0] % (n * pointer.memory.itemsize):
        raise IndexError(f"{n} elements at offset {offset} are not aligned")
    return slice(first, last + 1)


def _own(N: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the sums of a thread, in the order of its registers: j, row half h, e."""
    current: Any = threading.current_thread()
    thread = current.threadIdx.x % 128
    row, column = thread // 32 * 16 + thread % 32 // 4, thread % 4 * 2
    return np.array([row, row + 8]), (np.arange(0, N, 8)[:, None] + [column, column + 1]).ravel()


def _places(description: int, rows: np.ndarray) -> np.ndarray:
    """Indices (row, byte of K) in the block's memory that a descriptor of a K-major operand means."""
    if description >> 62 != 1 or description >> 49 & 7:
        raise NotImplementedError(f"descriptor {description:#x}: only 128-byte swizzle with base offset 0")
    start, stride = (description & 0x3FFF) << 4, (description >> 32 & 0x3FFF) << 4
    address = start + (rows // 8 * stride + rows % 8 * 128)[:, None] + np.arange(32)
    address ^= (address >> 7 & 7) << 4  # Swizzle<3, 4, 3>: three bits from bit 4 on, by those three bits above
    return address - _BASE


def _values(read: np.ndarray, kind: str) -> np.ndarray:
    """Bytes as what the tensor core takes them for: float32 loses the last 13 bits."""
    if kind == "f16":
        return read.view(np.float16).astype(np.float64)
    if kind == "bf16":
        return (read.view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return (read.view(np.uint32) & 0xFFFFE000).view(np.float32).astype(np.float64)


def _cut(total: np.ndarray) -> np.ndarray:
    """float64 to float32, towards zero."""
    found = total.astype(np.float32)
    beyond = np.abs(found.astype(np.float64)) > np.abs(total)
    return np.where(beyond & np.isfinite(total), np.nextafter(found, np.float32(0)), found)
