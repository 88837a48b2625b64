"""Filters on images: one, and many."""

from ._speed import _Speed, measured

WORKLOADS = [
    "image.3x3 float32 bank",
    "image.5x5 float32 bank",
    "image.11x11 float32 bank",
    "image.7x7 float64 bank",
    "bank.8x7x7 float32 bank",
    "bank.32x15x15 float32 bank",
]


class Speed(_Speed):
    params, param_names = WORKLOADS, ["workload"]

    def setup_cache(self):
        return measured(WORKLOADS)
