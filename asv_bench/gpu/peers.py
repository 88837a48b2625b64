"""The same workloads by PyTorch (cuDNN, its fastest algorithm), in memory formats and precisions, and by CuPy."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from .workloads import Workload

PAD_MODES = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


class Peer(NamedTuple):
    """Calls that do the same on different memory; elements of the last result by their indices."""

    name: str
    calls: list[Callable[[], Any]]
    elements: Callable[[Any, tuple[np.ndarray, ...]], np.ndarray]


def versions() -> dict[str, str]:
    found = {}
    for name in ("torch", "cupy", "scipy", "triton"):
        try:
            found[name] = str(import_module(name).__version__)
        except Exception as error:
            found[name] = f"missing ({type(error).__name__})"
    try:
        found["cudnn"] = str(import_module("torch").backends.cudnn.version())
    except Exception as error:
        found["cudnn"] = f"missing ({type(error).__name__})"
    return found


def by_torch(workload: Workload, x: np.ndarray, w: np.ndarray, copies: int) -> Iterator[Peer]:
    """With the name of the precision and memory format; settings are made as each one is asked for."""
    import torch

    torch.backends.cudnn.benchmark = True
    formats = {"channels_first": torch.contiguous_format}
    if workload.ndim == 2 and "channels_last" in workload.layouts:
        formats["channels_last"] = torch.channels_last
    names = {"ieee": None}
    if workload.dtype == "float32":
        names |= {"tf32": None, "bf16": torch.bfloat16, "fp16": torch.float16} if workload.bound == "flops" else {}
    source, second = torch.from_numpy(x).cuda(), torch.from_numpy(w).cuda()
    for name, dtype in names.items():
        for layout, memory_format in formats.items():
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
            given = [source.to(dtype or source.dtype).contiguous(memory_format=memory_format)]
            given += [given[0].clone(memory_format=torch.preserve_format) for _ in range(copies - 1)]
            other = second.to(dtype or second.dtype).contiguous(memory_format=memory_format)
            call = _torch_call(torch, workload, other)
            yield Peer(f"torch {name} {layout}", [lambda x=x, call=call: call(x) for x in given], _torch_elements)
            del given
    torch.cuda.empty_cache()


def _torch_call(torch: Any, workload: Workload, other: Any) -> Callable[[Any], Any]:
    functions, n = torch.nn.functional, workload.ndim
    stride, padding, groups = [workload.stride] * n, list(workload.padding), workload.groups
    if workload.kind == "forward":
        conv = (functions.conv1d, functions.conv2d, functions.conv3d)[n - 1]
        if workload.pad_mode == "constant":
            return lambda x: conv(x, other, None, stride, padding, [1] * n, groups)
        sides = [side for size in reversed(padding) for side in (size, size)]
        mode = PAD_MODES[workload.pad_mode]
        return lambda x: conv(functions.pad(x, sides, mode=mode), other, None, stride, [0] * n, [1] * n, groups)
    if workload.kind == "transposed":
        conv = (functions.conv_transpose1d, functions.conv_transpose2d, functions.conv_transpose3d)[n - 1]
        return lambda x: conv(x, other, None, stride, padding, 0, groups)
    backward = torch.ops.aten.convolution_backward
    rest = (None, stride, padding, [1] * n, False, [0] * n, groups)
    if workload.kind == "input gradient":
        like = torch.empty(workload.result, dtype=other.dtype, device=other.device)
        like = like.contiguous(memory_format=torch.channels_last) if _is_last(torch, other) else like
        return lambda g: backward(g, like, other, *rest, [True, False, False])[0]
    like = torch.empty(workload.w, dtype=other.dtype, device=other.device)
    return lambda x: backward(other, x, like, *rest, [False, True, False])[1]


def _is_last(torch: Any, tensor: Any) -> bool:
    return tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


def _torch_elements(result: Any, at: tuple[np.ndarray, ...]) -> np.ndarray:
    import torch

    found = result[tuple(torch.from_numpy(index).to(result.device) for index in at)]
    return (found.float() if found.dtype == torch.bfloat16 else found).cpu().numpy()


def by_cupy(workload: Workload, x: np.ndarray, w: np.ndarray, copies: int) -> Iterator[Peer]:
    """Filters of one image or signal alone."""
    if w.shape[:2] != (1, 1) or x.shape[:2] != (1, 1) or workload.kind != "forward":
        return
    cupy = import_module("cupy")
    first = cupy.asarray(x[0, 0])
    given, kernel = [first, *(first.copy() for _ in range(copies - 1))], cupy.asarray(w[0, 0])

    def elements(result: Any, at: tuple[np.ndarray, ...]) -> np.ndarray:
        return cupy.asnumpy(result)[tuple(at[2:])]

    if workload.ndim == 2:
        ndimage = import_module("cupyx.scipy.ndimage")
        mode = {"constant": "constant", "reflect": "mirror", "edge": "nearest", "wrap": "grid-wrap"}[workload.pad_mode]
        yield Peer("cupy ndimage", [lambda x=x: ndimage.correlate(x, kernel, mode=mode) for x in given], elements)
        return
    turned, signal = cupy.ascontiguousarray(kernel[::-1]), import_module("cupyx.scipy.signal")
    yield Peer("cupy convolve", [lambda x=x: cupy.convolve(x, turned, "same") for x in given], elements)
    yield Peer("cupy oaconvolve", [lambda x=x: signal.oaconvolve(x, turned, "same") for x in given], elements)
