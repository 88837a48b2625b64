"""Two threads and more beside one."""

from importlib import import_module

import numconv
from numconv._bench import scaling
from numconv._bench.settings import Settings

WORKLOADS = {workload.name: workload for workload in scaling.WORKLOADS}


class Scaling:
    params, param_names = list(WORKLOADS), ["workload"]

    def setup(self, name):
        if numconv.get_num_threads() < 2:
            raise NotImplementedError("one thread")
        import_module("numba")

    def track_gain(self, name):
        return self._measured(name).gain

    def track_share_of_the_gain_of_multiply_adds(self, name):
        return self._measured(name).share

    def _measured(self, name):
        settings = Settings(numconv.get_num_threads())
        return scaling.measure(WORKLOADS[name], settings, range(settings.rounds))
