"""The same convolutions by PyTorch (cuDNN, its fastest algorithm, TF32 off and on, both layouts) and by CuPy."""

from collections.abc import Callable
from importlib import import_module

import numpy as np

from .workloads import Workload

PAD_MODES = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def versions() -> dict[str, str]:
    found = {}
    for name in ("torch", "cupy"):
        try:
            found[name] = str(import_module(name).__version__)
        except Exception as error:
            found[name] = f"missing ({type(error).__name__})"
    return found


def by_torch(workload: Workload, x: np.ndarray, w: np.ndarray) -> dict[str, Callable[[], object]]:
    """Calls by what is allowed to be different."""
    import torch

    torch.backends.cudnn.benchmark = True
    functions = (torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)
    conv = functions[workload.ndim - 1]
    mode = workload.options.get("pad_mode", "constant")
    pad = tuple(size // 2 for size in w.shape[2:])
    options = {"stride": workload.options.get("stride", 1), "groups": workload.options.get("groups", 1)}
    calls = {}
    layouts = {"": torch.contiguous_format}
    if workload.ndim == 2:
        layouts[" channels_last"] = torch.channels_last
    for layout, memory_format in layouts.items():
        tx, tw = (torch.from_numpy(array).cuda().contiguous(memory_format=memory_format) for array in (x, w))

        def call(tx=tx, tw=tw, tf32=False):
            torch.backends.cudnn.allow_tf32 = tf32
            if mode == "constant":
                return conv(tx, tw, padding=pad, **options)
            sides = [side for size in reversed(pad) for side in (size, size)]
            return conv(torch.nn.functional.pad(tx, sides, mode=PAD_MODES[mode]), tw, **options)

        calls[f"torch{layout}"] = call
        if x.dtype == np.float32:
            calls[f"torch tf32{layout}"] = lambda call=call: call(tf32=True)
    return calls


def by_cupy(workload: Workload, x: np.ndarray, w: np.ndarray) -> dict[str, Callable[[], object]]:
    """Filters of one image or signal alone."""
    if w.shape[:2] != (1, 1) or x.shape[:2] != (1, 1):
        return {}
    cupy, ndimage = import_module("cupy"), import_module("cupyx.scipy.ndimage")
    image, kernel, mode = cupy.asarray(x[0, 0]), cupy.asarray(w[0, 0]), workload.options.get("pad_mode", "constant")
    scipy_mode = {"constant": "constant", "reflect": "mirror", "edge": "nearest", "wrap": "grid-wrap"}[mode]
    return {"cupy": lambda: ndimage.correlate(image, kernel, mode=scipy_mode)}
