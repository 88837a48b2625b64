"""Two threads and more beside one."""

from importlib import import_module

import numconv
from numconv._bench import scaling
from numconv._bench.settings import Settings

NAMES = ["vgg16.conv2_2", "resnet50.4_3x3", "mobilenet.dw1", "image.3x3", "signal.c64_k9"]


class Scaling:
    """Smaller is better, as everywhere."""

    params, param_names = NAMES, ["workload"]

    def setup_cache(self):
        if numconv.get_num_threads() < 2:
            return {}
        import_module("numba")
        settings = Settings(numconv.get_num_threads())
        known = {workload.name: workload for workload in scaling.WORKLOADS if workload.name in NAMES}
        return {name: scaling.measure(workload, settings, range(settings.rounds)) for name, workload in known.items()}

    def setup(self, found, name):
        if name not in found:
            raise NotImplementedError("one thread")

    def track_seconds_over_those_of_one_thread(self, found, name):
        return 1 / found[name].gain

    def track_over_multiply_adds(self, found, name):
        """The same, beside that of multiply-adds."""
        return 1 / found[name].share
