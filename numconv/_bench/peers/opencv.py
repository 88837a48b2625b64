"""OpenCV: one `filter2D` a filter, into arrays that are allocated before. From 11x11 on it may go by FFT."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from ..contender import Contender
from ..workload import Workload

cv2 = import_module("cv2")


def version() -> str:
    """As installed."""
    return cv2.__version__


def contenders(workload: Workload, x: np.ndarray, w: np.ndarray, threads: int) -> list[Contender]:
    """Banks on images, and on signals as images of one row: float32, float64, and short integers to float32."""
    if not workload.bank or workload.ndim > 2 or workload.stride > 1 or workload.dilation > 1 or x.dtype.kind == "c":
        return []
    cv2.setNumThreads(threads)
    image, kernels = np.atleast_2d(x), np.reshape(w, (workload.filters, -1, w.shape[-1]))
    depth = cv2.CV_64F if x.dtype == np.float64 else cv2.CV_32F
    kernels = kernels.astype(x.dtype if x.dtype.kind == "f" else np.float32)
    maps = np.empty((workload.filters, *image.shape), kernels.dtype)

    def run() -> np.ndarray:
        for kernel, target in zip(kernels, maps, strict=True):
            cv2.filter2D(image, depth, kernel, target, borderType=cv2.BORDER_CONSTANT)
        return maps

    return [Contender("opencv", run, lambda y: _cut(workload, y))]


def _cut(workload: Workload, maps: np.ndarray) -> np.ndarray:
    """The part that was asked for of maps as large as the image: tap ``k // 2`` lies over each output."""
    maps = maps.reshape(workload.filters, *workload.spatial)
    for axis, (k, size) in enumerate(zip(workload.kernel, workload.out_spatial, strict=True), 1):
        start = k // 2 - workload.padding
        maps = np.take(maps, range(start, start + size), axis)
    return maps
