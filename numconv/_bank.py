"""`filter_bank`, `plan_filter_bank`, `correlate` and `convolve`: filters on arrays without channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ._arguments import as_array, as_dtype, bank_axes, check_bank_shape, check_threads, kernel_axes, native
from ._calls import bank_of
from ._devices import on_gpu, plan_kind
from ._plan import Engine, Plan, compute


def filter_bank(
    x: ArrayLike,
    filters: ArrayLike,
    *,
    axes: int | Sequence[int] | None = None,
    stride: Any = 1,
    padding: Any = "same_lower",
    dilation: Any = 1,
    pad_mode: str = "symmetric",
    pad_value: complex = 0,
    activation: Any = None,
    flip: bool = False,
    dtype: DTypeLike | None = None,
    overflow: str = "raise",
    method: str = "auto",
    precision: str = "ieee",
    reduce: str | tuple[str, ...] | None = None,
    device: str | None = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Apply many filters to a bare array: a map for each filter.

    Parameters
    ----------
    x : array_like, (*batch, *spatial)
        A signal, an image, a volume, or any stack of them.
    filters : array_like, (F, *kernel)
        F kernels of one to three axes.
    axes : int or sequence of int, optional
        The axes of x to filter along; by default the last ones, as many as a kernel has. All others are batch.
    padding : default "same_lower"
        As SciPy's and NumPy's "same"; see `conv2d` for the others.
    pad_mode : default "symmetric"
        What `scipy.ndimage` calls "reflect", its default.
    stride, dilation, pad_value, activation, flip, dtype, overflow, method, precision, reduce, device, threads, out
        As of `conv2d`.

    Returns
    -------
    ndarray, (*batch, F, *out)
        With `reduce` (*batch, F), or a tuple of such arrays.

    Raises
    ------
    ValueError
        An argument does not fit the others. For an (H, W, 3) or (H, W, 4) array with 2-D filters and no `axes`, which
        would be filtered along W and the colours, it suggests ``axes=(0, 1)``.
    TypeError
        An object or dtype of the wrong kind.

    See Also
    --------
    plan_filter_bank : packs the filters once.
    numconv.banks : lines, Sobel, Gabor and other filters.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> image = np.arange(12.0).reshape(3, 4)
    >>> maps = numconv.filter_bank(image, [[[-1, 0, 1]], [[1, 1, 1]]])
    >>> maps.shape
    (2, 3, 4)
    >>> maps[0, 0]
    array([1., 2., 2., 1.])
    """
    options = (stride, padding, dilation, 1, pad_mode, pad_value, "channels_first", activation, flip, dtype)
    where = device, threads, out
    return _filtered("filter_bank", x, filters, axes, (*options, overflow, method, precision, reduce), where, bank=True)


