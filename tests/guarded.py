"""Memory between two pages that nobody may touch; run as a program, every kernel on buffers in such memory.

    python -m tests.guarded end|start|over      end: buffers end at the page behind them; start: they begin at one

"over" reads one byte too far, to show that the harness can fail.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from math import prod

import numpy as np

import numconv
from numconv._calls import recipe
from numconv.cpu import direct, execute, fft, maps, pixel_layouts, separable, tiles, weights, winograd
from numconv.cpu.memory import address_of

from .problems import CASES, IMAGES, LAYERS, Case, arrays, same_bits

PAGE = mmap.PAGESIZE
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}


def guarded(shape: tuple[int, ...], dtype: np.dtype | str, at_end: bool, step: int = 1) -> np.ndarray:
    """An array flush with a forbidden page: behind it (its end rounded up to `step` bytes), or before it."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    room = -(-max(size, 1) // PAGE) * PAGE
    region = mmap.mmap(-1, room + 2 * PAGE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(region))
    for page in (base, base + PAGE + room):
        if LIBC.mprotect(page, PAGE, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    start = PAGE + (room - -(-size // step) * step if at_end else 0)
    return np.ndarray(shape, dtype, region, start)


def shielded(at_end: bool) -> None:
    """Packed weights and workspaces in guarded memory too, aligned to cache lines as always."""
    direct.aligned_empty = execute.aligned_empty = lambda shape, dtype: guarded(shape, dtype, at_end, 64)  # type: ignore[assignment]

    def zeros(shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return guarded(shape, dtype, at_end, 64)  # anonymous memory is zero

    def borrow(size: int) -> tuple[np.ndarray, int]:
        space = guarded((size,), "u1", at_end, 64)
        space[:] = 0xFF  # NaN in every floating type
        return space, address_of(space)

    direct.aligned_zeros, execute.borrow_workspace = zeros, borrow  # type: ignore[assignment]
    execute.give_back = lambda space, address: None  # type: ignore[assignment]
    separable.aligned_empty = execute.aligned_empty  # type: ignore[attr-defined]
    weights.borrow_workspace, weights.give_back = borrow, execute.give_back  # type: ignore[attr-defined]
    for method in (winograd, fft):
        method.aligned_empty, method.borrow_workspace = execute.aligned_empty, borrow  # type: ignore[attr-defined]
        method.give_back = execute.give_back  # type: ignore[attr-defined]


def placed(array: np.ndarray | None, at_end: bool) -> np.ndarray | None:
    """A copy in guarded memory."""
    if array is None:
        return None
    copy = guarded(array.shape, array.dtype, at_end)
    copy[...] = array
    return copy


def check(case: Case, seed: int, at_end: bool) -> None:
    """One problem: no fault, every element written, the bits of the reference."""
    print(case.name, flush=True)
    x, w, bias = arrays(case, np.random.default_rng(seed))
    conv = CONV[case.ndim]
    expected = conv(x, w, bias, **case.keywords, method="reference")
    out = guarded(expected.shape, expected.dtype, at_end)
    out[...] = np.nan if out.dtype.kind in "fc" else 77
    x, w, bias = (placed(a, at_end) for a in (x, w, bias))
    conv(x, w, bias, **case.keywords, out=out, threads=1, method="direct")
    if not same_bits(np.array(out), expected):
        raise SystemExit(f"{case.name}: wrong bits")


TABLES = {"filters": tiles.FILTERS, "pixels": tiles.PIXELS, "rows": tiles.ROWS, "planes": tiles.PLANES}


def check_winograd(form: tuple[str, str], at_end: bool) -> None:
    """Both transforms, in both layouts, with tails everywhere; then all tiles again by `direct`, in its bits."""
    winograd.FORMS[3, 3] = (form,)
    for clear in (recipe.cache_clear, winograd.best.cache_clear):
        clear()
    rng = np.random.default_rng(0)
    for dtype, channels, filters, samples in (("f4", 37, 70, 2), ("f8", 300, 16, 1), ("f4", 16, 1, 5)):
        for data_format in ("channels_last", "channels_first"):
            first = data_format == "channels_first"
            x = rng.standard_normal((samples, channels, 9, 14) if first else (samples, 9, 14, channels)).astype(dtype)
            w = rng.standard_normal((filters, channels, 3, 3) if first else (3, 3, channels, filters)).astype(dtype)
            x_, w_, bias = placed(x, at_end), placed(w, at_end), placed(np.ones(filters, dtype), at_end)
            options = {"padding": ((2, 0), (1, 1)), "data_format": data_format, "threads": 1}
            for values in (x, np.where(abs(x) > 2, np.inf, x)):
                x_[...] = values
                expected = numconv.conv2d(values, w, bias, method="reference", **options)
                out = guarded(expected.shape, dtype, at_end)
                numconv.conv2d(x_, w_, bias, method="winograd", out=out, **options)
                if not np.allclose(out, expected, rtol=0.01, atol=0.01, equal_nan=True):
                    raise SystemExit(f"winograd {form} {dtype} {data_format}: wrong")


def check_separable(at_end: bool) -> None:
    """Tails of blocks, strips and tiles; then with sums that are computed again."""
    rng = np.random.default_rng(0)
    for dtype, spatial, kernel in (("f4", (9, 18), (2, 3)), ("f8", (70, 131), (33, 2)), ("f4", (37, 500), (5, 17))):
        x = rng.standard_normal((1, 2, *spatial)).astype(dtype)
        w = (rng.integers(1, 4, (4, 1, kernel[0], 1)) * rng.integers(-4, 4, (4, 1, 1, kernel[1]))).astype(dtype)
        x_, w_, bias = placed(x, at_end), placed(w, at_end), placed(np.ones(4, dtype), at_end)
        for padding in (0, ((1, 0), (3, 1))):
            options = {"padding": padding, "data_format": "channels_first", "threads": 1, "groups": 2}
            for values in (x, np.where(abs(x) > 2, np.inf, x)):
                x_[...] = values
                expected = numconv.conv2d(values, w, bias, method="direct", **options)
                out = guarded(expected.shape, dtype, at_end)
                numconv.conv2d(x_, w_, bias, method="separable", out=out, **options)
                if not np.allclose(out, expected, rtol=0.01, atol=0.01, equal_nan=True):
                    raise SystemExit(f"separable {dtype} {spatial} {kernel}: wrong")


FFT = [
    ((2, 40, 53, 2), (9, 7), 9, "f4"), ((1, 30, 30, 3), (5, 8), 3, "F"), ((2, 1200, 1), (65,), 17, "f4"),
    ((1, 9, 20, 20, 1), (4, 5, 6), 2, "f8"), ((1, 700, 2), (100,), 2, "D"),
]  # fmt: skip


def check_fft(at_end: bool) -> None:
    """Images, volumes and signals, in both layouts; then all tiles again by `direct`."""
    rng = np.random.default_rng(0)
    for shape, kernel, filters, dtype in FFT:
        x, w = (rng.standard_normal(size).astype(dtype) for size in (shape, (*kernel, shape[-1], filters)))
        for first in (False, True):
            if first:
                x, w = (np.ascontiguousarray(a) for a in (np.moveaxis(x, -1, 1), np.moveaxis(w, (-1, -2), (0, 1))))
            options = {"padding": 3, "data_format": "channels_first" if first else "channels_last"}
            x_, w_, bias = placed(x, at_end), placed(w, at_end), placed(np.ones(filters, dtype), at_end)
            conv = CONV[len(kernel)]
            for values in (x, np.where(abs(x) > 2, x * x.real.dtype.type(1e15 if dtype in "f4F" else 1e200), x)):
                x_[...] = values
                expected = conv(values, w, bias, method="direct", **options)
                out = guarded(expected.shape, dtype, at_end)
                conv(x_, w_, bias, method="fft", out=out, threads=1, **options)
                if not np.allclose(out, expected, rtol=1e-3, atol=1e-3 * abs(values).max()):
                    raise SystemExit(f"fft {shape} {dtype} {options}: wrong")


GRADIENTS = [
    ((2, 9, 14, 19), (3, 3, 19, 35), (1, 2), 1, "f4"), ((1, 5, 300, 3), (2, 5, 3, 7), 1, 1, "f8"),
    ((3, 7, 7, 20), (1, 1, 5, 68), 2, 4, "F"), ((2, 6, 9, 4), (3, 2, 1, 8), 1, 4, "f2"),
]  # fmt: skip


def check_gradients(at_end: bool) -> None:
    """Blocks, panels and tiles that are not whole; several jobs; both layouts."""
    rng = np.random.default_rng(0)
    for shape, w_shape, stride, groups, dtype in GRADIENTS:
        for first in (False, True):
            options = {"stride": stride, "groups": groups, "padding": ((1, 0), (0, 2)), "threads": 2}
            options["data_format"] = "channels_first" if first else "channels_last"
            x, w = rng.standard_normal(shape), np.zeros(w_shape)
            if first:
                x, w = np.moveaxis(x, -1, 1), np.moveaxis(w, (-1, -2), (0, 1))
            g = rng.standard_normal(numconv.conv2d(x, w, **options).shape)
            x_, g_ = placed(np.ascontiguousarray(x.astype(dtype)), at_end), placed(g.astype(dtype), at_end)
            assert x_ is not None and g_ is not None
            expected = numconv.grad.conv2d_weight(x_, w.shape, g_, **options, method="reference")
            out = guarded(w.shape, dtype, at_end)
            out[...] = np.nan
            numconv.grad.conv2d_weight(x_, w.shape, g_, **options, out=out)
            if not same_bits(np.array(out), expected):
                raise SystemExit(f"gradient {shape} {w_shape} {options}: wrong bits")


def check_maps(at_end: bool) -> None:
    """Passes over maps: blocks and vectors that are not whole, windows beyond the border."""
    rng = np.random.default_rng(0)
    for dtype in ("f4", "f8"):
        x = placed(rng.standard_normal((3, 7, 6, 19)).astype(dtype), at_end)
        windows = maps.windows_record((7, 6), (4, 6), (3, 2), (2, 1), (1, 0), 19)
        y, back = guarded((3, 4, 6, 19), dtype, at_end), guarded((3, 7, 6, 19), dtype, at_end)
        g = placed(np.ones(y.shape, dtype), at_end)
        assert x is not None and g is not None
        y[...] = back[...] = np.nan
        if not (maps.largest(x, windows, y) and maps.largest_back(x, y, g, windows, back) and back.sum() == y.size):
            raise SystemExit(f"maps {dtype}: wrong")
        if maps.rectify_back(back, x) is None or (back[x <= 0] != 0).any():
            raise SystemExit(f"rectified {dtype}: wrong")


def every_shape() -> list[tuple[str, tuple[int, int]]]:
    """Every lane order with every tile of its table."""
    return [(order, shape) for order, table in TABLES.items() for shapes in table.values() for shape in shapes]


chosen = direct.layouts


def force(order: str, shape: tuple[int, int]) -> None:
    """Only this lane order and tile, wherever it can compute the problem."""

    pixel_layouts.WORTH_CODE = 0  # planes for small problems too

    def only(*args):
        found = chosen(*args)
        return [layout for layout in found if layout.order == order] or found

    direct.layouts = only  # type: ignore[assignment]
    for name, table in TABLES.items():
        if name == order:
            table.update(dict.fromkeys(table, (shape,)))
    recipe.cache_clear()


def main(where: str) -> None:
    """Everything, at one end of the buffers."""
    shielded(where == "end")
    if where == "over":
        over = guarded((8,), "f4", True)
        ctypes.string_at(address_of(over), over.nbytes + 1)
    for number, case in enumerate(CASES + [case.small() for case in LAYERS + IMAGES]):
        check(case, number, where == "end")
    for order, shape in every_shape():
        force(order, shape)
        print(order, shape)
        tails = ("planes.w",) if order == "planes" else ("tail.", "chains.kh")
        for number, case in enumerate(case for case in CASES if case.name.startswith(tails)):
            check(case, number, where == "end")
    for form in (("2", "2"), ("4", "4")):
        print("winograd", form, flush=True)
        check_winograd(form, where == "end")
    check_separable(where == "end")
    check_gradients(where == "end")
    check_maps(where == "end")
    print("fft", flush=True)
    check_fft(where == "end")
    print("all inside", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
