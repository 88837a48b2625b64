"""Gradients with respect to weights of transposed convolutions: documentation, and bodies of two lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._weight_gradients import TRANSPOSE, weight_gradient

__all__ = ["conv_transpose1d_weight", "conv_transpose2d_weight", "conv_transpose3d_weight"]


def conv_transpose1d_weight(
    x: ArrayLike,
    weight_shape: Sequence[int],
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
    """Gradient of a loss with respect to the w of ``numconv.conv_transpose1d(x, w, ...)``.

    Parameters
    ----------
    x : array_like, (N, W, C) or (N, C, W)
        As `numconv.conv_transpose1d` takes it; also without N.
    weight_shape : sequence of int, (KW, F // groups, C) or (C, F // groups, KW)
        Shape of w.
    grad_output : array_like, (N, OW, F) or (N, F, OW)
        Gradient with respect to the result, before any activation.
    stride, padding, output_padding, dilation, groups, data_format, flip : optional
        As of `numconv.conv_transpose1d`.
    dtype : dtype, optional
        Of the gradient, floating or complex; also the computing type.
    method : {"auto", "direct", "reference"}
        "direct", or the same bits slowly, in NumPy.
    precision : {"ieee", "3xtf32", "tf32", "bf16"}
        As of `numconv.conv2d`: a permission for GPUs.
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where x and `grad_output` lie, as of `numconv.conv2d`: on a GPU with the same bits, by "ieee".
    threads : int, optional
        Worker threads; by default those of `get_num_threads`. The result does not depend on it.
    out : ndarray, optional
        Filled and returned; of shape `weight_shape` and the gradient's dtype.

    Returns
    -------
    ndarray, (KW, F // groups, C) or (C, F // groups, KW)
        Of the type that x and `grad_output` promote to, in which it is computed (float16 in float32). Of complex ones
        it is the sum of ``conj(x) * grad_output``, as in PyTorch.

    Raises
    ------
    ValueError
        A shape or an option does not fit the others.
    TypeError
        `grad_output` or `dtype` is neither floating nor complex; an object of the wrong kind.
    NotImplementedError
        Another `method` of `numconv.conv_transpose1d`.

    See Also
    --------
    conv2d_weight : the order in which products are added: here that of x, whose samples meet a window of `grad_output`.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> x, error = np.array([1, 2], np.float32), np.array([1, 0, 0, 1, 5], np.float32)
    >>> numconv.grad.conv_transpose1d_weight(x.reshape(1, 2, 1), (3, 1, 1), error.reshape(1, 5, 1), stride=2).ravel()
    array([ 1.,  2., 10.], dtype=float32)
    """
    options = (stride, padding, output_padding, dilation, groups, data_format, flip, dtype, method, precision)
    return weight_gradient(
        "conv_transpose1d_weight", 1, x, weight_shape, grad_output, TRANSPOSE, options, device, threads, out
    )


def conv_transpose2d_weight(
    x: ArrayLike,
    weight_shape: Sequence[int],
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
    """Gradient of a loss with respect to the w of ``numconv.conv_transpose2d(x, w, ...)``.

    Parameters
    ----------
    x : array_like, (N, H, W, C) or (N, C, H, W)
        As `numconv.conv_transpose2d` takes it; also without N.
    weight_shape : sequence of int, (KH, KW, F // groups, C) or (C, F // groups, KH, KW)
        Shape of w.
    grad_output : array_like, (N, OH, OW, F) or (N, F, OH, OW)
        Gradient with respect to the result, before any activation.
    stride, padding, output_padding, dilation, groups, data_format, flip : optional
        As of `numconv.conv_transpose2d`.
    dtype : dtype, optional
        Of the gradient, floating or complex; also the computing type.
    method : {"auto", "direct", "reference"}
        "direct", or the same bits slowly, in NumPy.
    precision : {"ieee", "3xtf32", "tf32", "bf16"}
        As of `numconv.conv2d`: a permission for GPUs.
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where x and `grad_output` lie, as of `numconv.conv2d`: on a GPU with the same bits, by "ieee".
    threads : int, optional
        Worker threads; by default those of `get_num_threads`. The result does not depend on it.
    out : ndarray, optional
        Filled and returned; of shape `weight_shape` and the gradient's dtype.

    Returns
    -------
    ndarray, (KH, KW, F // groups, C) or (C, F // groups, KH, KW)
        Of the type that x and `grad_output` promote to, in which it is computed (float16 in float32). Of complex ones
        it is the sum of ``conj(x) * grad_output``, as in PyTorch.

    Raises
    ------
    ValueError
        A shape or an option does not fit the others.
    TypeError
        `grad_output` or `dtype` is neither floating nor complex; an object of the wrong kind.
    NotImplementedError
        Another `method` of `numconv.conv_transpose2d`.

    See Also
    --------
    conv2d_weight : the order in which products are added: here that of x, whose samples meet a window of `grad_output`.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> x, ones = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1), np.ones((1, 4, 4, 1), np.float32)
    >>> numconv.grad.conv_transpose2d_weight(x, (2, 2, 1, 1), ones, stride=2)[:, :, 0, 0]
    array([[6., 6.],
           [6., 6.]], dtype=float32)
    """
    options = (stride, padding, output_padding, dilation, groups, data_format, flip, dtype, method, precision)
    return weight_gradient(
        "conv_transpose2d_weight", 2, x, weight_shape, grad_output, TRANSPOSE, options, device, threads, out
    )


def conv_transpose3d_weight(
    x: ArrayLike,
    weight_shape: Sequence[int],
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
    """Gradient of a loss with respect to the w of ``numconv.conv_transpose3d(x, w, ...)``.

    Parameters
    ----------
    x : array_like, (N, D, H, W, C) or (N, C, D, H, W)
        As `numconv.conv_transpose3d` takes it; also without N.
    weight_shape : sequence of int, (KD, KH, KW, F // groups, C) or (C, F // groups, KD, KH, KW)
        Shape of w.
    grad_output : array_like, (N, OD, OH, OW, F) or (N, F, OD, OH, OW)
        Gradient with respect to the result, before any activation.
    stride, padding, output_padding, dilation, groups, data_format, flip : optional
        As of `numconv.conv_transpose3d`.
    dtype : dtype, optional
        Of the gradient, floating or complex; also the computing type.
    method : {"auto", "direct", "reference"}
        "direct", or the same bits slowly, in NumPy.
    precision : {"ieee", "3xtf32", "tf32", "bf16"}
        As of `numconv.conv2d`: a permission for GPUs.
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where x and `grad_output` lie, as of `numconv.conv2d`: on a GPU with the same bits, by "ieee".
    threads : int, optional
        Worker threads; by default those of `get_num_threads`. The result does not depend on it.
    out : ndarray, optional
        Filled and returned; of shape `weight_shape` and the gradient's dtype.

    Returns
    -------
    ndarray, (KD, KH, KW, F // groups, C) or (C, F // groups, KD, KH, KW)
        Of the type that x and `grad_output` promote to, in which it is computed (float16 in float32). Of complex ones
        it is the sum of ``conj(x) * grad_output``, as in PyTorch.

    Raises
    ------
    ValueError
        A shape or an option does not fit the others.
    TypeError
        `grad_output` or `dtype` is neither floating nor complex; an object of the wrong kind.
    NotImplementedError
        Another `method` of `numconv.conv_transpose3d`.

    See Also
    --------
    conv2d_weight : the order in which products are added: here that of x, whose samples meet a window of `grad_output`.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> x, ones = np.arange(8.0).reshape(1, 2, 2, 2, 1), np.ones((1, 3, 2, 2, 1))
    >>> numconv.grad.conv_transpose3d_weight(x, (2, 1, 1, 1, 1), ones).ravel()
    array([28., 28.])
    """
    options = (stride, padding, output_padding, dilation, groups, data_format, flip, dtype, method, precision)
    return weight_gradient(
        "conv_transpose3d_weight", 3, x, weight_shape, grad_output, TRANSPOSE, options, device, threads, out
    )
