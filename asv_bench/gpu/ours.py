"""The same workloads by numconv, in both layouts and every precision.

Arrays are PyTorch's where it has a GPU, else CuPy's: their allocators keep memory, of which kernels are lent some in
each call. Numba's asks the driver each time, and waits for it.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from importlib import import_module
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

import numconv
from numconv import grad

from .workloads import Workload

PLANS = {1: numconv.plan_conv1d, 2: numconv.plan_conv2d, 3: numconv.plan_conv3d}
TRANSPOSED = {1: numconv.conv_transpose1d, 2: numconv.conv_transpose2d, 3: numconv.conv_transpose3d}
INPUTS = {1: grad.conv1d_input, 2: grad.conv2d_input, 3: grad.conv3d_input}
WEIGHTS = {1: grad.conv1d_weight, 2: grad.conv2d_weight, 3: grad.conv3d_weight}


class Variant(NamedTuple):
    """`prepare()` gives calls that do the same on different memory, the result of the first, and what is said of it."""

    precision: str
    layout: str
    prepare: Callable[[], tuple[list[Callable[[], Any]], Any, str]]


def as_laid_out(array: np.ndarray, layout: str, weights: bool = False) -> np.ndarray:
    """A contiguous array of the layout, of one with channels first."""
    if layout == "channels_first":
        return np.ascontiguousarray(array)
    axes = (*range(2, array.ndim), 1, 0) if weights else (0, *range(2, array.ndim), 1)
    return np.ascontiguousarray(array.transpose(axes))


def elements(workload: Workload, result: Any, layout: str, at: tuple[np.ndarray, ...]) -> np.ndarray:
    """Those of a result of ours, by their indices with channels first."""
    host = to_host(result)
    if layout == "channels_last":
        n = host.ndim - 2
        host = host.transpose(
            (n + 1, n, *range(n)) if workload.kind == "weight gradient" else (0, n + 1, *range(1, n + 1))
        )
    return host[at]


def variants(workload: Workload, x: np.ndarray, w: np.ndarray, copies: int) -> Iterator[Variant]:
    """`copies` of x and of the result are used in turn, so that no cache holds them."""
    for layout in workload.layouts:
        given = Given(workload, x, w, layout, copies)
        for precision in workload.precisions:
            yield Variant(precision, layout, partial(given.prepare, precision))


class Given:
    """Arrays of a layout on the GPU, from when they are first asked for."""

    def __init__(self, workload: Workload, x: np.ndarray, w: np.ndarray, layout: str, copies: int) -> None:
        self.workload, self.host, self.layout, self.copies = workload, (x, w), layout, copies
        self.xs: list[Any] = []

    def prepare(self, precision: str) -> tuple[list[Callable[[], Any]], Any, str]:
        """As `Variant` has it."""
        x, w = self.host
        if not self.xs:
            self.second = as_laid_out(w, self.layout, self.workload.kind != "weight gradient")
            self.xs = [to_gpu(as_laid_out(x, self.layout))]
            self.xs += [copied(self.xs[0]) for _ in range(self.copies - 1)]
        call, told = _call(self.workload, tuple(self.xs[0].shape), self.second, self.layout, precision)
        outs = [call(self.xs[0])]
        outs += [copied(outs[0]) for _ in range(self.copies - 1)]
        calls = [partial(call, x, out=out) for x, out in zip(self.xs, outs, strict=True)]
        return calls, outs[0], told()


@lru_cache(maxsize=1)
def library() -> str:
    """Whose arrays are used."""
    for name in ("torch", "cupy"):
        try:
            module = import_module(name)
            if module.cuda.is_available() if name == "torch" else module.cuda.runtime.getDeviceCount():
                return name
        except Exception:  # whatever a library that does not fit the driver may raise
            continue
    return "numba"


def to_gpu(array: np.ndarray) -> Any:
    """A copy."""
    if library() == "numba":
        return cuda.to_device(array)
    module = import_module(library())
    return module.from_numpy(array).cuda() if library() == "torch" else module.asarray(array)


def to_host(array: Any) -> np.ndarray:
    """A copy, when it is there."""
    if library() == "torch":
        return array.cpu().numpy()
    return array.copy_to_host() if library() == "numba" else array.get()


def copied(array: Any) -> Any:
    """Another one with the same numbers."""
    if library() == "torch":
        return array.clone()
    if library() == "cupy":
        return array.copy()
    found = cuda.device_array(array.shape, array.dtype)
    found.copy_to_device(array)
    return found


def _call(
    workload: Workload, shape: tuple, second: np.ndarray, layout: str, precision: str
) -> tuple[Callable, Callable]:
    """(call(x, out), what is said of it)."""
    n, options = workload.ndim, {"stride": workload.stride, "padding": tuple((p, p) for p in workload.padding)}
    options |= {"groups": workload.groups, "data_format": layout, "precision": precision, **workload.options}
    if workload.kind == "forward":
        plan = PLANS[n](shape, second, pad_mode=workload.pad_mode, device="cuda", **options)
        return plan, lambda: _kernel(plan.explain())
    other = to_gpu(second)
    if workload.kind == "transposed":
        return lambda x, out=None: TRANSPOSED[n](x, other, out=out, **options), str
    if workload.kind == "input gradient":
        first = workload.result
        wanted = first if layout == "channels_first" else (first[0], *first[2:], first[1])
        return lambda x, out=None: INPUTS[n](wanted, other, x, out=out, **options), str
    wanted = workload.w if layout == "channels_first" else (*workload.w[2:], workload.w[1], workload.w[0])
    return lambda x, out=None: WEIGHTS[n](x, wanted, other, out=out, **options), str


def _kernel(text: str) -> str:
    """Of what a plan explains, the kernels that compute."""
    lines = iter(text.splitlines())
    for line in lines:
        if "computes it" in line:
            return "; ".join(more.strip() for more in takewhile(lambda more: more.startswith("    "), lines))
    return ""
