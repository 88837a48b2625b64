"""Gradients of weights and biases: documentation, and bodies of one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._weight_gradients import CONV, bias_gradient, weight_gradient


def bias(grad_output: ArrayLike, *, data_format: str = "channels_last", device: str | None = None) -> np.ndarray:
    """Gradient of a loss with respect to the bias of a convolution: the sum of each map's gradient.

    Parameters
    ----------
    grad_output : array_like, (N, *out, F) or (N, F, *out)
        Gradient with respect to the result; up to three spatial axes.
    data_format : {"channels_last", "channels_first"}
        Where the filters lie.
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where `grad_output` lies: on a GPU with the same bits, by "ieee".

    Returns
    -------
    ndarray, (F,)
        Of the dtype of `grad_output`; added up in float64 or complex128.

    Raises
    ------
    ValueError
        `grad_output` has too few or too many axes, or an empty one.
    TypeError
        `grad_output` is neither floating nor complex.

    Notes
    -----
    The order of summation is that of `conv2d_weight` for a kernel of one tap and an x of ones: in chains of rows, which
    are added up in segments. The result depends on neither threads nor memory layout.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> numconv.grad.bias(np.ones((8, 5, 5, 3), np.float32))
    array([200., 200., 200.], dtype=float32)
    """
    return bias_gradient(grad_output, data_format, device)


def conv1d_weight(
    x: ArrayLike,
    weight_shape: Sequence[int],
    grad_output: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    pad_mode: str = "constant",
    pad_value: complex = 0,
    data_format: str = "channels_last",
    flip: bool = False,
    dtype: DTypeLike | None = None,
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of a loss with respect to the w of ``numconv.conv1d(x, w, ...)``.

    Parameters
    ----------
    x : array_like, (N, W, C) or (N, C, W)
        As `numconv.conv1d` takes it; also without N.
    weight_shape : sequence of int, (KW, C // groups, F) or (F, C // groups, KW)
        Shape of w.
    grad_output : array_like, (N, OW, F) or (N, F, OW)
        Gradient with respect to the result, before any activation.
    stride, padding, dilation, groups, pad_mode, pad_value, data_format, flip : optional
        As of `numconv.conv1d`.
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
    ndarray, (KW, C // groups, F) or (F, C // groups, KW)
        Of the type that x and `grad_output` promote to, in which it is computed (float16 in float32). Of complex ones
        it is the sum of ``conj(x) * grad_output``, as in PyTorch.

    Raises
    ------
    ValueError
        A shape or an option does not fit the others.
    TypeError
        `grad_output` or `dtype` is neither floating nor complex; an object of the wrong kind.
    NotImplementedError
        Another `method` of `numconv.conv1d`.

    See Also
    --------
    conv2d_weight : the order in which products are added.

    Examples
    --------
    One step towards the filter that turns a signal into its differences:

    >>> import numpy as np, numconv
    >>> x = np.array([0, 0, 1, 3, 3, 1], np.float32).reshape(1, 6, 1)
    >>> error = np.array([0, -1, -2, 0, 2], np.float32).reshape(1, 5, 1)  # what zeros make, less x[1:] - x[:-1]
    >>> numconv.grad.conv1d_weight(x, (2, 1, 1), error).ravel()
    array([ 4., -5.], dtype=float32)
    """
    options = (stride, padding, dilation, groups, pad_mode, pad_value, data_format, flip, dtype, method, precision)
    return weight_gradient("conv1d_weight", 1, x, weight_shape, grad_output, CONV, options, device, threads, out)