def correlate(
    x: ArrayLike,
    kernel: ArrayLike,
    *,
    axes: int | Sequence[int] | None = None,
    stride: Any = 1,
    padding: Any = "same_lower",
    dilation: Any = 1,
    pad_mode: str = "symmetric",
    pad_value: complex = 0,
    activation: Any = None,
    dtype: DTypeLike | None = None,
    overflow: str = "raise",
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Correlate an array with one kernel, which is not conjugated.

    Parameters
    ----------
    x : array_like
        Of any number of axes.
    kernel : array_like
        Of one to three axes.
    axes : int or sequence of int, optional
        The axes of x to filter along, in the kernel's order; by default the last ones.
    stride, padding, dilation, pad_mode, pad_value, activation, dtype, overflow, method : optional
        As of `filter_bank`.
    precision, device, threads, out : optional
        As of `filter_bank`.

    Returns
    -------
    ndarray
        With x's axes.

    Raises
    ------
    ValueError, TypeError
        As `filter_bank`.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> numconv.correlate([1.0, 2.0, 4.0], [1, 0, -1], pad_mode="constant")
    array([-2., -3.,  2.])
    """
    options = (stride, padding, dilation, 1, pad_mode, pad_value, "channels_first", activation, False, dtype)
    where = device, threads, out
    return _filtered("correlate", x, kernel, axes, (*options, overflow, method, precision, None), where, bank=False)


def convolve(
    x: ArrayLike,
    kernel: ArrayLike,
    *,
    axes: int | Sequence[int] | None = None,
    stride: Any = 1,
    padding: Any = "same_lower",
    dilation: Any = 1,
    pad_mode: str = "symmetric",
    pad_value: complex = 0,
    activation: Any = None,
    dtype: DTypeLike | None = None,
    overflow: str = "raise",
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolve an array with one kernel, in the mathematician's sense: `correlate` with the kernel reversed.

    Parameters
    ----------
    x, kernel, axes, stride, padding, dilation, pad_mode, pad_value, activation, dtype, overflow, method : optional
        As of `correlate`.
    precision, device, threads, out : optional
        As of `correlate`.

    Returns
    -------
    ndarray
        With x's axes.

    Raises
    ------
    ValueError, TypeError
        As `filter_bank`.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> numconv.convolve([1.0, 2.0, 4.0], [1, 0, -1], pad_mode="constant")
    array([ 2.,  3., -2.])
    """
    options = (stride, padding, dilation, 1, pad_mode, pad_value, "channels_first", activation, True, dtype)
    where = device, threads, out
    return _filtered("convolve", x, kernel, axes, (*options, overflow, method, precision, None), where, bank=False)


def plan_filter_bank(
    x_shape: Sequence[int | None],
    filters: ArrayLike,
    *,
    x_dtype: DTypeLike | None = None,
    axes: int | Sequence[int] | None = None,
    stride: Any = 1,
    padding: Any = "same_lower",
    dilation: Any = 1,
    pad_mode: str = "symmetric",
    pad_value: complex = 0,
    activation: Any = None,
    flip: bool = False,
    dtype: DTypeLike | None = None,
    overflow: str = "raise",
    method: str = "auto",
    precision: str = "ieee",
    reduce: str | tuple[str, ...] | None = None,
    device: str | None = None,
) -> Plan:
    """Prepare `filter_bank` for one shape: the method is chosen and the filters are packed once.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of x; None along batch axes that may have any size.
    filters : array_like, (F, *kernel)
        Copied.
    x_dtype : dtype, optional
        Of x; by default that of the filters.
    axes, stride, padding, dilation, pad_mode, pad_value, activation, flip, dtype, overflow, method : optional
        As of `filter_bank`.
    precision, reduce, device : optional
        As of `filter_bank`.

    Returns
    -------
    Plan
        To be called as ``plan(x, out=None, threads=None)``.

    Raises
    ------
    ValueError, TypeError
        As `filter_bank`.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> plan = numconv.plan_filter_bank((None, 480, 640), np.ones((8, 7, 7), np.float32))
    >>> plan.output_shape
    (None, 8, 480, 640)
    """
    name = "plan_filter_bank"
    kind, filters, _ = plan_kind(name, device, precision, filters)
    filters = as_array(name, "filters", filters)
    sizes = check_bank_shape(name, x_shape)
    along = bank_axes(name, sizes, filters.shape, axes)
    if any(sizes[axis] is None for axis in along):
        raise ValueError(
            f"{name}: x_shape is {x_shape!r}, but the filters run along its axes {along}; expected sizes there"
        )
    options = (stride, padding, dilation, 1, pad_mode, pad_value, "channels_first", activation, flip, dtype)
    dtype = native(name, "filters", filters.dtype) if x_dtype is None else as_dtype(name, "x_dtype", x_dtype)
    given = (*options, overflow, method, precision, reduce)
    problem, frame, w = bank_of(name, sizes, dtype, filters, along, given, bank=True)
    return kind(name, problem, frame, w, None)


def _filtered(name: str, x: Any, kernels: Any, axes: Any, options: tuple, where: tuple, *, bank: bool) -> np.ndarray:
    """`where`: device, threads, out."""
    device, threads, out = where
    if (device is not None or type(x) is not np.ndarray) and on_gpu(name, x, device):
        from .cuda import calls

        return calls.filter_array(name, x, kernels, axes, options, where, bank)
    x = as_array(name, "x", x)
    kernels = as_array(name, "filters" if bank else "kernel", kernels)
    if bank:
        along = bank_axes(name, x.shape, kernels.shape, axes)
    else:
        along = kernel_axes(name, x.shape, kernels.shape, axes)
        kernels = kernels[None]
    problem, frame, w = bank_of(name, x.shape, x.dtype, kernels, along, options, bank)
    threads = check_threads(name, threads)
    return compute(Engine(name, problem, w, None, threads), frame, x, out, threads)
