"""A problem with its weights: what functions make for a call and `plan_*` keep."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from . import reference
from ._arguments import as_array, check_out, check_threads
from ._frames import BankFrame, ConvFrame
from ._problem import Problem
from ._reduced import reduced
from ._transposed import Transposed
from ._views import canonical, canonical_strides, flat_strides
from .cpu import direct, execute, integers, methods, reductions
from .cpu.channels import Channels
from .cpu.machine import machine
from .cpu.memory import address_of, cast, fill
from .cpu.schedule import Layout

if TYPE_CHECKING:
    from ._phases import Phases

Frame = ConvFrame | BankFrame
_MANY = 1 << 31
"""Weights from which memory is asked for before thinking about them begins: that takes seconds."""


class Engine:
    """Weights made ready for a problem; runs on arrays of any strides.

    `pieces` belong to `flat`, which is `Problem.flat`; where the pixels of a pointwise problem do not follow each other
    in memory, those of the problem itself are `apart`, made when they are first needed. `flat` is the problem itself
    where pixels are known not to follow each other.
    """

    __slots__ = ("apart", "bias", "flat", "kernel_problem", "name", "pieces", "problem", "w")

    def __init__(
        self,
        name: str,
        problem: Problem,
        w: np.ndarray,
        bias: np.ndarray | None,
        threads: int | None = None,
        follow: bool = True,
    ) -> None:
        """`w` is canonical; `threads` may pack it; `follow`: pixels may lie in memory one after the other."""
        self.name, self.problem, self.w, self.bias = name, problem, w, bias
        self.kernel_problem = problem if has_f16c() else kernel_problem(problem)
        self.flat = self.kernel_problem.flat if follow else self.kernel_problem
        self.pieces: list[execute.Piece] | None = None
        self.apart: list[execute.Piece] | None = None
        rounds = not problem.reduce or self.kernel_problem == problem  # float32 maps are not those of float16
        if problem.method != "reference" and rounds:
            if w.size > _MANY:
                empty_result(name, w.shape, problem.compute, "packed weights")  # which is as large
            tried = () if problem.reduce else methods.choice(name, self.kernel_problem)
            try:
                self.pieces = execute.pieces_of(self.flat, w, bias, threads, tried)
            except MemoryError as error:
                raise MemoryError(
                    f"{name}: no memory for tables and packed weights ({descriptor(problem)}): {error}"
                ) from None
            methods.check(name, self.kernel_problem, self.method)

    @property
    def method(self) -> str:
        """The method that computes the result."""
        if self.pieces is None:
            return "reference"
        return self.pieces[0].schedule.layout.method

    @property
    def workspace_bytes(self) -> int:
        """Bytes that each worker needs; with `reduce`, and those of rows, which all workers share."""
        pieces = self.pieces or ()
        shared = reductions.most_bytes(pieces[0].schedule) if pieces and self.problem.reduce else 0
        return max((piece.schedule.slot_bytes for piece in pieces), default=0) + shared

    def considered(self) -> list[str]:
        """A line for each method: what speaks for or against it, how the chosen one goes about it."""
        last = "reference  the meaning of the result, in NumPy: thousands of times slower"
        if self.pieces is None:
            return ["reference  asked for"]
        how = describe(self.pieces[0].schedule)
        if self.problem.reduce:
            return [f"direct     the only one that reduces: maps are not written; {how}", last]
        reasons = methods.considered(self.kernel_problem, self.method)
        lines = [f"{name:9}  {reason}" + f"; {how}" * (name == self.method) for name, reason in reasons.items()]
        return [*lines, last]

    def run(self, x: np.ndarray, x_axes: tuple, out: np.ndarray, o_axes: tuple, threads: int | None) -> None:
        """Fill `out`, which does not overlap `x`."""
        problem = self.kernel_problem
        if self.pieces is None or (problem.exact and not integers.sums_fit(problem, x, self.w, self.bias)):
            self._by_reference(x, x_axes, out, o_axes)
        elif self.takes(x, out):
            self._run_pieces(x, x_axes, out, o_axes, threads)
        else:
            self._slab_by_slab(x, x_axes, out, o_axes, threads)
        if problem.compute.kind == "c" and problem.x_dtype.kind != "c" and problem.w_dtype.kind != "c":
            # The sum of no products is +0.0, and stays it under a bias of -0.0.
            canonical(out, o_axes).imag[...] = 0 if self.bias is None else 0.0 + cast(self.bias, problem.compute).imag

    def takes(self, x: np.ndarray, out: np.ndarray) -> bool:
        """Whether kernels read and write such arrays as they are."""
        problem = self.kernel_problem
        return x.dtype == problem.x_dtype and out.dtype == problem.result and x.flags.aligned and out.flags.aligned

    def _run_pieces(self, x: np.ndarray, x_axes: tuple, out: np.ndarray, o_axes: tuple, threads: int | None) -> None:
        samples = x.shape[0] if x_axes[0] == 0 else 1
        x_strides, o_strides = canonical_strides(x.strides, x_axes), canonical_strides(out.strides, o_axes)
        pieces, problem = self.pieces, self.kernel_problem
        if self.flat is not problem:
            x_flat, o_flat = flat_strides(x_strides, problem.spatial), flat_strides(o_strides, problem.spatial)
            if x_flat is None or o_flat is None:
                pieces = self.apart = self.apart or execute.pieces_of(problem, self.w, self.bias, threads)
            else:
                x_strides, o_strides = x_flat, o_flat
        x_address, o_address, status = address_of(x), address_of(out), 0
        if pieces is None:  # kernels that failed their proof
            return self._by_reference(x, x_axes, out, o_axes)
        for piece in pieces:
            status |= execute.run(piece, x_address, x_strides, o_address, o_strides, samples, threads)
        if status:
            execute.raise_overflow(self.name, self.problem, status)

    def _slab_by_slab(self, x: np.ndarray, x_axes: tuple, out: np.ndarray, o_axes: tuple, threads: int | None) -> None:
        """Byte-swapped, unaligned, or float16 without instructions for it: NumPy casts, one sample at a time."""
        axes = (0, 1, 2, 3, 4)
        source, target = canonical(x, x_axes), canonical(out, o_axes)
        slab = np.empty((1, *source.shape[1:]), self.kernel_problem.x_dtype)
        result = np.empty((1, *target.shape[1:]), self.kernel_problem.result)
        for n in range(len(source)):
            fill(slab[0], source[n])
            self._run_pieces(slab, axes, result, axes, threads)
            with np.errstate(over="ignore"):
                fill(target[n], result[0])

    def _by_reference(self, x: np.ndarray, x_axes: tuple, out: np.ndarray, o_axes: tuple) -> None:
        source, target = canonical(x, x_axes), canonical(out, o_axes)
        try:
            for n in range(len(source)):
                target[n : n + 1] = reference.convolve(self.problem, source[n : n + 1], self.w, self.bias)
        except OverflowError as error:
            raise OverflowError(f"{self.name}: {error}") from None


@lru_cache(maxsize=1)
def has_f16c() -> bool:
    return machine().f16c


@lru_cache(maxsize=1024)
def kernel_problem(problem: Problem) -> Problem:
    """The problem as kernels see it on a CPU without instructions for float16: float32 to them."""

    def single(dtype: np.dtype) -> np.dtype:
        return np.dtype(np.float32) if dtype == np.float16 else dtype

    return replace(problem, x_dtype=single(problem.x_dtype), result=single(problem.result))


def engine_of(
    name: str, problem: Problem, w: np.ndarray, bias: np.ndarray | None, threads: int | None = None
) -> Engine | Phases:
    """The engine of a convolution, or of its transpose."""
    from . import _phases

    if isinstance(problem, Transposed):
        return _phases.Phases(name, problem, w, bias, threads)
    return Engine(name, problem, w, bias, threads)


class Ready(Protocol):
    """An engine, or what stands where one does."""

    name: str
    w: np.ndarray
    bias: np.ndarray | None

    @property
    def problem(self) -> Problem:
        """What is computed; of it, the result's type is asked for."""

    def run(self, x: np.ndarray, x_axes: tuple, out: np.ndarray, o_axes: tuple, threads: int | None) -> None:
        """Fill `out`, which does not overlap `x`."""


