"""One dimension: many channels, dilated, depthwise, long filters."""

from ._speed import _Speed, measured

WORKLOADS = [
    "signal.c64_k9 float32 channels_last",
    "signal.c64_k9 float32 channels_first",
    "signal.dilated8 float32 channels_last",
    "signal.depthwise_k33 float32 channels_last",
    "signal.32_k64 float32 bank",
]


class Speed(_Speed):
    params, param_names = WORKLOADS, ["workload"]

    def setup_cache(self):
        return measured(WORKLOADS)
