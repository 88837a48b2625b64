"""The face of `ops` for Numba's simulator: the same operations in Python, with every access checked."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ... import reference


class Pointer(NamedTuple):
    """Memory of the host in place of an address: elements of one dtype, of which number `origin` has offset 0."""

    memory: np.ndarray
    origin: int

    @classmethod
    def to(cls, storage: str, address: int, first: int, last: int) -> Pointer:
        """To `address`; bytes from `first` to `last` beside it may be accessed."""
        kind = np.dtype(storage)
        count = max(last - first, 0) // kind.itemsize
        data: Any = (ctypes.c_char * (count * kind.itemsize)).from_address(address + first)
        return cls(np.frombuffer(data, kind), -first // kind.itemsize)

    def at(self, offset: int) -> int:
        """The index of an offset that may be accessed."""
        index = self.origin + int(offset)
        if not 0 <= index < len(self.memory):
            raise IndexError(f"offset {offset} of {len(self.memory)} elements from {-self.origin}")
        return index


def device(function: Callable) -> Callable:
    """As it is."""
    return function


def reader(storage: str, scalar: str) -> Callable:
    """Checked loads."""
    kind = np.dtype(scalar).type

    def load(pointer: Pointer, offset: int) -> Any:
        value = pointer.memory[pointer.at(offset)]
        return kind(value) if scalar.startswith("f") else _whole(int(value), scalar)

    return load


def writer(storage: str, scalar: str) -> Callable:
    """Checked stores."""
    kind = np.dtype(storage)

    def store(pointer: Pointer, offset: int, value: Any) -> None:
        if kind.kind in "iu" and scalar in ("int64", "uint64"):
            value = _whole(int(value), storage)
        with np.errstate(all="ignore"):
            pointer.memory[pointer.at(offset)] = kind.type(value)

    return store


def multiply_add(scalar: str) -> Callable:
    """By `reference.fma`, or by whole numbers where no rounding is a doubt."""
    if scalar == "float32":
        return _fused32
    if scalar == "float64":
        return _fused64
    return lambda a, b, c: _whole(int(a) * int(b) + int(c), scalar)


def unrolled(body: Callable, scalar: str, size: int, fresh: bool = False) -> Callable:
    """The body itself."""
    fused = multiply_add(scalar)

    def micro(acc: np.ndarray, a: np.ndarray, at: int, b: np.ndarray, bt: int) -> None:
        values = [acc.dtype.type(0)] * size if fresh else list(acc[:size])
        body(values, _neighbours(a, int(at)), _neighbours(b, int(bt)), fused)
        acc[:size] = values

    return micro


def shared(scalar: str, size: int) -> Callable:
    """One array for all threads of a block, full of NaN, or of ones."""
    name = object()

    def array() -> np.ndarray:
        block: Any = threading.current_thread()._manager  # type: ignore[attr-defined]
        with _lock:
            arrays = block.__dict__.setdefault("arrays", {})
            if name not in arrays:
                arrays[name] = np.full(size, np.nan if scalar[0] == "f" else np.iinfo(scalar).min // 2, scalar)
                if scalar[0] == "u":
                    arrays[name][:] = np.iinfo(scalar).max  # NaN as bits
            return arrays[name]

    return array


_lock = threading.Lock()


def placing(scalar: str) -> Callable:
    """A store at an index that is not negative."""

    def place(array: np.ndarray, at: int, value: Any) -> None:
        if at < 0:
            raise IndexError(at)
        array[at] = value

    return place


def taking(scalar: str) -> Callable:
    """A load at an index that is not negative."""

    def take(array: np.ndarray, at: int) -> Any:
        if at < 0:
            raise IndexError(at)
        return array[at]

    return take


def putting(scalar: str, first: int, n: int) -> Callable:
    """Stores where 16 bytes are aligned."""

    def put(array: np.ndarray, at: int, acc: np.ndarray) -> None:
        if at * array.itemsize % 16 or not 0 <= at <= len(array) - n:
            raise IndexError(at)
        array[at : at + n] = acc[first : first + n]

    return put


def filling(scalar: str, first: int, n: int, value: float) -> Callable:
    """Accumulators from `first` on."""

    def fill(acc: np.ndarray) -> None:
        acc[first : first + n] = value

    return fill


def folding(scalar: str, n: int) -> Callable:
    """The first n accumulators are added to the n behind them."""

    def fold(acc: np.ndarray) -> None:
        acc[n : 2 * n] += acc[:n]

    return fold


def sync_warp() -> None:
    """All threads of the block: kernels call it where all of them come by."""
    thread: Any = threading.current_thread()
    thread.syncthreads()


def divide(a: Any, b: Any) -> Any:
    """The quotient of numbers that are not negative."""
    if a < 0 or b <= 0:
        raise ValueError((a, b))
    return np.int32(int(a) // int(b))


def nearest(value: float) -> float:
    """Half to even; infinities and NaN stay."""
    return float(np.rint(value))


def exponential(value: float) -> float:
    """e**value."""
    return float(np.exp(value))


hyperbolic = math.tanh


def normal(value: float) -> float:
    """The normal distribution function, by way of long double."""
    tail = float(reference._normal_tail(np.minimum(np.abs(np.array([value], np.longdouble)), 120))[0])
    return value if value != value else tail if value < 0 else 1 - tail


def _neighbours(array: np.ndarray, start: int) -> Callable[[int, int], list]:
    def load(offset: int, n: int) -> list:
        first = start + offset
        if (n > 1 and first % n) or not 0 <= first <= len(array) - n:
            raise IndexError(f"{n} elements at {first} of {len(array)}")
        return list(array[first : first + n])

    return load


def _whole(value: int, kind: str) -> int:
    """Modulo 2**bits."""
    info = np.iinfo(kind)
    return (value - info.min) % 2**info.bits + info.min


def _fused32(a: Any, b: Any, c: Any) -> Any:
    """The product is exact in float64; where neighbours of the sum round alike, so does the exact one."""
    total = float(a) * float(b) + float(c)
    low, high = np.float32(total * (1 - 2.0**-52)), np.float32(total * (1 + 2.0**-52))
    if low == high:
        return high
    operands: Any = np.array([a, b, c], np.float32)
    return reference.fma(*operands)[()]


def _fused64(a: Any, b: Any, c: Any) -> np.float64:
    a, b, c = float(a), float(b), float(c)
    if a == 0 or b == 0 or not (math.isfinite(a) and math.isfinite(b)):
        return np.float64(a * b + c)
    return np.float64(reference._fma_of_integers(a, b, c))