def compute(engine: Ready, frame: Frame, x: np.ndarray, out: Any, threads: int | None) -> np.ndarray:
    """Run an engine into `out`, or into a new array."""
    shape, problem = frame.out_shape(x.shape), engine.problem
    if isinstance(engine, Engine) and problem.reduce:
        return reduced(engine, frame, x, out, threads)
    if out is None:
        target = out = empty_result(engine.name, shape, problem.result)
    else:
        check_out(engine.name, out, shape, problem.result)
        inputs = (x, engine.w) if engine.bias is None else (x, engine.w, engine.bias)
        overlap = any(np.may_share_memory(array, out) for array in inputs)
        target = empty_result(engine.name, shape, problem.result) if overlap else out
    try:
        if 0 in shape:
            pass
        elif isinstance(frame, ConvFrame):
            engine.run(x, frame.axes, target, frame.axes, threads)
        else:
            for run in frame.runs(x, target):
                engine.run(*run, threads)
    except MemoryError as error:
        raise MemoryError(
            f"{engine.name}: no memory to work in, for x {x.shape} and a result {shape}: {error}"
        ) from None
    if target is not out:
        fill(out, target)
    return out


def empty_result(name: str, shape: tuple, dtype: np.dtype, what: str = "the result") -> np.ndarray:
    """A new array; an error with its size where there is no room for it."""
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError):  # the latter beyond 2**63 bytes
        size = prod(shape) * dtype.itemsize
        raise MemoryError(f"{name}: no memory for {what}, {dtype} of shape {shape}: {size} bytes") from None


