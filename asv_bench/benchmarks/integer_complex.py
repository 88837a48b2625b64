"""Exact integers and complex numbers."""

from ._speed import _Speed, measured

WORKLOADS = [
    "layer.56x64 uint8 channels_last",
    "bank.8x5x5 uint8 bank",
    "image.3x3 int16 bank",
    "layer.56x64 complex64 channels_last",
    "image.7x7 complex128 bank",
]


class Speed(_Speed):
    params, param_names = WORKLOADS, ["workload"]

    def setup_cache(self):
        return measured(WORKLOADS)
