"""One thread for one result, in the order of `reference`: every option, type, layout and size.

Threads of a block are `LANES` filters by pixels: 1 where neighbouring results are pixels, 32 where they are filters.
Weights are read where they lie. Nothing is kept but the sum, so that most time goes to loads and indices; it is the
anchor that other kernels are compared with, and takes what they leave.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from .. import ops
from .borders import sampling
from .finish import activating, adding, converting
from .kernel import Kernel, storage_of

BLOCKS = 3
"""Of 256 threads on a multiprocessor."""
NUMBERS = 43
"""int64 arguments, in the order in which `generic` takes them apart."""


def make(
    x: str, w: str, bias: str, compute: str, result: str, activation: str, overflow: str, borders: bool, lanes: int,
    threads: int = 256,
) -> Kernel:  # fmt: skip
    """`bias` is "" where none is added; `borders`: padding shows samples by a table, not the pad value."""
    scalar = storage_of(compute)
    parts = products(x, w, compute, scalar)
    add = adding(bias, compute, scalar)
    element = summing(parts, scalar, borders)
    activate = activating(scalar, activation)
    convert, whole = converting(scalar, storage_of(result), overflow)
    store = ops.writer(storage_of(result), whole)
    PIXELS, LANES, COMPLEX, divide, int32, int64 = threads // lanes, lanes, compute[0] == "c", ops.divide, *_INTS

    def generic(x: Any, w: Any, bias: Any, out: Any, table: Any, numbers: Any, reals: Any) -> None:
        N, F, FG, OD, OH, OW = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
        oN, oD, oH, oW, oF, step = numbers[6], numbers[7], numbers[8], numbers[9], numbers[10], numbers[11]
        t = int32(cuda.threadIdx.x)
        pixel = int64(cuda.blockIdx.x) * PIXELS + int64(divide(t, int32(LANES)))
        if pixel >= OD * OH * OW:
            return
        row = divide(int32(pixel), int32(OW))
        od, oh, ow = int64(divide(row, int32(OH))), int64(row), pixel - int64(row) * OW
        oh = oh - od * OH
        n = int64(cuda.blockIdx.z)
        while n < N:
            f = int64(cuda.blockIdx.y) * LANES + int64(t) % LANES
            while f < F:
                re, im = element(x, w, table, numbers, reals, n, f, int64(divide(int32(f), int32(FG))), od, oh, ow)
                re, im = add(re, im, bias, f * step)
                at = n * oN + od * oD + oh * oH + ow * oW + f * oF
                store(out, at, convert(activate(re, reals[2])))
                if COMPLEX:
                    store(out, at + 1, convert(im))
                f += int64(cuda.gridDim.y) * LANES
            n += int64(cuda.gridDim.z)

    pointers = ((storage_of(x), 0), (storage_of(w), 0), (storage_of(bias or compute), 0), (storage_of(result), 0))
    return Kernel(
        generic,
        (*pointers, ("int64", 0), ("int64", NUMBERS), ("float64", 3)),
        threads,
        BLOCKS - (compute == "complex128"),
    )


_INTS = (np.int32, np.int64)


def summing(parts: Any, scalar: str, borders: bool) -> Any:
    """The sum of one result, chain by chain: (real, imaginary)."""
    sample, product, kind, int64 = sampling(borders), parts, getattr(np, scalar), np.int64
    zero, nothing = kind(0), kind(-0.0) if scalar.startswith("f") else kind(0)  # to which any sum can be added

    def element(
        x: Any, w: Any, table: Any, numbers: Any, reals: Any, n: Any, f: Any, g: Any, od: Any, oh: Any, ow: Any
    ) -> Any:
        D, H, W, KD, KH, KW = numbers[12], numbers[13], numbers[14], numbers[15], numbers[16], numbers[17]
        dD, dH, dW, loD, loH, loW = numbers[18], numbers[19], numbers[20], numbers[21], numbers[22], numbers[23]
        C, xN, xD, xH, xW, xC = numbers[24], numbers[25], numbers[26], numbers[27], numbers[28], numbers[29]
        wD, wH, wW, wC, wF = numbers[30], numbers[31], numbers[32], numbers[33], numbers[34]
        LIMIT, ROWS, atH, atW = numbers[35], numbers[36], numbers[37], numbers[38]
        pd, ph, pw, pad = od * numbers[39] - loD, oh * numbers[40] - loH, ow * numbers[41] - loW, numbers[42]
        re, im, sum_re, sum_im, steps = nothing, nothing, zero, zero, int64(0)
        for kd in range(KD):
            d = sample(pd + kd * dD, D, loD, table, int64(0))
            for kh in range(KH):
                h = sample(ph + kh * dH, H, loH, table, atH)
                for kw in range(KW):
                    at = sample(pw + kw * dW, W, loW, table, atW)
                    inside = d >= 0 and h >= 0 and at >= 0
                    at = n * xN + d * xD + h * xH + at * xW + g * C * xC
                    from_w = kd * wD + kh * wH + kw * wW + f * wF
                    left = C
                    while left > 0:
                        count = min(left, LIMIT - steps)
                        for _ in range(count):
                            sum_re, sum_im = product(x, at, inside, reals, pad, w, from_w, sum_re, sum_im)
                            at += xC
                            from_w += wC
                        left -= count
                        steps += count
                        if steps == LIMIT:
                            re, im, sum_re, sum_im, steps = re + sum_re, im + sum_im, zero, zero, int64(0)
                if ROWS and steps:
                    re, im, sum_re, sum_im, steps = re + sum_re, im + sum_im, zero, zero, int64(0)
        return (re + sum_re, im + sum_im) if steps else (re, im)

    return ops.device(element)


def products(x: str, w: str, compute: str, scalar: str, conjugate: str = "") -> Any:
    """The product of a sample and a weight, added to (re, im): of real parts, as many as exist.

    `conjugate`: "x" or "w" is.
    """
    load_x, load_w = ops.reader(storage_of(x), scalar), ops.reader(storage_of(w), scalar)
    fused, kind, EXACT = ops.multiply_add(scalar), getattr(np, scalar), scalar in ("int64", "uint64")
    sign_x, sign_w = (ops.device(_negative if conjugate == which else _same) for which in "xw")

    def real(x: Any, at: Any, inside: Any, reals: Any, pad: Any, w: Any, from_w: Any, re: Any, im: Any) -> Any:
        value = load_x(x, at) if inside else kind(pad) if EXACT else kind(reals[0])
        return fused(value, load_w(w, from_w), re), im

    def complex_x(x: Any, at: Any, inside: Any, reals: Any, pad: Any, w: Any, from_w: Any, re: Any, im: Any) -> Any:
        weight = load_w(w, from_w)
        x_re = load_x(x, at) if inside else kind(reals[0])
        x_im = sign_x(load_x(x, at + 1) if inside else kind(reals[1]))
        return fused(x_re, weight, re), fused(x_im, weight, im)

    def complex_w(x: Any, at: Any, inside: Any, reals: Any, pad: Any, w: Any, from_w: Any, re: Any, im: Any) -> Any:
        value = load_x(x, at) if inside else kind(reals[0])
        return fused(value, load_w(w, from_w), re), fused(value, sign_w(load_w(w, from_w + 1)), im)

    def both(x: Any, at: Any, inside: Any, reals: Any, pad: Any, w: Any, from_w: Any, re: Any, im: Any) -> Any:
        w_re, w_im = load_w(w, from_w), sign_w(load_w(w, from_w + 1))
        x_re = load_x(x, at) if inside else kind(reals[0])
        x_im = sign_x(load_x(x, at + 1) if inside else kind(reals[1]))
        re, im = fused(x_re, w_re, re), fused(x_re, w_im, im)
        return fused(x_im, -w_im, re), fused(x_im, w_re, im)

    if compute[0] != "c":
        return ops.device(real)
    return ops.device({"cf": complex_x, "fc": complex_w, "cc": both}.get(_kinds(x, w), real))


def _same(value: Any) -> Any:
    return value


def _negative(value: Any) -> Any:
    return -value


def _kinds(x: str, w: str) -> str:
    return "".join("c" if name[0] == "c" else "f" for name in (x, w))