class Plan:
    """A convolution prepared for one shape of sample: the method chosen, the weights packed.

    Made by `plan_conv1d`, `plan_conv2d`, `plan_conv3d` and `plan_filter_bank`. Calling it computes the result for any
    batch size; several threads may call one plan at once. A pickle holds the problem and the raw weights; they are
    packed again where it is loaded.

    Notes
    -----
    Outside compiled code a call spends less than 10 microseconds, once one with the same strides, samples and threads
    has been made: its record is kept, and copied; the addresses of x, out and workspace are written into the copy;
    then comes one call through `ctypes`. Nothing is hashed but strides, nothing is proved or compiled, and work of less
    than 40 microseconds wakes no thread. The functions add the look-up of their arguments, and packing of weights.
    """

    def __init__(self, name: str, problem: Problem, frame: Frame, w: np.ndarray, bias: np.ndarray | None) -> None:
        """`w` is canonical; what is kept of it is a copy."""
        given, w, bias = w, np.empty_like(w), None if bias is None else np.array(bias)
        fill(w, given)
        self._state = (name, problem, frame, w, bias)
        self._name, self._problem, self._frame = name, problem, frame
        self._engine = engine_of(name, problem, w, bias)

    def __call__(self, x: Any, out: np.ndarray | None = None, threads: int | None = None) -> np.ndarray:
        """Compute the result for x.

        Parameters
        ----------
        x : array_like
            Of the plan's shape (any N) and x_dtype, with any strides.
        out : ndarray, optional
            Filled and returned.
        threads : int, optional
            Worker threads; by default those of `numconv.get_num_threads`, shared among concurrent calls.

        Returns
        -------
        ndarray
            Of `output_shape`.

        Raises
        ------
        TypeError
            x is of another dtype than the plan was made for.
        ValueError
            x is of another shape; `out` does not fit.
        OverflowError
            As the function that the plan stands for.
        """
        if type(x) is not np.ndarray or x.dtype != self._problem.x_dtype or not self._frame.accepts(x.shape):
            x = self._checked(x)
        if threads is not None:
            threads = check_threads(self._name, threads)
        return compute(self._engine, self._frame, x, out, threads)

    def _checked(self, x: Any) -> np.ndarray:
        """Anything but the plan's own kind of array: an array of it, or an error."""
        x = as_array(self._name, "x", x)
        if x.dtype.newbyteorder("=") != self._problem.x_dtype:
            raise TypeError(
                f"{self._name}: x is {x.dtype}, but this plan was made for x_dtype={self._problem.x_dtype}; "
                f"convert x, or make another plan"
            )
        if not self._frame.accepts(x.shape):
            wanted = _shown(self._frame.expected()[0])
            raise ValueError(f"{self._name}: x has shape {x.shape}, but this plan was made for {wanted}")
        return x

    @property
    def method(self) -> str:
        """The method that computes the result: "direct", "winograd", "fft" or "reference"."""
        return self._engine.method

    @property
    def flops(self) -> int:
        """Operations for one sample: 2 a product, 4 where one operand is complex, 8 where both are."""
        return self._problem.flops

    @property
    def workspace_bytes(self) -> int:
        """Bytes that each worker thread needs, for any batch size; packed weights are not counted.

        With `reduce`, they include what the rows of some samples are reduced to, which all workers share.
        """
        return self._engine.workspace_bytes

    @property
    def output_shape(self) -> tuple:
        """Shape of the result; None stands for the batch size."""
        return self._frame.expected()[1]

    def explain(self) -> str:
        """Return which methods were considered, and how the chosen one goes about it.

        Methods that could compute it have an estimate for one sample on one core: cycles, and the share of the
        roofline that they stand for. The roofline is the time of the operations at the measured peak of multiply-adds,
        or that of copying input, weights and result, whichever is longer; a method that multiplies less may be above
        100 %. The first call in a process measures both, in less than a tenth of a second.
        """
        return "\n".join([str(self), *(f"  {line}" for line in self._engine.considered())])

    def __str__(self) -> str:
        """One line in the style of a problem descriptor."""
        return f"{self._name} {self.method} {descriptor(self._problem)}"

    def __repr__(self) -> str:
        return f"<Plan {self}>"

    def __reduce__(self) -> tuple:
        return Plan, self._state


