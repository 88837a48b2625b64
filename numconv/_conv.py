"""`conv1d`, `conv2d`, `conv3d`: documentation, and bodies of two lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ._calls import convolve_arrays


def conv1d(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
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
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolve batched, multi-channel signals with many filters.

    Cross-correlation, as deep-learning libraries mean "convolution"; an axis of the result has
    ``floor((L + lo + hi - dilation * (k - 1) - 1) / stride) + 1`` samples.

    Parameters
    ----------
    x : array_like, (N, W, C) or (N, C, W)
        Input; any strides. Without N, the result is without N too.
    w : array_like, (KW, C // groups, F) or (F, C // groups, KW)
        Filters, in Keras's order (with ``data_format="channels_first"`` in PyTorch's).
    bias : array_like, (F,), optional
        Added to each feature map.
    stride, dilation : int or one per axis, default 1
        Samples between neighbouring outputs; samples between neighbouring taps.
    padding : str, int or one int or (lo, hi) per axis, default "valid"
        "valid", "same" (the odd sample on the right, as Keras), "same_lower" (on the left, as NumPy and SciPy),
        "full", "causal" or samples.
    groups : int, default 1
        Blocks of channels and filters that are convolved apart; ``groups=C`` is depthwise.
    pad_mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        What lies beyond the border, by the names of `numpy.pad`; never a padded copy.
    pad_value : scalar, default 0
        For ``pad_mode="constant"``.
    data_format : {"channels_last", "channels_first"}
        Where the channels of x, w and the result lie.
    activation : str or ("leaky_relu", slope), optional
        "relu", "leaky_relu" (slope 0.2), "sigmoid", "tanh", "silu" or "gelu".
    flip : bool, default False
        Reverse the filters: convolution in the mathematician's sense instead of cross-correlation.
    dtype : dtype, optional
        Of the result. A floating or complex one is also the computing type; integers are rounded to, half to even.
    overflow : {"raise", "saturate", "wrap"}
        What to do with a value that an integer result does not hold.
    method : {"auto", "direct", "winograd", "separable", "fft", "reference"}
        "direct" has an order of summation that is defined and the same on every CPU with fused multiply-add;
        "reference" computes the same bits slowly, in NumPy. "auto" takes "direct"; but at stride 1 it may take
        "winograd" for float32 and float64 filters of 3 or 5 taps, as `conv2d` does for 3x3, and "fft", products of
        spectra, for filters of many taps, complex ones too: see the notes of `conv2d`. It depends on neither batch
        size nor threads.
    precision : {"ieee", "3xtf32", "tf32", "bf16"}
        The least precision that products of float32 may have, and of complex64 and float16, which are computed in it: a
        permission, of which kernels of a GPU make use where it saves time. A CPU always computes "ieee".
    reduce : {"max", "mean", "ppv"} or a tuple of them, optional
        What is made of each feature map, which is not written: its largest value (NaN if one is), its mean, the
        proportion of positive values. By "direct" or "reference".
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where x lies: an array on a GPU (PyTorch, CuPy, Numba, JAX) gives one there, see `numconv.cuda`.
        "cuda" copies an x of the host to a GPU and the result back.
    threads : int, optional
        Worker threads; by default those of `get_num_threads`, shared among concurrent calls. The result does not
        depend on it.
    out : ndarray, optional
        Filled and returned; of the result's shape and dtype. A tuple where `reduce` is one.

    Returns
    -------
    ndarray, (N, OW, F) or (N, F, OW)
        float32 and float64 are computed in their own type, float16 in float32, integers exactly in 64 bits. With
        `reduce` (N, F), or a tuple of such arrays, of the maps' floating type; of integers int64 ("max") or float64.

    Raises
    ------
    ValueError
        An argument does not fit the others; integer weights that are not exact in x's floating type; an empty output.
    TypeError
        An object or dtype of the wrong kind.
    OverflowError
        An integer result does not hold a value and `overflow` is "raise"; `out` is then undefined.

    See Also
    --------
    plan_conv1d : packs the weights once, for many calls.
    filter_bank : many filters on arrays without channels.

    Notes
    -----
    The result of ``method="direct"`` is defined bit by bit: an element adds its products in the order of the taps and
    channels, in chains of at most 256 fused multiply-adds. It depends on neither batch size, threads, memory layout nor
    CPU. Padding is multiplied like any other sample, so that NaN and infinity reach exactly the outputs that see them.

    Examples
    --------
    The bump detector of the textbooks:

    >>> import numpy as np, numconv
    >>> x = np.array([0, 0, 0, 1, 1, 0, 0, 0], np.float32)
    >>> w = np.array([0, 1, 0], np.float32)
    >>> numconv.conv1d(x.reshape(1, 8, 1), w.reshape(3, 1, 1)).ravel()
    array([0., 0., 1., 1., 0., 0.], dtype=float32)
    >>> numconv.conv1d(x.reshape(1, 8, 1), w.reshape(3, 1, 1), reduce=("max", "ppv"))
    (array([[1.]], dtype=float32), array([[0.33333334]], dtype=float32))
    """
    options = (
        stride, padding, dilation, groups, pad_mode, pad_value, data_format, activation, flip, dtype, overflow, method,
        precision, reduce,
    )  # fmt: skip
    return convolve_arrays("conv1d", 1, x, w, bias, options, device, threads, out)


