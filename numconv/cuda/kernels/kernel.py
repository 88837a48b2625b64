"""What a factory returns: a kernel before it is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Argument = tuple[str, int]


class Kernel(NamedTuple):
    """A kernel and what its compiler and launcher have to know.

    `arguments`: (dtype, 0) is a pointer to such elements, (dtype, n) a tuple of n numbers, each an argument of its own.
    `threads` of a block; `blocks` that are to fit a multiprocessor, which bounds the registers;
    `dynamic`: bytes of shared memory of a block beside what the function declares (`ops.dynamic`).
    `specific`: for one architecture alone (sm_90a), whose instructions no later one has.
    """

    function: Callable
    arguments: tuple[Argument, ...]
    threads: int
    blocks: int = 1
    dynamic: int = 0
    specific: bool = False


def storage_of(dtype: str) -> str:
    """The dtype of the elements that kernels see: complex ones are pairs."""
    return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)


def scalar_of(dtype: str) -> str:
    """The scalar that holds an element, or a part of a complex one, as it is."""
    storage = storage_of(dtype)
    if storage == "float16":
        return "float32"
    return storage if storage in ("float32", "float64", "uint64") else "int64"