def _shown(shape: tuple) -> str:
    """A shape with N for None."""
    return str(shape).replace("None", "N")


def descriptor(p: Problem) -> str:
    """A problem in one word: float32:float32>float32 c64h56w56_f64kh3kw3_ph1pw1."""
    axes = "dhw"[3 - p.ndim :]
    first = 3 - p.ndim
    sizes = "".join(f"{a}{n}" for a, n in zip(axes, p.spatial[first:], strict=True))
    kernel = "".join(f"k{a}{n}" for a, n in zip(axes, p.kernel[first:], strict=True))
    words = [f"g{p.groups}" * (p.groups > 1) + f"c{p.channels}{sizes}", f"f{p.filters}{kernel}"]
    extras = "".join(f"s{a}{n}" for a, n in zip(axes, p.stride[first:], strict=True) if n > 1)
    extras += "".join(f"d{a}{n}" for a, n in zip(axes, p.dilation[first:], strict=True) if n > 1)
    extras += "".join(
        f"p{a}{lo}" + f",{hi}" * (lo != hi) for a, (lo, hi) in zip(axes, p.pads[first:], strict=True) if lo or hi
    )
    words += [extras] * bool(extras) + [p.pad_mode] * (p.pad_mode != "constant")
    words += ["bias"] * p.bias + [p.activation] * bool(p.activation) + ["+".join(p.reductions)] * bool(p.reduce)
    words += [p.precision] * (p.precision != "ieee")
    layout = "channels_last" if p.channels_last else "channels_first"
    return f"{p.x_dtype}:{p.w_dtype}>{p.result} {'_'.join(words)} {layout}"


def describe(schedule: direct.Schedule) -> str:
    """How a schedule computes: lane order, tile, blocks."""
    layout = schedule.layout
    if not isinstance(layout, Layout | Channels):
        return methods.OTHERS[layout.method].describe(schedule)
    order = {
        "filters": "filters in lanes",
        "pixels": "pixels in lanes",
        "rows": "pixels in lanes, output rows a tile",
        "rolling": "pixels in lanes, a tile rolls down columns",
        "planes": "pixels in lanes, output rows of planes a tile",
        "channels": "channels in lanes",
    }
    block = "x".join(map(str, layout.block))
    return (
        f"{order[layout.order]}, tile {layout.rows}x{layout.vecs}x{layout.lanes} {layout.parts.scalar}, "
        f"{schedule.blocks} blocks of {block} pixels, {len(layout.parts.chains)} chains, "
        f"{schedule.slot_bytes} bytes a worker"
    )
