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

    def result(maps: np.ndarray) -> np.ndarray:
        return workload.part(maps.reshape(workload.filters, *workload.spatial))

    return [Contender("opencv", run, result, packed=False)]
