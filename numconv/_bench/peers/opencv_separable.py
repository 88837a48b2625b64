"""OpenCV again: `sepFilter2D`, which is given the columns and rows of filters that are products."""

from __future__ import annotations

import numpy as np

from ..contender import Contender
from ..workload import Workload
from .opencv import cv2, version

__all__ = ["contenders", "version"]


def contenders(workload: Workload, x: np.ndarray, w: np.ndarray, threads: int) -> list[Contender]:
    """Banks of separable filters on images, into arrays that are allocated before."""
    if not (workload.bank and workload.separable):
        return []
    cv2.setNumThreads(threads)
    depth = cv2.CV_64F if x.dtype == np.float64 else cv2.CV_32F
    taps = [(kernel[:1].ravel().copy(), (kernel[:, :1] / kernel[0, 0]).ravel()) for kernel in w]
    maps = np.empty((workload.filters, *x.shape), x.dtype)

    def run() -> np.ndarray:
        for (row, column), target in zip(taps, maps, strict=True):
            cv2.sepFilter2D(x, depth, row, column, target, borderType=cv2.BORDER_CONSTANT)
        return maps

    return [Contender("sepFilter2D", run, workload.part, packed=False)]
