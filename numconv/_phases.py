"""A transposed convolution with its weights: an engine for each phase, which writes its own part of the result."""

from __future__ import annotations

import numpy as np

from . import reference
from ._plan import Engine, descriptor
from ._transposed import Transposed, swapped
from ._views import canonical
from .cpu import execute
from .cpu.memory import address_of, cast

_AXES = (0, 1, 2, 3, 4)


class Phases:
    """Weights made ready for a transposed problem; stands where an `Engine` does."""

    __slots__ = ("bias", "engines", "name", "problem", "w")

    def __init__(
        self, name: str, problem: Transposed, w: np.ndarray, bias: np.ndarray | None, threads: int | None = None
    ) -> None:
        """`w` is canonical for the convolution that `problem` is the transpose of; `threads` may pack it."""
        self.name, self.problem, self.w, self.bias = name, problem, w, bias
        own, follow = swapped(w, problem.groups), problem.stride == (1, 1, 1)
        self.engines = [Engine(name, phase.problem, own[phase.taps], bias, threads, follow) for phase in problem.phases]

    @property
    def method(self) -> str:
        """Those of the phases, each once."""
        names = dict.fromkeys(engine.method for engine in self.engines)
        return "+".join(names) or self.problem.method.replace("auto", "direct")

    @property
    def workspace_bytes(self) -> int:
        """Bytes that each worker needs: phases run one after the other."""
        return max((engine.workspace_bytes for engine in self.engines), default=0)

    def considered(self) -> list[str]:
        """What `Engine` tells, phase by phase."""
        if len(self.engines) == 1:
            return self.engines[0].considered()
        lines = []
        for phase, engine in zip(self.problem.phases, self.engines, strict=True):
            first = ", ".join(str(part.start) for part in phase.outputs[4 - self.problem.ndim :])
            lines.append(f"from output ({first}) on: {engine.method} {descriptor(phase.problem)}")
            lines += [f"  {line}" for line in engine.considered()]
        return lines

    def run(self, x: np.ndarray, x_axes: tuple, out: np.ndarray, o_axes: tuple, threads: int | None) -> None:
        """Fill `out`, which does not overlap `x`."""
        source, target = canonical(x, x_axes), canonical(out, o_axes)
        if self.problem.has_gaps:
            target[...] = self._nothing()
        views = [(source[phase.samples], target[phase.outputs]) for phase in self.problem.phases]
        if len(views) > 1 and self._takes(x, out):
            return self._together(views, threads)
        for engine, (samples, outputs) in zip(self.engines, views, strict=True):
            engine.run(samples, _AXES, outputs, _AXES, threads)

    def _takes(self, x: np.ndarray, out: np.ndarray) -> bool:
        """Whether all phases can be one call of compiled code."""
        p = self.problem
        if p.exact or (p.compute.kind == "c" and p.x_dtype.kind != "c" and p.w_dtype.kind != "c"):
            return False  # those look at their data before or after
        return all(engine.pieces is not None for engine in self.engines) and self.engines[0].takes(x, out)

    def _together(self, views: list[tuple[np.ndarray, np.ndarray]], threads: int | None) -> None:
        runs = [
            execute.Run(piece, address_of(samples), samples.strides, address_of(outputs), outputs.strides)
            for engine, (samples, outputs) in zip(self.engines, views, strict=True)
            for piece in engine.pieces or ()
        ]
        status = execute.run_together(runs, len(views[0][0]), threads)
        if status:
            execute.raise_overflow(self.name, self.problem, status)

    def _nothing(self) -> np.ndarray:
        """(F,): results of no products."""
        p = self.problem
        total = np.zeros(p.filters, p.compute)
        if self.bias is not None:
            total = total + cast(self.bias, p.compute)
        try:
            return reference.to_result(reference.activate(total, p.activation, p.slope), p.result, p.overflow)
        except OverflowError as error:
            raise OverflowError(f"{self.name}: {error}") from None
