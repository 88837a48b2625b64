"""Gradients with respect to inputs of transposed convolutions: documentation, and bodies of two lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ._input_calls import TRANSPOSE, input_gradient

__all__ = [
    "conv_transpose1d_input",
    "conv_transpose2d_input",
    "conv_transpose3d_input",
]


def conv_transpose1d_input(
    input_shape: Sequence[int | None],
    w: ArrayLike,
    grad_output: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = "valid",
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    flip: bool = False,
    dtype: DTypeLike | None = None,
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of a loss with respect to the x of ``numconv.conv_transpose1d(x, w, ...)``.

    Parameters
    ----------
    input_shape : sequence of int, (N, W, C) or (N, C, W)
        Shape of x; None for the N of `grad_output`.
    w : array_like, (KW, F // groups, C) or (C, F // groups, KW)
        Filters, as `numconv.conv_transpose1d` takes them.
    grad_output : array_like, (N, OW, F) or (N, F, OW)
        Gradient with respect to the result, before any activation.
    stride, padding, output_padding, dilation, groups, data_format, flip : optional
        As of `numconv.conv_transpose1d`.
    dtype : dtype, optional
        Of the gradient, floating or complex; also the computing type.
    method : {"auto", "direct", "winograd", "separable", "fft", "reference"}
        As of `numconv.conv_transpose1d`.
    precision : {"ieee", "3xtf32", "tf32", "bf16"}
        As of `numconv.conv2d`: a permission for GPUs.
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where `grad_output` lies; as of `numconv.conv2d`.
    threads : int, optional
        Worker threads; by default those of `get_num_threads`. The result does not depend on it.
    out : ndarray, optional
        Filled and returned; of the gradient's shape and dtype.

    Returns
    -------
    ndarray, (N, W, C) or (N, C, W)
        Floating as `numconv.conv_transpose1d` would compute it. Complex, as in PyTorch, the gradient with respect
        to the conjugate of x; for an x that is real its real part counts.

    Raises
    ------
    ValueError
        An argument does not fit the others.
    TypeError
        An object or dtype of the wrong kind; integers, which have no gradients.
    NotImplementedError
        It cannot be computed by the method asked for.

    Notes
    -----
    The gradient is the convolution of `grad_output` by the conjugated weights.

    Examples
    --------
    >>> import numpy as np
    >>> from numconv import grad
    >>> w = np.array([1, 10], np.float32).reshape(2, 1, 1)
    >>> grad.conv_transpose1d_input((1, 2, 1), w, np.array([1, 2, 3, 4], np.float32).reshape(1, 4, 1), stride=2).ravel()
    array([21., 43.], dtype=float32)
    """
    options = (
        stride,
        padding,
        output_padding,
        dilation,
        groups,
        data_format,
        flip,
        dtype,
        method,
        precision,
    )
    return input_gradient(
        "grad.conv_transpose1d_input", 1, input_shape, w, grad_output, TRANSPOSE, options, device, threads, out
    )


