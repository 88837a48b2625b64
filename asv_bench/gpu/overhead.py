"""Microseconds of the host for a call that queues one small kernel: by library, launcher and graph."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np
from numba import cuda

import numconv
from numconv.cuda import launch, recall

X = np.ones((1, 1, 64, 64), np.float32)
W = np.ones((1, 1, 3, 3), np.float32)
FIRST = {"data_format": "channels_first", "padding": 1}


def microseconds(call: Callable[[], Any], calls: int = 1000) -> float:
    """The least of five series: what the host takes, the GPU keeping up."""
    call()
    best = float("inf")
    for _ in range(5):
        cuda.synchronize()
        begin = perf_counter()
        for _ in range(calls):
            call()
        best = min(best, perf_counter() - begin)
    cuda.synchronize()
    return round(best / calls * 1e6, 2)


def of_calls(calls: int = 1000) -> dict[str, Any]:
    """Of plans and functions, weights on the GPU, by library; a line for a library that is not there."""
    found: dict[str, Any] = {}
    for name, place in (("numba", cuda.to_device), ("torch", _to_torch), ("cupy", _to_cupy)):
        try:
            found |= {f"{name}, {what}": took for what, took in _of_library(place(X), place(W), calls)}
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
    for launcher in launch.LAUNCHERS:
        name = f"launcher {launcher}, plan, out given"
        try:
            found[name] = _of_launcher(launcher, calls)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
    return found


def _of_launcher(launcher: str, calls: int) -> float:
    with _by(launcher):
        x, plan, out = cuda.to_device(X), _plan(), cuda.device_array(X.shape, X.dtype)
        return microseconds(lambda: plan(x, out=out), calls)


def of_graphs(calls: int = 1000) -> dict[str, float]:
    """Of a graph of 20 calls, by PyTorch: of a replay, by call, on the host and on the GPU."""
    import torch

    from .measure import milliseconds

    plan, x = _plan(), _to_torch(X)
    out, graph = plan(x), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(20):
            plan(x, out=out)
    return {
        "replay, host": microseconds(graph.replay, calls // 10) / 20,
        "replay, GPU": milliseconds(graph.replay) * 1e3 / 20,
        "calls, GPU": milliseconds(lambda: plan(x, out=out)) * 1e3,
        "conv2d of torch, host": microseconds(_torch_conv(x), calls),
    }


def _torch_conv(x: Any) -> Callable[[], Any]:
    import torch

    w = _to_torch(W)
    return lambda: torch.nn.functional.conv2d(x, w, padding=1)


def _of_library(x: Any, w: Any, calls: int) -> Iterator[tuple[str, float]]:
    plan = _plan()
    out = plan(x)
    yield "plan, out given", microseconds(lambda: plan(x, out=out), calls)
    yield "plan", microseconds(lambda: plan(x), calls)
    yield "conv2d, out given", microseconds(lambda: numconv.conv2d(x, w, **FIRST, out=out), calls)
    yield "conv2d", microseconds(lambda: numconv.conv2d(x, w, **FIRST), calls)


def _plan() -> numconv.Plan:
    return numconv.plan_conv2d(X.shape, W, **FIRST, device="cuda")


@contextmanager
def _by(launcher: str) -> Iterator[None]:
    """With one launcher, and nothing that another has prepared."""
    before = os.environ.get("NUMCONV_CUDA_LAUNCHER", "")
    os.environ["NUMCONV_CUDA_LAUNCHER"] = launcher
    forget()
    try:
        yield
    finally:
        os.environ["NUMCONV_CUDA_LAUNCHER"] = before
        forget()


def forget() -> None:
    """Launches are kept with problems, and calls with both."""
    numconv._calls.recipe.cache_clear()
    recall._KNOWN.clear()


def _to_torch(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(array).cuda()


def _to_cupy(array: np.ndarray) -> Any:
    import cupy

    return cupy.asarray(array)
