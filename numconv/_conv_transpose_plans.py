"""`plan_conv_transpose1d`, `plan_conv_transpose2d`, `plan_conv_transpose3d`: documentation, and bodies of two lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, DTypeLike

from ._conv_transpose_calls import make_transpose_plan
from ._plan import Plan


def plan_conv_transpose1d(
    x_shape: Sequence[int | None],
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    x_dtype: DTypeLike | None = None,
    stride: Any = 1,
    padding: Any = "valid",
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    activation: Any = None,
    flip: bool = False,
    dtype: DTypeLike | None = None,
    overflow: str = "raise",
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
) -> Plan:
    """Prepare `conv_transpose1d` for one shape of sample: methods are chosen and the weights are packed once.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of x; None for N, or N itself: a plan accepts any.
    w, bias : array_like
        As of `conv_transpose1d`; copied.
    x_dtype : dtype, optional
        Of x; by default that of w.
    stride, padding, output_padding, dilation, groups, data_format, activation, flip, dtype, overflow : optional
        As of `conv_transpose1d`.
    method, precision, device : optional
        As of `conv_transpose1d`.

    Returns
    -------
    Plan
        To be called as ``plan(x, out=None, threads=None)``, from several threads at once if need be.

    Raises
    ------
    ValueError, TypeError, NotImplementedError
        As `conv_transpose1d`.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> plan = numconv.plan_conv_transpose1d((None, 64, 8), np.ones((5, 4, 8), np.float32), stride=2)
    >>> plan.output_shape
    (None, 131, 4)
    >>> plan.method
    'direct'
    """
    options = (
        stride,
        padding,
        output_padding,
        dilation,
        groups,
        data_format,
        activation,
        flip,
        dtype,
        overflow,
        method,
        precision,
    )
    return make_transpose_plan("plan_conv_transpose1d", 1, x_shape, w, bias, x_dtype, options, device)


def plan_conv_transpose2d(
    x_shape: Sequence[int | None],
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    x_dtype: DTypeLike | None = None,
    stride: Any = 1,
    padding: Any = "valid",
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    activation: Any = None,
    flip: bool = False,
    dtype: DTypeLike | None = None,
    overflow: str = "raise",
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
) -> Plan:
    """Prepare `conv_transpose2d` for one shape of sample: methods are chosen and the weights are packed once.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of x; None for N, or N itself: a plan accepts any.
    w, bias : array_like
        As of `conv_transpose2d`; copied.
    x_dtype : dtype, optional
        Of x; by default that of w.
    stride, padding, output_padding, dilation, groups, data_format, activation, flip, dtype, overflow : optional
        As of `conv_transpose2d`.
    method, precision, device : optional
        As of `conv_transpose2d`.

    Returns
    -------
    Plan
        To be called as ``plan(x, out=None, threads=None)``, from several threads at once if need be.

    Raises
    ------
    ValueError, TypeError, NotImplementedError
        As `conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> plan = numconv.plan_conv_transpose2d((None, 28, 28, 8), np.ones((2, 2, 4, 8), np.float32), stride=2)
    >>> plan.output_shape
    (None, 56, 56, 4)
    >>> plan.method
    'direct'
    """
    options = (
        stride,
        padding,
        output_padding,
        dilation,
        groups,
        data_format,
        activation,
        flip,
        dtype,
        overflow,
        method,
        precision,
    )
    return make_transpose_plan("plan_conv_transpose2d", 2, x_shape, w, bias, x_dtype, options, device)


def plan_conv_transpose3d(
    x_shape: Sequence[int | None],
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    x_dtype: DTypeLike | None = None,
    stride: Any = 1,
    padding: Any = "valid",
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    activation: Any = None,
    flip: bool = False,
    dtype: DTypeLike | None = None,
    overflow: str = "raise",
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
) -> Plan:
    """Prepare `conv_transpose3d` for one shape of sample: methods are chosen and the weights are packed once.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of x; None for N, or N itself: a plan accepts any.
    w, bias : array_like
        As of `conv_transpose3d`; copied.
    x_dtype : dtype, optional
        Of x; by default that of w.
    stride, padding, output_padding, dilation, groups, data_format, activation, flip, dtype, overflow : optional
        As of `conv_transpose3d`.
    method, precision, device : optional
        As of `conv_transpose3d`.

    Returns
    -------
    Plan
        To be called as ``plan(x, out=None, threads=None)``, from several threads at once if need be.

    Raises
    ------
    ValueError, TypeError, NotImplementedError
        As `conv_transpose3d`.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> plan = numconv.plan_conv_transpose3d((None, 8, 8, 8, 8), np.ones((2, 2, 2, 4, 8), np.float32), stride=2)
    >>> plan.output_shape
    (None, 16, 16, 16, 4)
    >>> plan.method
    'direct'
    """
    options = (
        stride,
        padding,
        output_padding,
        dilation,
        groups,
        data_format,
        activation,
        flip,
        dtype,
        overflow,
        method,
        precision,
    )
    return make_transpose_plan("plan_conv_transpose3d", 3, x_shape, w, bias, x_dtype, options, device)
