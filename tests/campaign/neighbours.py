"""Schedulers that call numconv, and libraries with threads of their own beside it."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import numconv

from .work import fresh_calls, known, some_calls


def dask_threads(threads: int) -> Counter:
    """Tasks under dask's threaded scheduler."""
    return _dask(threads, "threads")


def dask_processes(threads: int) -> Counter:
    """Tasks under dask's process scheduler."""
    return _dask(threads, "processes")


def _dask(threads: int, scheduler: str) -> Counter:
    import dask

    return _count(
        threads, lambda: dask.compute(*[dask.delayed(fresh_calls)(21) for _ in range(8)], scheduler=scheduler)
    )


def joblib_threading(threads: int) -> Counter:
    """joblib's threads."""
    return _joblib(threads, "threading")


def joblib_loky(threads: int) -> Counter:
    """joblib's processes."""
    return _joblib(threads, "loky")


def _joblib(threads: int, backend: str) -> Counter:
    import joblib

    tasks = [joblib.delayed(fresh_calls)(21) for _ in range(8)]
    return _count(threads, lambda: joblib.Parallel(3, backend=backend)(tasks))


def _count(threads: int, compute: Callable[[], Any]) -> Counter:
    """Calls here before, in the scheduler's workers, here again."""
    numconv.set_num_threads(threads)
    results = [some_calls(14), *compute(), some_calls(7), *compute()]
    wrong = sum(r[1] for r in results)
    if wrong:
        raise RuntimeError(f"{wrong} wrong results")
    return Counter(calls=sum(r[0] for r in results))


def torch(threads: int) -> Counter:
    """PyTorch."""
    import torch as library

    x, w = library.rand(1, 16, 40, 40), library.rand(16, 16, 3, 3)
    return _beside(threads, library.get_num_threads, lambda: library.nn.functional.conv2d(x, w).numpy())


def opencv(threads: int) -> Counter:
    """OpenCV."""
    import cv2

    image, kernel = np.random.default_rng(0).random((300, 300), np.float32), np.ones((5, 5), np.float32)
    return _beside(threads, cv2.getNumThreads, lambda: cv2.filter2D(image, -1, kernel))


def sklearn(threads: int) -> Counter:
    """scikit-learn, whose k-means runs on OpenMP and BLAS."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_info

    data = np.random.default_rng(0).random((3000, 20))

    def pools() -> list:
        found = [(p["user_api"], p["num_threads"], p["filepath"]) for p in threadpool_info()]
        return [p for p in found if p in pools.first] if pools.first else found  # type: ignore[attr-defined]

    pools.first = []  # type: ignore[attr-defined]

    def compute() -> np.ndarray:
        return KMeans(8, n_init=1, random_state=0).fit(data).labels_

    compute()
    pools.first = pools()  # type: ignore[attr-defined]
    return _beside(threads, pools, compute)


def _beside(threads: int, count: Callable[[], Any], compute: Callable[[], np.ndarray]) -> Counter:
    """The other library's thread count and results are the same before, between and after our calls."""
    warnings.simplefilter("ignore")
    import numba  # noqa: F401  (its layer, if it may be used, is the likeliest to disturb)

    numconv.set_num_threads(threads)
    first, result, counts = count(), np.array(compute()), Counter()  # type: ignore[var-annotated]
    known()
    for _ in range(10):
        calls, wrong = some_calls(14)
        counts["calls"] += calls
        if wrong:
            raise RuntimeError(f"{wrong} wrong results")
        if count() != first:
            raise RuntimeError(f"thread count {count()} was {first}")
        if not np.array_equal(compute(), result):
            raise RuntimeError("the other library's result has changed")
    return counts
