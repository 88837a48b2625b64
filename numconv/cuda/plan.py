"""Plans for a GPU: packed weights and launches that are kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .._plan import Plan
from .._problem import Problem
from .arrays import Given, library_of
from .binding import Frame
from .calls import engine_of
from .engine import Engine
from .explained import lines, workspace_bytes
from .extra import require
from .sources import Source, computed, number_of
from .weights import Operand, described


def maker(name: str, device: str | None, precision: str, w: Any, bias: Any) -> tuple[Callable[..., Plan], Any, Any]:
    """(what makes a plan for a GPU, its weights on the host): weights on a GPU are fetched from there."""
    require(name)
    libraries = library_of(w), library_of(bias)
    number = number_of(device)
    if device is None and libraries[0] is not None:
        number = described(name, "w", libraries[0], w).device
    w, bias = (
        value if library is None else library.fetch(value) for library, value in zip(libraries, (w, bias), strict=True)
    )
    return partial(DevicePlan, device=number, precision=precision), w, bias


class DevicePlan(Plan):
    """A plan whose weights are on a GPU; called with arrays on that GPU, or on the host, from where they are copied.

    Made by the functions that make a `Plan`, with ``device="cuda"``. A call with arrays on the GPU queues kernels on
    the caller's stream and returns; the first for given shapes and strides compiles what is not compiled yet.

    Later ones can be recorded in a CUDA graph: they allocate nothing if `out` is given (but workspace, where the method
    has one, by the caller's library), copy nothing and wait for nothing. Replaying the graph reads what is in x then.
    A first call while a graph is recorded is a RuntimeError. With PyTorch::

        plan(x, out=y)  # compiles, copies tables
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            plan(x, out=y)
        x.copy_(more)
        graph.replay()  # y is that of more
    """

    def __init__(
        self, name: str, problem: Problem, frame: Frame, w: np.ndarray, bias: np.ndarray | None, device: int = 0,
        precision: str = "ieee",
    ) -> None:  # fmt: skip
        """`w` is canonical and on the host; what is kept of it is a copy."""
        require(name)
        w, bias = np.array(w), None if bias is None else np.array(bias)
        problem = problem.permitting(precision)
        self._given = (name, problem, frame, w, bias, device, precision)
        self._name, self._problem, self._frame = name, problem, frame
        weights = Operand(w.shape, w.dtype, w, None, w)
        added = None if bias is None else Operand(bias.shape, bias.dtype, bias, None, bias)
        self._device_engine: Engine = engine_of(name, problem, weights, w, added, device, lasting=True)

    def __call__(self, x: Any, out: Any = None, threads: int | None = None) -> Any:
        """Compute the result for x, as `Plan` does; `threads` has no meaning here."""
        library = library_of(x)
        if library is None:
            return self._from_host(x, out)
        given, engine = described(self._name, "x", library, x), self._device_engine
        if given.dtype != self._problem.x_dtype or given.device != engine.device:
            self._refuse(given)
        shape = self._shape(given.shape)
        return computed(library, x, given, engine, self._frame, shape, out)

    def _shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Of the result."""
        if not self._frame.accepts(x_shape):
            wanted = str(self._frame.expected()[0]).replace("None", "N")
            raise ValueError(f"{self._name}: x has shape {x_shape}, but this plan was made for {wanted}")
        return self._frame.out_shape(x_shape)

    def _from_host(self, x: Any, out: Any) -> Any:
        source = Source.of(self._name, x, f"cuda:{self._device_engine.device}")
        if source.dtype.newbyteorder("=") != self._problem.x_dtype:
            self._refuse(source)
        self._shape(source.shape)
        return source.compute(self._device_engine, self._frame, out)

    def _refuse(self, x: Given | Source) -> None:
        if x.dtype.newbyteorder("=") != self._problem.x_dtype:
            raise TypeError(
                f"{self._name}: x is {x.dtype}, but this plan was made for x_dtype={self._problem.x_dtype}; "
                f"convert x, or make another plan"
            )
        raise ValueError(f"{self._name}: x is on GPU {x.device}, but this plan's weights are on GPU "
                         f"{self._device_engine.device}")  # fmt: skip

    @property
    def method(self) -> str:
        """What was asked for, "fft", or "direct"."""
        return "fft" if self._problem.method == "fft" else "direct"

    @property
    def workspace_bytes(self) -> int:
        """What a call with contiguous arrays borrows from the library that they are of, for one sample."""
        return workspace_bytes(self._device_engine.binding, self._frame)

    def explain(self) -> str:
        """Return which kernel computes contiguous arrays, how it is launched, and why others do not."""
        found = lines(self._device_engine.binding, self._frame)
        return "\n".join([str(self), *(f"  {line}" for line in found)])

    def __reduce__(self) -> tuple:
        return DevicePlan, self._given
