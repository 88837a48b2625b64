"""The same for the simulator: products of matrices are exact chains of fused multiply-adds, k by k."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import reference
from .simulated import Pointer, _neighbours, multiply_add
from .simulated import _lock as lock


def multiplying_doubles(body: Callable, size: int, kept: int) -> Callable:
    """The body is run for its loads; then the threads of a warp exchange them, and each computes its results."""

    def micro(acc: np.ndarray, own: np.ndarray, a: np.ndarray, at: int, b: np.ndarray, bt: int) -> None:
        thread: Any = threading.current_thread()
        products: list[tuple[list, list, list]] = []

        def mma(c: list, a: list, b: list) -> list:
            products.append((list(c), list(a), list(b)))
            return c

        values = list(own[:kept])
        body(list(range(size)), values, _flipping(a, int(at)), _flipping(b, int(bt)), mma)
        own[:kept] = values
        if not products:
            return
        places = np.array([c for c, _, _ in products])
        brought = [acc[places], *(np.array([part[i] for part in products]) for i in (1, 2))]
        warp = _warp(thread)
        with lock:
            warp[int(thread.threadIdx.x) % 32] = brought
            if len(warp) == 32:  # the last to come computes for all
                _multiply(warp)
        thread.syncthreads()
        acc[places] = warp[int(thread.threadIdx.x) % 32][0]

    return micro


def _flipping(array: np.ndarray, start: int) -> Callable[..., list]:
    return lambda offset, n, flip=0: _neighbours(array, start ^ flip)(offset, n)


def negating(body: Callable, scalar: str, size: int) -> Callable:
    """The body itself."""
    fused = multiply_add(scalar)

    def micro(acc: np.ndarray, a: np.ndarray, at: int, b: np.ndarray, bt: int) -> None:
        values = list(acc[:size])
        body(values, _neighbours(a, int(at)), _neighbours(b, int(bt)), fused, operator.neg)
        acc[:size] = values

    return micro


def _warp(thread: Any) -> dict[int, list]:
    """What the lanes of a warp bring to this call; that of the call before may still be read."""
    call = thread.__dict__["calls"] = thread.__dict__.get("calls", 0) + 1
    warps = thread._manager.__dict__.setdefault("warps", {})
    key = int(thread.threadIdx.x) // 32, call
    warps.pop((key[0], call - 2), None)
    return warps.setdefault(key, {})


def _multiply(warp: dict[int, list]) -> None:
    """Lanes 4*row + k hold k and every fourth from it on of rows `row` and, between them, `row` + 8 of the left sides.

    Lanes 4*column + k hold those of the right ones; of a result, 4*row + j the columns 2*j and 2*j + 1 of both rows.
    """
    totals, left, right = (np.array([warp[lane][i] for lane in range(32)]) for i in range(3))
    products = totals.shape[1]
    totals = totals.reshape(8, 4, products, 2, 2)  # row, j, product, upper or lower, column
    left = left.reshape(8, 4, products, 4, 2).transpose(3, 1, 0, 2, 4).reshape(16, 8, 1, products, 2, 1)
    right = right.reshape(4, 2, 4, products, 4).transpose(4, 2, 0, 3, 1).reshape(16, 1, 4, products, 1, 2)
    for k in range(16):
        totals = reference.fma(left[k], right[k], totals)
    for lane in range(32):
        warp[lane][0] = totals[lane // 4, lane % 4].reshape(products, 4)


def both(storage: str) -> Callable:
    """Checked: bounds and alignment."""

    def load(pointer: Pointer, offset: int) -> tuple:
        first, last = pointer.at(offset), pointer.at(offset + 1)
        if pointer.memory[first:].__array_interface__["data"][0] % 16:
            raise IndexError(offset)
        return pointer.memory[first], pointer.memory[last]

    return load


def scattering(scalar: str, first: int, n: int, offsets: tuple[int, ...]) -> Callable:
    """Checked: bounds and alignment."""

    def scatter(array: np.ndarray, at: int, acc: np.ndarray) -> None:
        for group, offset in enumerate(offsets):
            place = int(at) + offset
            if place % n or not 0 <= place <= len(array) - n:
                raise IndexError(place)
            array[place : place + n] = acc[first + group * n : first + group * n + n]

    return scatter
