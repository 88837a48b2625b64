"""Maps reduced without being written: thousands of dilated kernels on series."""

from ._speed import _Speed, measured

WORKLOADS = [
    "series.dilated1 float32 channels_first",
    "series.dilated32 float32 channels_first",
]


class Speed(_Speed):
    params, param_names = WORKLOADS, ["workload"]

    def setup_cache(self):
        return measured(WORKLOADS)
