"""Depthwise layers, and layers of four channels a group."""

from ._speed import _Speed, measured

WORKLOADS = [
    "mobilenet.dw1 float32 channels_last",
    "mobilenet.dw1 float32 channels_first",
    "efficientnet.dw5_s2 float32 channels_last",
    "convnext.dw7 float32 channels_last",
    "resnext50.2_3x3 float32 channels_last",
]


class Speed(_Speed):
    params, param_names = WORKLOADS, ["workload"]

    def setup_cache(self):
        return measured(WORKLOADS)
