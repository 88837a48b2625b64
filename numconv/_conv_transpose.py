"""`conv_transpose1d`, `conv_transpose2d`, `conv_transpose3d`: documentation, and bodies of two lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ._conv_transpose_calls import transpose_arrays


def conv_transpose1d(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
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
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Transpose of `conv1d`: every sample of batched, multi-channel signals spreads the kernel over the result.

    Also called deconvolution, or fractionally strided convolution. With the same weights, stride, padding, dilation and
    groups ``sum(conv1d(x, w) * y) == sum(x * conv_transpose1d(y, w))``, without conjugation. An axis of the result
    has ``(L - 1) * stride - lo - hi + dilation * (k - 1) + output_padding + 1`` samples.

    Parameters
    ----------
    x : array_like, (N, W, C) or (N, C, W)
        Input; any strides. Without N, the result is without N too.
    w : array_like, (KW, F // groups, C) or (C, F // groups, KW)
        Filters, in Keras's order (with ``data_format="channels_first"`` in PyTorch's): those of the convolution.
    bias : array_like, (F,), optional
        Added to each feature map.
    stride, dilation : int or one per axis, default 1
        Samples of the result between neighbouring samples of x; between neighbouring taps.
    padding : str, int or one int or (lo, hi) per axis, default "valid"
        What the convolution pads and its transpose crops, in samples, as in PyTorch and ONNX; or, as in Keras, "valid":
        ``(L - 1) * stride + max(dilation * (k - 1) + 1, stride)`` samples, "same": ``L * stride``. "same_lower" crops
        the odd sample on the left instead of on the right, "full", "causal" what `conv1d` pads.
    output_padding : int or one per axis, default 0
        Samples more on the right, fewer than the stride or the dilation. For "valid" and "same", 0 and None stand for
        the sizes above; other numbers, and a tuple whatever its numbers, mean Keras's: ``(L - 1) * stride + span +
        output_padding`` and ``(L - 1) * stride + span % 2 + output_padding``, span being ``dilation * (k - 1) + 1``.
    groups : int, default 1
        Blocks of channels and filters that are convolved apart.
    data_format : {"channels_last", "channels_first"}
        Where the channels of x, w and the result lie.
    activation : str or ("leaky_relu", slope), optional
        "relu", "leaky_relu" (slope 0.2), "sigmoid", "tanh", "silu" or "gelu".
    flip : bool, default False
        Reverse the filters: the transpose of ``conv1d(..., flip=True)``.
    dtype : dtype, optional
        Of the result. A floating or complex one is also the computing type; integers are rounded to, half to even.
    overflow : {"raise", "saturate", "wrap"}
        What to do with a value that an integer result does not hold.
    method : {"auto", "direct", "winograd", "separable", "fft", "reference"}
        As of `conv1d`, for each phase of the stride; one that any phase refuses is refused.
    precision : {"ieee", "3xtf32", "tf32", "bf16"}
        As of `conv1d`: a permission for GPUs.
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where x lies; as of `conv2d`.
    threads : int, optional
        Worker threads; by default those of `get_num_threads`, shared among concurrent calls. The result does not
        depend on it.
    out : ndarray, optional
        Filled and returned; of the result's shape and dtype.

    Returns
    -------
    ndarray, (N, OW, F) or (N, F, OW)
        float32 and float64 are computed in their own type, float16 in float32, integers exactly in 64 bits.

    Raises
    ------
    ValueError
        An argument does not fit the others; integer weights that are not exact in x's floating type; an empty output.
    TypeError
        An object or dtype of the wrong kind.
    NotImplementedError
        A phase cannot be computed by the method asked for.
    OverflowError
        An integer result does not hold a value and `overflow` is "raise"; `out` is then undefined.

    See Also
    --------
    plan_conv_transpose1d : packs the weights once, for many calls.
    numconv.grad.conv1d_input : the gradient, with conjugated weights and every boundary mode.

    Notes
    -----
    Each phase of the stride, that is all outputs whose position has one remainder, is a convolution of x at stride 1
    with the taps that it sees, the last one first, so that samples are added up in ascending order; zeros around x are
    multiplied, zeros between its samples do not exist. The result of ``method="direct"`` is defined by that, bit for
    bit, as that of `conv1d`. Outputs of phases without taps are what bias and activation make of 0.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> x = np.array([1, 2, 3], np.float32).reshape(1, 3, 1)
    >>> w = np.array([1, 10], np.float32).reshape(2, 1, 1)
    >>> numconv.conv_transpose1d(x, w, stride=2).ravel()
    array([ 1., 10.,  2., 20.,  3., 30.], dtype=float32)
    >>> numconv.conv_transpose1d(x, w).ravel()
    array([ 1., 12., 23., 30.], dtype=float32)
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
    return transpose_arrays("conv_transpose1d", 1, x, w, bias, options, device, threads, out)


def conv_transpose2d(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
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
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Transpose of `conv2d`: every sample of batched, multi-channel images spreads the kernel over the result.

    Also called deconvolution, or fractionally strided convolution. With the same weights, stride, padding, dilation and
    groups ``sum(conv2d(x, w) * y) == sum(x * conv_transpose2d(y, w))``, without conjugation. An axis of the result
    has ``(L - 1) * stride - lo - hi + dilation * (k - 1) + output_padding + 1`` samples.

    Parameters
    ----------
    x : array_like, (N, H, W, C) or (N, C, H, W)
        Input; any strides. Without N, the result is without N too.
    w : array_like, (KH, KW, F // groups, C) or (C, F // groups, KH, KW)
        Filters, in Keras's order (with ``data_format="channels_first"`` in PyTorch's): those of the convolution.
    bias : array_like, (F,), optional
        Added to each feature map.
    stride, dilation : int or one per axis, default 1
        Samples of the result between neighbouring samples of x; between neighbouring taps.
    padding : str, int or one int or (lo, hi) per axis, default "valid"
        What the convolution pads and its transpose crops, in samples, as in PyTorch and ONNX; or, as in Keras, "valid":
        ``(L - 1) * stride + max(dilation * (k - 1) + 1, stride)`` samples, "same": ``L * stride``. "same_lower" crops
        the odd sample on the left instead of on the right, "full" what `conv2d` pads.
    output_padding : int or one per axis, default 0
        Samples more on the right, fewer than the stride or the dilation. For "valid" and "same", 0 and None stand for
        the sizes above; other numbers, and a tuple whatever its numbers, mean Keras's: ``(L - 1) * stride + span +
        output_padding`` and ``(L - 1) * stride + span % 2 + output_padding``, span being ``dilation * (k - 1) + 1``.
    groups : int, default 1
        Blocks of channels and filters that are convolved apart.
    data_format : {"channels_last", "channels_first"}
        Where the channels of x, w and the result lie.
    activation : str or ("leaky_relu", slope), optional
        "relu", "leaky_relu" (slope 0.2), "sigmoid", "tanh", "silu" or "gelu".
    flip : bool, default False
        Reverse the filters: the transpose of ``conv2d(..., flip=True)``.
    dtype : dtype, optional
        Of the result. A floating or complex one is also the computing type; integers are rounded to, half to even.
    overflow : {"raise", "saturate", "wrap"}
        What to do with a value that an integer result does not hold.
    method : {"auto", "direct", "winograd", "separable", "fft", "reference"}
        As of `conv2d`, for each phase of the stride; one that any phase refuses is refused.
    precision : {"ieee", "3xtf32", "tf32", "bf16"}
        As of `conv2d`: a permission for GPUs.
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where x lies; as of `conv2d`.
    threads : int, optional
        Worker threads; by default those of `get_num_threads`, shared among concurrent calls. The result does not
        depend on it.
    out : ndarray, optional
        Filled and returned; of the result's shape and dtype.

    Returns
    -------
    ndarray, (N, OH, OW, F) or (N, F, OH, OW)
        float32 and float64 are computed in their own type, float16 in float32, integers exactly in 64 bits.

    Raises
    ------
    ValueError
        An argument does not fit the others; integer weights that are not exact in x's floating type; an empty output.
    TypeError
        An object or dtype of the wrong kind.
    NotImplementedError
        A phase cannot be computed by the method asked for.
    OverflowError
        An integer result does not hold a value and `overflow` is "raise"; `out` is then undefined.

    See Also
    --------
    plan_conv_transpose2d : packs the weights once, for many calls.
    numconv.grad.conv2d_input : the gradient, with conjugated weights and every boundary mode.

    Notes
    -----
    Each phase of the stride, that is all outputs whose position has one remainder, is a convolution of x at stride 1
    with the taps that it sees, the last one first, so that samples are added up in ascending order; zeros around x are
    multiplied, zeros between its samples do not exist. The result of ``method="direct"`` is defined by that, bit for
    bit, as that of `conv2d`. Outputs of phases without taps are what bias and activation make of 0.

    Examples
    --------
    The up-convolution of a U-Net doubles an image and halves its channels:

    >>> import numpy as np, numconv
    >>> x = np.ones((1, 16, 16, 64), np.float32)
    >>> w = np.ones((2, 2, 32, 64), np.float32)
    >>> numconv.conv_transpose2d(x, w, stride=2).shape
    (1, 32, 32, 32)

    It is the transpose of `conv2d`:

    >>> rng = np.random.default_rng(0)
    >>> x, y, w = (rng.integers(-5, 5, shape) for shape in ((1, 9, 9, 2), (1, 5, 5, 3), (3, 3, 2, 3)))
    >>> options = {"stride": 2, "padding": 1}
    >>> int((numconv.conv2d(x, w, **options) * y).sum() - (x * numconv.conv_transpose2d(y, w, **options)).sum())
    0
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
    return transpose_arrays("conv_transpose2d", 2, x, w, bias, options, device, threads, out)


def conv_transpose3d(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
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
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Transpose of `conv3d`: every sample of batched, multi-channel volumes spreads the kernel over the result.

    Also called deconvolution, or fractionally strided convolution. With the same weights, stride, padding, dilation and
    groups ``sum(conv3d(x, w) * y) == sum(x * conv_transpose3d(y, w))``, without conjugation. An axis of the result
    has ``(L - 1) * stride - lo - hi + dilation * (k - 1) + output_padding + 1`` samples.

    Parameters
    ----------
    x : array_like, (N, D, H, W, C) or (N, C, D, H, W)
        Input; any strides. Without N, the result is without N too.
    w : array_like, (KD, KH, KW, F // groups, C) or (C, F // groups, KD, KH, KW)
        Filters, in Keras's order (with ``data_format="channels_first"`` in PyTorch's): those of the convolution.
    bias : array_like, (F,), optional
        Added to each feature map.
    stride, dilation : int or one per axis, default 1
        Samples of the result between neighbouring samples of x; between neighbouring taps.
    padding : str, int or one int or (lo, hi) per axis, default "valid"
        What the convolution pads and its transpose crops, in samples, as in PyTorch and ONNX; or, as in Keras, "valid":
        ``(L - 1) * stride + max(dilation * (k - 1) + 1, stride)`` samples, "same": ``L * stride``. "same_lower" crops
        the odd sample on the left instead of on the right, "full" what `conv3d` pads.
    output_padding : int or one per axis, default 0
        Samples more on the right, fewer than the stride or the dilation. For "valid" and "same", 0 and None stand for
        the sizes above; other numbers, and a tuple whatever its numbers, mean Keras's: ``(L - 1) * stride + span +
        output_padding`` and ``(L - 1) * stride + span % 2 + output_padding``, span being ``dilation * (k - 1) + 1``.
    groups : int, default 1
        Blocks of channels and filters that are convolved apart.
    data_format : {"channels_last", "channels_first"}
        Where the channels of x, w and the result lie.
    activation : str or ("leaky_relu", slope), optional
        "relu", "leaky_relu" (slope 0.2), "sigmoid", "tanh", "silu" or "gelu".
    flip : bool, default False
        Reverse the filters: the transpose of ``conv3d(..., flip=True)``.
    dtype : dtype, optional
        Of the result. A floating or complex one is also the computing type; integers are rounded to, half to even.
    overflow : {"raise", "saturate", "wrap"}
        What to do with a value that an integer result does not hold.
    method : {"auto", "direct", "winograd", "separable", "fft", "reference"}
        As of `conv3d`, for each phase of the stride; one that any phase refuses is refused.
    precision : {"ieee", "3xtf32", "tf32", "bf16"}
        As of `conv3d`: a permission for GPUs.
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where x lies; as of `conv2d`.
    threads : int, optional
        Worker threads; by default those of `get_num_threads`, shared among concurrent calls. The result does not
        depend on it.
    out : ndarray, optional
        Filled and returned; of the result's shape and dtype.

    Returns
    -------
    ndarray, (N, OD, OH, OW, F) or (N, F, OD, OH, OW)
        float32 and float64 are computed in their own type, float16 in float32, integers exactly in 64 bits.

    Raises
    ------
    ValueError
        An argument does not fit the others; integer weights that are not exact in x's floating type; an empty output.
    TypeError
        An object or dtype of the wrong kind.
    NotImplementedError
        A phase cannot be computed by the method asked for.
    OverflowError
        An integer result does not hold a value and `overflow` is "raise"; `out` is then undefined.

    See Also
    --------
    plan_conv_transpose3d : packs the weights once, for many calls.
    numconv.grad.conv3d_input : the gradient, with conjugated weights and every boundary mode.

    Notes
    -----
    Each phase of the stride, that is all outputs whose position has one remainder, is a convolution of x at stride 1
    with the taps that it sees, the last one first, so that samples are added up in ascending order; zeros around x are
    multiplied, zeros between its samples do not exist. The result of ``method="direct"`` is defined by that, bit for
    bit, as that of `conv3d`. Outputs of phases without taps are what bias and activation make of 0.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> x = np.ones((1, 4, 4, 4, 8), np.float32)
    >>> w = np.ones((2, 2, 2, 4, 8), np.float32)
    >>> numconv.conv_transpose3d(x, w, stride=2).shape
    (1, 8, 8, 8, 4)
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
    return transpose_arrays("conv_transpose3d", 3, x, w, bias, options, device, threads, out)
