"""`plan_conv1d`, `plan_conv2d`, `plan_conv3d`: documentation, and bodies of two lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, DTypeLike

from ._calls import make_plan
from ._plan import Plan


def plan_conv1d(
    x_shape: Sequence[int | None],
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    x_dtype: DTypeLike | None = None,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    pad_mode: str = "constant",
    pad_value: complex = 0,
    data_format: str = "channels_last",
    activation: Any = None,
    flip: bool = False,
    dtype: DTypeLike | None = None,
    overflow: str = "raise",
    method: str = "auto",
    precision: str = "ieee",
    reduce: str | tuple[str, ...] | None = None,
    device: str | None = None,
) -> Plan:
    """Prepare `conv1d` for one shape of sample: the method is chosen and the weights are packed once.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of x; None for N, or N itself: a plan accepts any.
    w, bias : array_like
        As of `conv1d`; copied.
    x_dtype : dtype, optional
        Of x; by default that of w.
    stride, padding, dilation, groups, pad_mode, pad_value, data_format, activation, flip, dtype, overflow : optional
        As of `conv1d`.
    method, precision, reduce, device : optional
        As of `conv1d`.

    Returns
    -------
    Plan
        To be called as ``plan(x, out=None, threads=None)``, from several threads at once if need be.

    Raises
    ------
    ValueError, TypeError
        As `conv1d`.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> plan = numconv.plan_conv1d((None, 64, 3), np.ones((5, 3, 32), np.float32))
    >>> plan.output_shape
    (None, 60, 32)
    >>> plan.method
    'direct'
    """
    options = (
        stride,
        padding,
        dilation,
        groups,
        pad_mode,
        pad_value,
        data_format,
        activation,
        flip,
        dtype,
        overflow,
        method,
        precision,
        reduce,
    )
    return make_plan("plan_conv1d", 1, x_shape, w, bias, x_dtype, options, device)


def plan_conv2d(
    x_shape: Sequence[int | None],
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    x_dtype: DTypeLike | None = None,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    pad_mode: str = "constant",
    pad_value: complex = 0,
    data_format: str = "channels_last",
    activation: Any = None,
    flip: bool = False,
    dtype: DTypeLike | None = None,
    overflow: str = "raise",
    method: str = "auto",
    precision: str = "ieee",
    reduce: str | tuple[str, ...] | None = None,
    device: str | None = None,
) -> Plan:
    """Prepare `conv2d` for one shape of sample: the method is chosen and the weights are packed once.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of x; None for N, or N itself: a plan accepts any.
    w, bias : array_like
        As of `conv2d`; copied.
    x_dtype : dtype, optional
        Of x; by default that of w.
    stride, padding, dilation, groups, pad_mode, pad_value, data_format, activation, flip, dtype, overflow : optional
        As of `conv2d`.
    method, precision, reduce, device : optional
        As of `conv2d`.

    Returns
    -------
    Plan
        To be called as ``plan(x, out=None, threads=None)``, from several threads at once if need be.

    Raises
    ------
    ValueError, TypeError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> plan = numconv.plan_conv2d((None, 28, 28, 3), np.ones((3, 3, 3, 32), np.float32))
    >>> plan.output_shape
    (None, 26, 26, 32)
    >>> plan.method
    'direct'
    """
    options = (
        stride,
        padding,
        dilation,
        groups,
        pad_mode,
        pad_value,
        data_format,
        activation,
        flip,
        dtype,
        overflow,
        method,
        precision,
        reduce,
    )
    return make_plan("plan_conv2d", 2, x_shape, w, bias, x_dtype, options, device)


def plan_conv3d(
    x_shape: Sequence[int | None],
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    x_dtype: DTypeLike | None = None,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    pad_mode: str = "constant",
    pad_value: complex = 0,
    data_format: str = "channels_last",
    activation: Any = None,
    flip: bool = False,
    dtype: DTypeLike | None = None,
    overflow: str = "raise",
    method: str = "auto",
    precision: str = "ieee",
    reduce: str | tuple[str, ...] | None = None,
    device: str | None = None,
) -> Plan:
    """Prepare `conv3d` for one shape of sample: the method is chosen and the weights are packed once.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of x; None for N, or N itself: a plan accepts any.
    w, bias : array_like
        As of `conv3d`; copied.
    x_dtype : dtype, optional
        Of x; by default that of w.
    stride, padding, dilation, groups, pad_mode, pad_value, data_format, activation, flip, dtype, overflow : optional
        As of `conv3d`.
    method, precision, reduce, device : optional
        As of `conv3d`.

    Returns
    -------
    Plan
        To be called as ``plan(x, out=None, threads=None)``, from several threads at once if need be.

    Raises
    ------
    ValueError, TypeError
        As `conv3d`.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> plan = numconv.plan_conv3d((None, 8, 8, 8, 3), np.ones((3, 3, 3, 3, 32), np.float32))
    >>> plan.output_shape
    (None, 6, 6, 6, 32)
    >>> plan.method
    'direct'
    """
    options = (
        stride,
        padding,
        dilation,
        groups,
        pad_mode,
        pad_value,
        data_format,
        activation,
        flip,
        dtype,
        overflow,
        method,
        precision,
        reduce,
    )
    return make_plan("plan_conv3d", 3, x_shape, w, bias, x_dtype, options, device)