def conv2d(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
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
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolve batched, multi-channel images with many filters.

    Cross-correlation, as deep-learning libraries mean "convolution"; an axis of the result has
    ``floor((L + lo + hi - dilation * (k - 1) - 1) / stride) + 1`` samples.

    Parameters
    ----------
    x : array_like, (N, H, W, C) or (N, C, H, W)
        Input; any strides. Without N, the result is without N too.
    w : array_like, (KH, KW, C // groups, F) or (F, C // groups, KH, KW)
        Filters, in Keras's order (with ``data_format="channels_first"`` in PyTorch's).
    bias : array_like, (F,), optional
        Added to each feature map.
    stride, dilation : int or one per axis, default 1
        Samples between neighbouring outputs; samples between neighbouring taps.
    padding : str, int or one int or (lo, hi) per axis, default "valid"
        "valid", "same" (the odd sample on the right, as Keras), "same_lower" (on the left, as NumPy and SciPy),
        "full" or samples.
    groups : int, default 1
        Blocks of channels and filters that are convolved apart; ``groups=C`` is depthwise.
    pad_mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        What lies beyond the border, by the names of `numpy.pad`; never a padded copy.
    pad_value : scalar, default 0
        For ``pad_mode="constant"``.
    data_format : {"channels_last", "channels_first"}
        Where the channels of x, w and the result lie.
    activation : str or ("leaky_relu", slope), optional
        "relu", "leaky_relu" (slope 0.2), "sigmoid", "tanh", "silu" or "gelu".
    flip : bool, default False
        Reverse the filters: convolution in the mathematician's sense instead of cross-correlation.
    dtype : dtype, optional
        Of the result. A floating or complex one is also the computing type; integers are rounded to, half to even.
    overflow : {"raise", "saturate", "wrap"}
        What to do with a value that an integer result does not hold.
    method : {"auto", "direct", "winograd", "separable", "fft", "reference"}
        "direct" has an order of summation that is defined and the same on every CPU with fused multiply-add;
        "reference" computes the same bits slowly, in NumPy. "auto" takes "direct";
        but for float32 and float64 filters of 3x3 at stride 1 and dilation 1, from 16 channels and filters of a group
        on, it may take "winograd", which multiplies less; for large images and filters of one channel that are sums of
        products of a column and a row, "separable"; and for kernels of 20 taps and more, of complex types too, "fft";
        see the notes. Neither batch size nor threads matter. A plan transforms the weights once, a function each time.
    precision : {"ieee", "3xtf32", "tf32", "bf16"}
        The least precision that products of float32 may have, and of complex64 and float16, which are computed in it: a
        permission, of which kernels of a GPU make use where it saves time. A CPU always computes "ieee".
    reduce : {"max", "mean", "ppv"} or a tuple of them, optional
        What is made of each feature map, which is not written: its largest value (NaN if one is), its mean, the
        proportion of positive values. By "direct" or "reference".
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where x lies: an array on a GPU (PyTorch, CuPy, Numba, JAX) gives one there, see `numconv.cuda`.
        "cuda" copies an x of the host to a GPU and the result back.
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
    OverflowError
        An integer result does not hold a value and `overflow` is "raise"; `out` is then undefined.

    See Also
    --------
    plan_conv2d : packs the weights once, for many calls.
    filter_bank : many filters on arrays without channels.

    Notes
    -----
    The result of ``method="direct"`` is defined bit by bit: an element adds its products in the order of the taps and
    channels, in chains of at most 256 fused multiply-adds. It depends on neither batch size, threads, memory layout nor
    CPU. Padding is multiplied like any other sample, so that NaN and infinity reach exactly the outputs that see them.

    ``method="winograd"`` (minimal filtering, after Winograd 1980 and Lavin and Gray 2016) computes tiles of 2x2 or 4x4
    outputs. A result differs from the exact one by at most 256 * e * T, e the roundoff of the type and T the sum over
    channels of the largest |x| that the tile sees times the sum of |w|; ``direct`` is as close relative to the sum of
    the products themselves. Tiles that see a NaN, an infinity or an overflow are computed by ``direct``, alone.

    ``method="separable"`` is for filters of one channel (images, depthwise layers), float32 or float64, at stride 1 and
    dilation 1, that are sums of one or two products of a column and a row: Gaussians, boxes, Sobel, Laplacians. A
    product is one if no weight is off by more than 2 * e * |w|; all other weights are an error. Rows are summed before
    columns, KH + KW products instead of KH * KW: a result differs from the exact one by at most
    (KH + KW + 8) * e * S, S the sum of |x| * |column| * |row|, and |bias|. Sums that are not finite are computed by
    ``direct``, alone. "auto" looks for columns and rows from 10,000,000 products of a sample on.

    ``method="fft"`` (overlap-save, after Stockham 1966) multiplies spectra of tiles of the input and of the weights;
    any kernel, dilation and padding at stride 1. A result differs from the exact one by at most
    8 * e * log2(L) * |x|_2 * |w|_2: L the samples of a tile, |x|_2 the root of the sum of squares of two neighbouring
    tiles (complex data: of one) over all channels, |w|_2 that of the filter. So a result that is small beside the
    largest samples near it has fewer right digits than by ``direct``. Tiles with a NaN, an infinity, or whose largest
    sample is beyond 2**40 or below 2**-40 (double precision: 2**300) are computed by ``direct``, alone.

    Examples
    --------
    A detector of vertical lines on an image with one:

    >>> import numpy as np, numconv
    >>> image = np.zeros((1, 8, 8, 1), np.float32)
    >>> image[:, :, 3:5] = 1
    >>> line = np.zeros((3, 3, 1, 1), np.float32)
    >>> line[:, 1] = 1
    >>> numconv.conv2d(image, line)[0, :, :, 0].tolist()[0]
    [0.0, 0.0, 3.0, 3.0, 0.0, 0.0]
    """
    options = (
        stride, padding, dilation, groups, pad_mode, pad_value, data_format, activation, flip, dtype, overflow, method,
        precision, reduce,
    )  # fmt: skip
    return convolve_arrays("conv2d", 2, x, w, bias, options, device, threads, out)


def conv3d(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
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
    threads: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolve batched, multi-channel volumes with many filters.

    Cross-correlation, as deep-learning libraries mean "convolution"; an axis of the result has
    ``floor((L + lo + hi - dilation * (k - 1) - 1) / stride) + 1`` samples.

    Parameters
    ----------
    x : array_like, (N, D, H, W, C) or (N, C, D, H, W)
        Input; any strides. Without N, the result is without N too.
    w : array_like, (KD, KH, KW, C // groups, F) or (F, C // groups, KD, KH, KW)
        Filters, in Keras's order (with ``data_format="channels_first"`` in PyTorch's).
    bias : array_like, (F,), optional
        Added to each feature map.
    stride, dilation : int or one per axis, default 1
        Samples between neighbouring outputs; samples between neighbouring taps.
    padding : str, int or one int or (lo, hi) per axis, default "valid"
        "valid", "same" (the odd sample on the right, as Keras), "same_lower" (on the left, as NumPy and SciPy),
        "full" or samples.
    groups : int, default 1
        Blocks of channels and filters that are convolved apart; ``groups=C`` is depthwise.
    pad_mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        What lies beyond the border, by the names of `numpy.pad`; never a padded copy.
    pad_value : scalar, default 0
        For ``pad_mode="constant"``.
    data_format : {"channels_last", "channels_first"}
        Where the channels of x, w and the result lie.
    activation : str or ("leaky_relu", slope), optional
        "relu", "leaky_relu" (slope 0.2), "sigmoid", "tanh", "silu" or "gelu".
    flip : bool, default False
        Reverse the filters: convolution in the mathematician's sense instead of cross-correlation.
    dtype : dtype, optional
        Of the result. A floating or complex one is also the computing type; integers are rounded to, half to even.
    overflow : {"raise", "saturate", "wrap"}
        What to do with a value that an integer result does not hold.
    method : {"auto", "direct", "winograd", "separable", "fft", "reference"}
        "direct" has an order of summation that is defined and the same on every CPU with fused multiply-add;
        "reference" computes the same bits slowly, in NumPy. "auto" takes "direct";
        but for filters of 1x3x3, and of 20 taps and more, it chooses as `conv2d` does.
    precision : {"ieee", "3xtf32", "tf32", "bf16"}
        The least precision that products of float32 may have, and of complex64 and float16, which are computed in it: a
        permission, of which kernels of a GPU make use where it saves time. A CPU always computes "ieee".
    reduce : {"max", "mean", "ppv"} or a tuple of them, optional
        What is made of each feature map, which is not written: its largest value (NaN if one is), its mean, the
        proportion of positive values. By "direct" or "reference".
    device : {"cpu", "cuda", "cuda:0", ...}, optional
        By default where x lies: an array on a GPU (PyTorch, CuPy, Numba, JAX) gives one there, see `numconv.cuda`.
        "cuda" copies an x of the host to a GPU and the result back.
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
    OverflowError
        An integer result does not hold a value and `overflow` is "raise"; `out` is then undefined.

    See Also
    --------
    plan_conv3d : packs the weights once, for many calls.
    filter_bank : many filters on arrays without channels.

    Notes
    -----
    The result of ``method="direct"`` is defined bit by bit: an element adds its products in the order of the taps and
    channels, in chains of at most 256 fused multiply-adds. It depends on neither batch size, threads, memory layout nor
    CPU. Padding is multiplied like any other sample, so that NaN and infinity reach exactly the outputs that see them.

    Examples
    --------
    >>> import numpy as np, numconv
    >>> volume = np.ones((1, 4, 4, 4, 1))
    >>> box = np.ones((3, 3, 3, 1, 2))
    >>> numconv.conv3d(volume, box, padding="same")[0, 0, 0, 0]
    array([8., 8.])
    """
    options = (
        stride, padding, dilation, groups, pad_mode, pad_value, data_format, activation, flip, dtype, overflow, method,
        precision, reduce,
    )  # fmt: skip
    return convolve_arrays("conv3d", 3, x, w, bias, options, device, threads, out)
