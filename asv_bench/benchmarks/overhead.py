"""Calls on next to nothing."""

from importlib import import_module

import numconv
from numconv._bench import overhead
from numconv._bench.settings import Settings

TINY = {workload.name: workload for workload in overhead.TINY}


class Calls:
    params, param_names = list(TINY), ["call"]

    def setup(self, name):
        workload = TINY[name]
        self.x, self.w = workload.arrays()
        self.function, self.plan = workload.call(self.x, self.w), workload.plan(self.w)
        self.make_plan = workload.plan
        self.function(), self.plan(self.x)

    def time_function(self, name):
        self.function()

    def time_plan(self, name):
        self.plan(self.x)

    def time_making_a_plan(self, name):
        self.make_plan(self.w)


def track_dispatch():
    """By how much a call of two threads is slower than the serial one, both with nothing to do."""
    import_module("numba")
    settings = Settings(numconv.get_num_threads())
    return overhead.dispatch(settings, range(settings.rounds)).seconds["over"] * 1e6


track_dispatch.unit = "microseconds"