def conv_transpose2d_input(
    input_shape: Sequence[int | None],
    w: ArrayLike,
    grad_output: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = "valid",
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    flip: bool = False,
    dtype: DTypeLike | None = None,
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of a loss with respect to the x of ``numconv.conv_transpose2d(x, w, ...)``.

    Parameters
    ----------
    input_shape : sequence of int, (N, H, W, C) or (N, C, H, W)
        Shape of x; None for the N of `grad_output`.
    w : array_like, (KH, KW, F // groups, C) or (C, F // groups, KH, KW)
        Filters, as `numconv.conv_transpose2d` takes them.
    grad_output : array_like, (N, OH, OW, F) or (N, F, OH, OW)
        Gradient with respect to the result, before any activation.
    stride, padding, output_padding, dilation, groups, data_format, flip : optional
        As of `numconv.conv_transpose2d`.
    dtype : dtype, optional
        Of the gradient, floating or complex; also the computing type.
    method : {"auto", "direct", "winograd", "separable", "fft", "reference"}
        As of `numconv.conv_transpose2d`.
    precision : {"ieee", "3xtf32", "tf32", "bf16"}
        As of `numconv.conv2d`: a permission for GPUs.
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where `grad_output` lies; as of `numconv.conv2d`.
    threads : int, optional
        Worker threads; by default those of `get_num_threads`. The result does not depend on it.
    out : ndarray, optional
        Filled and returned; of the gradient's shape and dtype.

    Returns
    -------
    ndarray, (N, H, W, C) or (N, C, H, W)
        Floating as `numconv.conv_transpose2d` would compute it. Complex, as in PyTorch, the gradient with respect
        to the conjugate of x; for an x that is real its real part counts.

    Raises
    ------
    ValueError
        An argument does not fit the others.
    TypeError
        An object or dtype of the wrong kind; integers, which have no gradients.
    NotImplementedError
        It cannot be computed by the method asked for.

    Notes
    -----
    The gradient is the convolution of `grad_output` by the conjugated weights.

    Examples
    --------
    >>> import numpy as np
    >>> from numconv import grad
    >>> w = np.ones((2, 2, 32, 64), np.float32)
    >>> grad.conv_transpose2d_input((1, 16, 16, 64), w, np.ones((1, 32, 32, 32), np.float32), stride=2).shape
    (1, 16, 16, 64)
    """
    options = (
        stride,
        padding,
        output_padding,
        dilation,
        groups,
        data_format,
        flip,
        dtype,
        method,
        precision,
    )
    return input_gradient(
        "grad.conv_transpose2d_input", 2, input_shape, w, grad_output, TRANSPOSE, options, device, threads, out
    )


def conv_transpose3d_input(
    input_shape: Sequence[int | None],
    w: ArrayLike,
    grad_output: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = "valid",
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    flip: bool = False,
    dtype: DTypeLike | None = None,
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of a loss with respect to the x of ``numconv.conv_transpose3d(x, w, ...)``.

    Parameters
    ----------
    input_shape : sequence of int, (N, D, H, W, C) or (N, C, D, H, W)
        Shape of x; None for the N of `grad_output`.
    w : array_like, (KD, KH, KW, F // groups, C) or (C, F // groups, KD, KH, KW)
        Filters, as `numconv.conv_transpose3d` takes them.
    grad_output : array_like, (N, OD, OH, OW, F) or (N, F, OD, OH, OW)
        Gradient with respect to the result, before any activation.
    stride, padding, output_padding, dilation, groups, data_format, flip : optional
        As of `numconv.conv_transpose3d`.
    dtype : dtype, optional
        Of the gradient, floating or complex; also the computing type.
    method : {"auto", "direct", "winograd", "separable", "fft", "reference"}
        As of `numconv.conv_transpose3d`.
    precision : {"ieee", "3xtf32", "tf32", "bf16"}
        As of `numconv.conv2d`: a permission for GPUs.
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where `grad_output` lies; as of `numconv.conv2d`.
    threads : int, optional
        Worker threads; by default those of `get_num_threads`. The result does not depend on it.
    out : ndarray, optional
        Filled and returned; of the gradient's shape and dtype.

    Returns
    -------
    ndarray, (N, D, H, W, C) or (N, C, D, H, W)
        Floating as `numconv.conv_transpose3d` would compute it. Complex, as in PyTorch, the gradient with respect
        to the conjugate of x; for an x that is real its real part counts.

    Raises
    ------
    ValueError
        An argument does not fit the others.
    TypeError
        An object or dtype of the wrong kind; integers, which have no gradients.
    NotImplementedError
        It cannot be computed by the method asked for.

    Notes
    -----
    The gradient is the convolution of `grad_output` by the conjugated weights.

    Examples
    --------
    >>> import numpy as np
    >>> from numconv import grad
    >>> w = np.ones((2, 2, 2, 4, 8), np.float32)
    >>> grad.conv_transpose3d_input((1, 4, 4, 4, 8), w, np.ones((1, 8, 8, 8, 4), np.float32), stride=2).shape
    (1, 4, 4, 4, 8)
    """
    options = (
        stride,
        padding,
        output_padding,
        dilation,
        groups,
        data_format,
        flip,
        dtype,
        method,
        precision,
    )
    return input_gradient(
        "grad.conv_transpose3d_input", 3, input_shape, w, grad_output, TRANSPOSE, options, device, threads, out
    )