def conv2d_weight(
    x: ArrayLike,
    weight_shape: Sequence[int],
    grad_output: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    pad_mode: str = "constant",
    pad_value: complex = 0,
    data_format: str = "channels_last",
    flip: bool = False,
    dtype: DTypeLike | None = None,
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of a loss with respect to the w of ``numconv.conv2d(x, w, ...)``.

    Parameters
    ----------
    x : array_like, (N, H, W, C) or (N, C, H, W)
        As `numconv.conv2d` takes it; also without N.
    weight_shape : sequence of int, (KH, KW, C // groups, F) or (F, C // groups, KH, KW)
        Shape of w.
    grad_output : array_like, (N, OH, OW, F) or (N, F, OH, OW)
        Gradient with respect to the result, before any activation.
    stride, padding, dilation, groups, pad_mode, pad_value, data_format, flip : optional
        As of `numconv.conv2d`.
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
    ndarray, (KH, KW, C // groups, F) or (F, C // groups, KH, KW)
        Of the type that x and `grad_output` promote to, in which it is computed (float16 in float32). Of complex ones
        it is the sum of ``conj(x) * grad_output``, as in PyTorch.

    Raises
    ------
    ValueError
        A shape or an option does not fit the others.
    TypeError
        `grad_output` or `dtype` is neither floating nor complex; an object of the wrong kind.
    NotImplementedError
        Another `method` of `numconv.conv2d`.

    See Also
    --------
    bias : the gradient of a bias.

    Notes
    -----
    The result is defined bit by bit, for any number of threads and any layout in memory: the products of an element are
    added in the order of samples, output rows and columns. A chain is as many whole rows as have at most 256 products
    (a longer row is several), each taken by one fused multiply-add from +0.0 on; chains are added in order, 256 of them
    a segment, and segments in order. Rows are never copied as a whole: padding is made as x is packed, chunk by chunk.

    A GPU gives the same bits, whatever `precision` permits: chains are made all at once, and their sums added up
    afterwards, in memory of the library of the arrays: 256 MB of sums at most, or one of each weight if that is more,
    and two more of each.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    >>> numconv.grad.conv2d_weight(x, (3, 3, 1, 1), np.ones((1, 2, 2, 1), np.float32))[:, :, 0, 0]
    array([[10., 14., 18.],
           [26., 30., 34.],
           [42., 46., 50.]], dtype=float32)
    """
    options = (stride, padding, dilation, groups, pad_mode, pad_value, data_format, flip, dtype, method, precision)
    return weight_gradient("conv2d_weight", 2, x, weight_shape, grad_output, CONV, options, device, threads, out)


def conv3d_weight(
    x: ArrayLike,
    weight_shape: Sequence[int],
    grad_output: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    pad_mode: str = "constant",
    pad_value: complex = 0,
    data_format: str = "channels_last",
    flip: bool = False,
    dtype: DTypeLike | None = None,
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of a loss with respect to the w of ``numconv.conv3d(x, w, ...)``.

    Parameters
    ----------
    x : array_like, (N, D, H, W, C) or (N, C, D, H, W)
        As `numconv.conv3d` takes it; also without N.
    weight_shape : sequence of int, (KD, KH, KW, C // groups, F) or (F, C // groups, KD, KH, KW)
        Shape of w.
    grad_output : array_like, (N, OD, OH, OW, F) or (N, F, OD, OH, OW)
        Gradient with respect to the result, before any activation.
    stride, padding, dilation, groups, pad_mode, pad_value, data_format, flip : optional
        As of `numconv.conv3d`.
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
    ndarray, (KD, KH, KW, C // groups, F) or (F, C // groups, KD, KH, KW)
        Of the type that x and `grad_output` promote to, in which it is computed (float16 in float32). Of complex ones
        it is the sum of ``conj(x) * grad_output``, as in PyTorch.

    Raises
    ------
    ValueError
        A shape or an option does not fit the others.
    TypeError
        `grad_output` or `dtype` is neither floating nor complex; an object of the wrong kind.
    NotImplementedError
        Another `method` of `numconv.conv3d`.

    See Also
    --------
    conv2d_weight : the order in which products are added.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> x, ones = np.arange(8.0).reshape(1, 2, 2, 2, 1), np.ones((1, 1, 2, 2, 1))
    >>> numconv.grad.conv3d_weight(x, (2, 1, 1, 1, 1), ones).ravel()
    array([ 6., 22.])
    """
    options = (stride, padding, dilation, groups, pad_mode, pad_value, data_format, flip, dtype, method, precision)
    return weight_gradient("conv3d_weight", 3, x, weight_shape, grad_output, CONV, options, device, threads, out)
