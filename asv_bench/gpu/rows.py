"""A row of the table: a workload by numconv and its peers, each result compared with float64 on the host."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from . import exact, measure, ours, peers
from .workloads import EVERY, Workload

Part = tuple[str, Any]
"""The name of a variant, and what was found: milliseconds, TFLOP/s, GB/s, error, kernel; a line for what failed."""


def of_name(name: str, without: Sequence[str] = ()) -> Iterator[Part]:
    """The parts of a row but those that are there already."""
    (workload,) = (workload for workload in EVERY if workload.name == name)
    return parts(workload, without)


def parts(workload: Workload, without: Sequence[str] = ()) -> Iterator[Part]:
    """One after the other; what is about to be tried comes first, as None: it may be the last that is heard."""
    x, w = workload.arrays()
    at = exact.positions(workload)
    expected = exact.values(workload, x, w, at)
    copies = measure.copies_of(workload.moved_bytes(), workload.bound)
    yield "arrays", ours.library()
    for variant in ours.variants(workload, x, w, copies):

        def step(variant: ours.Variant = variant) -> dict[str, Any]:
            calls, result, kernel = variant.prepare()
            error = exact.error(ours.elements(workload, result, variant.layout, at), expected)
            return _row(workload, measure.milliseconds(calls), error) | {"kernel": kernel}

        yield from _tried(f"numconv {variant.precision} {variant.layout}", step, without)
    for library in (peers.by_torch, peers.by_cupy):
        try:
            for peer in library(workload, x, w, copies):
                step = lambda peer=peer: _of_peer(workload, peer, at, expected)  # noqa: E731
                yield from _tried(peer.name, step, without)
        except Exception as error:
            yield library.__name__, _line(error)


def _tried(name: str, step: Callable[[], Any], without: Sequence[str]) -> Iterator[Part]:
    if name in without:
        return
    yield name, None
    try:
        yield name, step()
    except Exception as error:
        yield name, _line(error)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def _of_peer(workload: Workload, peer: peers.Peer, at: tuple[np.ndarray, ...], expected: np.ndarray) -> dict[str, Any]:
    error = exact.error(peer.elements(peer.calls[0](), at), expected)
    return _row(workload, measure.milliseconds(peer.calls), error)


def _row(workload: Workload, time: float, error: float) -> dict[str, Any]:
    return {
        "ms": round(time, 5),
        "tflops": round(workload.flops() / time / 1e9, 2),
        "gbytes": round(workload.moved_bytes() / time / 1e6, 1),
        "error": float(f"{error:.2g}"),
    }


def compiled(name: str, without: Sequence[str] = ()) -> Iterator[Part]:
    """Whatever a workload needs, compiled and kept on disk by calling it: "" by variant, or why it failed."""
    (workload,) = (workload for workload in EVERY if workload.name == name)
    second = workload.smaller if workload.kind == "weight gradient" else workload.w
    x, w = (np.broadcast_to(np.zeros(1, workload.dtype), shape) for shape in (workload.x, second))
    for variant in ours.variants(workload, x, w, 1):

        def step(variant: ours.Variant = variant) -> str:
            variant.prepare()
            return ""

        yield from _tried(f"{variant.precision} {variant.layout}", step, without)
