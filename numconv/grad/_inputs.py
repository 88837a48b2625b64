"""Gradients with respect to inputs: documentation, and bodies of two lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ._input_calls import CONV, input_gradient

__all__ = [
    "conv1d_input",
    "conv2d_input",
    "conv3d_input",
]


def conv1d_input(
    input_shape: Sequence[int | None],
    w: ArrayLike,
    grad_output: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    pad_mode: str = "constant",
    data_format: str = "channels_last",
    flip: bool = False,
    dtype: DTypeLike | None = None,
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of a loss with respect to the x of ``numconv.conv1d(x, w, ...)``.

    Parameters
    ----------
    input_shape : sequence of int, (N, W, C) or (N, C, W)
        Shape of x; None for the N of `grad_output`.
    w : array_like, (KW, C // groups, F) or (F, C // groups, KW)
        Filters, as `numconv.conv1d` takes them.
    grad_output : array_like, (N, OW, F) or (N, F, OW)
        Gradient with respect to the result, before any activation.
    stride, padding, dilation, groups, pad_mode, data_format, flip : optional
        As of `numconv.conv1d`.
    dtype : dtype, optional
        Of the gradient, floating or complex; also the computing type.
    method : {"auto", "direct", "winograd", "separable", "fft", "reference"}
        As of `numconv.conv1d`.
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
        Floating as `numconv.conv1d` would compute it. Complex, as in PyTorch, the gradient with respect
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
    The gradient is the transpose of the convolution, with conjugated weights, phase by phase of the stride as
    `numconv.conv_transpose1d` says. Samples that no output sees have the gradient 0. With another `pad_mode` than
    "constant", what is padded is computed, and its borders are added to the samples that they show.

    Examples
    --------
    >>> import numpy as np
    >>> from numconv import grad
    >>> w = np.array([1, 10], np.float32).reshape(2, 1, 1)
    >>> grad.conv1d_input((1, 4, 1), w, np.array([1, 2, 3], np.float32).reshape(1, 3, 1)).ravel()
    array([ 1., 12., 23., 30.], dtype=float32)
    """
    options = (
        stride,
        padding,
        dilation,
        groups,
        pad_mode,
        data_format,
        flip,
        dtype,
        method,
        precision,
    )
    return input_gradient("grad.conv1d_input", 1, input_shape, w, grad_output, CONV, options, device, threads, out)


def conv2d_input(
    input_shape: Sequence[int | None],
    w: ArrayLike,
    grad_output: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    pad_mode: str = "constant",
    data_format: str = "channels_last",
    flip: bool = False,
    dtype: DTypeLike | None = None,
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of a loss with respect to the x of ``numconv.conv2d(x, w, ...)``.

    Parameters
    ----------
    input_shape : sequence of int, (N, H, W, C) or (N, C, H, W)
        Shape of x; None for the N of `grad_output`.
    w : array_like, (KH, KW, C // groups, F) or (F, C // groups, KH, KW)
        Filters, as `numconv.conv2d` takes them.
    grad_output : array_like, (N, OH, OW, F) or (N, F, OH, OW)
        Gradient with respect to the result, before any activation.
    stride, padding, dilation, groups, pad_mode, data_format, flip : optional
        As of `numconv.conv2d`.
    dtype : dtype, optional
        Of the gradient, floating or complex; also the computing type.
    method : {"auto", "direct", "winograd", "separable", "fft", "reference"}
        As of `numconv.conv2d`.
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
        Floating as `numconv.conv2d` would compute it. Complex, as in PyTorch, the gradient with respect
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
    The gradient is the transpose of the convolution, with conjugated weights, phase by phase of the stride as
    `numconv.conv_transpose2d` says. Samples that no output sees have the gradient 0. With another `pad_mode` than
    "constant", what is padded is computed, and its borders are added to the samples that they show.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> from numconv import grad
    >>> rng = np.random.default_rng(0)
    >>> x, w = rng.standard_normal((2, 8, 8, 3)), rng.standard_normal((3, 3, 3, 5))
    >>> y = numconv.conv2d(x, w, stride=2, padding="same", pad_mode="reflect")
    >>> dx = grad.conv2d_input(x.shape, w, 2 * y, stride=2, padding="same", pad_mode="reflect")  # of (y * y).sum()
    >>> dx.shape
    (2, 8, 8, 3)
    """
    options = (
        stride,
        padding,
        dilation,
        groups,
        pad_mode,
        data_format,
        flip,
        dtype,
        method,
        precision,
    )
    return input_gradient("grad.conv2d_input", 2, input_shape, w, grad_output, CONV, options, device, threads, out)


def conv3d_input(
    input_shape: Sequence[int | None],
    w: ArrayLike,
    grad_output: ArrayLike,
    *,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    pad_mode: str = "constant",
    data_format: str = "channels_last",
    flip: bool = False,
    dtype: DTypeLike | None = None,
    method: str = "auto",
    precision: str = "ieee",
    device: str | None = None,
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of a loss with respect to the x of ``numconv.conv3d(x, w, ...)``.

    Parameters
    ----------
    input_shape : sequence of int, (N, D, H, W, C) or (N, C, D, H, W)
        Shape of x; None for the N of `grad_output`.
    w : array_like, (KD, KH, KW, C // groups, F) or (F, C // groups, KD, KH, KW)
        Filters, as `numconv.conv3d` takes them.
    grad_output : array_like, (N, OD, OH, OW, F) or (N, F, OD, OH, OW)
        Gradient with respect to the result, before any activation.
    stride, padding, dilation, groups, pad_mode, data_format, flip : optional
        As of `numconv.conv3d`.
    dtype : dtype, optional
        Of the gradient, floating or complex; also the computing type.
    method : {"auto", "direct", "winograd", "separable", "fft", "reference"}
        As of `numconv.conv3d`.
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
        Floating as `numconv.conv3d` would compute it. Complex, as in PyTorch, the gradient with respect
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
    The gradient is the transpose of the convolution, with conjugated weights, phase by phase of the stride as
    `numconv.conv_transpose3d` says. Samples that no output sees have the gradient 0. With another `pad_mode` than
    "constant", what is padded is computed, and its borders are added to the samples that they show.

    Examples
    --------
    >>> import numpy as np
    >>> from numconv import grad
    >>> dx = grad.conv3d_input((1, 4, 4, 4, 1), np.ones((3, 3, 3, 1, 2)), np.ones((1, 2, 2, 2, 2)))
    >>> dx[0, 1, 1, 1].tolist()
    [16.0]
    """
    options = (
        stride,
        padding,
        dilation,
        groups,
        pad_mode,
        data_format,
        flip,
        dtype,
        method,
        precision,
    )
    return input_gradient("grad.conv3d_input", 3, input_shape, w, grad_output, CONV, options, device, threads, out)
