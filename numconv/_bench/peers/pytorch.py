"""PyTorch: both memory formats, and weights packed for oneDNN as its own compiler packs them.

Its functions fill no array that they are given: every call allocates the result.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from ..contender import Contender
from ..workload import Workload

torch = import_module("torch")


MOST_FLOPS = 3e10
"""Of a bank, above which it is left out: large kernels take seconds a call, and other libraries have other methods."""


def version() -> str:
    """As installed."""
    return torch.__version__


def contenders(workload: Workload, x: np.ndarray, w: np.ndarray, threads: int) -> list[Contender]:
    """Floating and complex types; a signal also as an image of one row, which alone has a channels-last format."""
    if x.dtype.kind not in "fc" or (workload.bank and workload.flops > MOST_FLOPS):
        return []
    torch.set_num_threads(threads)
    data, weights = (torch.from_numpy(array) for array in workload.first(x, w))
    ways = [_way(workload, data, weights, workload.ndim, "contiguous")]
    if workload.ndim == 1:
        data, weights = data.unsqueeze(2), weights.unsqueeze(2)
    if workload.ndim < 3:
        data, weights = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (data, weights))
        ways.append(_way(workload, data, weights, 2, "channels_last"))
        if x.dtype == np.float32 and workload.operation == "convolution" and _can_pack():
            ways.append(_packed(workload, data, weights))
    return ways


def _spread(workload: Workload, value: int, ndim: int, across: int) -> list[int]:
    """An option for each axis; `across` for the row that was added to a signal."""
    return [across] * (ndim - workload.ndim) + [value] * workload.ndim


def _geometry(workload: Workload, ndim: int) -> tuple[list[int], list[int], list[int]]:
    """(padding, stride, dilation)."""
    return (
        _spread(workload, workload.padding, ndim, 0),
        _spread(workload, workload.stride, ndim, 1),
        _spread(workload, workload.dilation, ndim, 1),
    )


def _array(workload: Workload) -> Callable[[Any], np.ndarray]:
    """A tensor as numconv's result, without the row that was added; of reductions, one after the other."""
    if workload.reduce:
        return lambda reduced: np.stack([y.numpy() for y in reduced])
    return lambda y: workload.own((y.squeeze(2) if y.ndim > workload.ndim + 2 else y).numpy())


def _way(workload: Workload, data: Any, weights: Any, ndim: int, name: str) -> Contender:
    compute = _OPERATIONS[workload.operation](workload, data, weights, ndim)

    def run() -> Any:
        with torch.inference_mode():
            maps = compute()
            return _reduced(workload, maps) if workload.reduce else maps

    return Contender("torch", run, _array(workload), name, packed=False)


def _convolution(workload: Workload, data: Any, weights: Any, ndim: int) -> Callable[[], Any]:
    padding, stride, dilation = _geometry(workload, ndim)
    function = getattr(torch.nn.functional, f"conv{ndim}d")
    return lambda: function(data, weights, None, stride, padding, dilation, workload.groups)


def _transposed(workload: Workload, data: Any, weights: Any, ndim: int) -> Callable[[], Any]:
    padding, stride, dilation = _geometry(workload, ndim)
    function = getattr(torch.nn.functional, f"conv_transpose{ndim}d")
    return lambda: function(data, weights, None, stride, padding, 0, workload.groups, dilation)


def _input_gradient(workload: Workload, data: Any, weights: Any, ndim: int) -> Callable[[], Any]:
    """As autograd has it computed: the input counts by its shape and format alone."""
    padding, stride, dilation = _geometry(workload, ndim)
    kinds = torch.channels_last, torch.contiguous_format
    kind = next(kind for kind in kinds if data.is_contiguous(memory_format=kind))
    sizes = [1] * (ndim - workload.ndim) + list(workload.spatial)
    held = torch.empty((workload.n, workload.channels, *sizes), dtype=data.dtype).contiguous(memory_format=kind)
    options = (stride, padding, dilation, False, [0] * ndim, workload.groups, [True, False, False])
    return lambda: torch.ops.aten.convolution_backward(data, held, weights, None, *options)[0]


def _weight_gradient(workload: Any, data: Any, inputs: Any, ndim: int) -> Callable[[], Any]:
    """The same of weights, in the memory format of the input."""
    padding, stride, dilation = _geometry(workload, ndim)
    kinds = torch.channels_last, torch.contiguous_format
    kind = next(kind for kind in kinds if data.is_contiguous(memory_format=kind))
    kernel = [1] * (ndim - workload.ndim) + list(workload.kernel)
    inner = workload.channels // workload.groups
    held = torch.empty((workload.filters, inner, *kernel), dtype=data.dtype).contiguous(memory_format=kind)
    options = (stride, padding, dilation, False, [0] * ndim, workload.groups, [False, True, False])
    return lambda: torch.ops.aten.convolution_backward(data, inputs, held, None, *options)[1]


_OPERATIONS = {
    "convolution": _convolution,
    "transposed": _transposed,
    "input gradient": _input_gradient,
    "weight gradient": _weight_gradient,
}


def _reduced(workload: Workload, maps: Any) -> list[Any]:
    axes = tuple(range(2, maps.ndim))
    made = {
        "max": lambda: maps.amax(axes),
        "mean": lambda: maps.mean(axes),
        "ppv": lambda: (maps > 0).float().mean(axes),
    }
    return [made[name]() for name in workload.reduce]


def _can_pack() -> bool:
    """Whether this build has what `torch.compile` uses to freeze weights; it is no public interface."""
    return hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight") and torch.backends.mkldnn.is_available()


def _packed(workload: Workload, data: Any, weights: Any) -> Contender:
    padding, stride, dilation = _geometry(workload, 2)
    with torch.inference_mode():
        packed = torch._C._nn.mkldnn_reorder_conv2d_weight(
            weights.to_mkldnn(), padding, stride, dilation, workload.groups, list(data.shape)
        )
    function = torch.ops.mkldnn._convolution_pointwise

    def run() -> Any:
        with torch.inference_mode():
            maps = function(data, packed, None, padding, stride, dilation, workload.groups, "none", [], "")
            return _reduced(workload, maps) if workload.reduce else maps

    return Contender("torch", run, _array(workload), "channels_last, weights packed")
