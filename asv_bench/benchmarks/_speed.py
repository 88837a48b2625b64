"""Times, shares of what the hardware can do, and ratios to peers, of whole suites of workloads.

asv takes every class for a benchmark whose name does not begin with an underscore, wherever it was imported.
"""

from importlib import import_module

import numconv
from numconv._bench.contender import ours
from numconv._bench.peers import PEERS, load
from numconv._bench.settings import Settings
from numconv._bench.speed import Race
from numconv._bench.suites import SUITES


def _label(workload):
    layout = "bank" if workload.bank else "channels_last" if workload.channels_last else "channels_first"
    return f"{workload.name} {workload.x_dtype} {layout}"


class _Speed:
    """The workloads of the suites named where the class is defined."""

    def __init_subclass__(cls, suites=(), **options):
        super().__init_subclass__(**options)
        groups = [group for suite in suites for group in SUITES[suite]]
        cls.workloads = {_label(workload): workload for group in groups for workload in group.workloads}
        cls.params, cls.param_names = list(cls.workloads), ["workload"]

    def enter(self, label, libraries):
        """Compile, check and warm up all contenders."""
        import_module("numba")  # threads as in a program that has run for a while
        self.race = Race(self.workloads[label], Settings(numconv.get_num_threads()), libraries)

    def figures(self, path="plan"):
        """Medians of 15 rounds."""
        return self.race.run(range(self.race.settings.rounds)).figures[path]


class _Times(_Speed):
    def setup(self, label):
        import_module("numba")
        workload = self.workloads[label]
        plan, function, _ = ours(workload, *workload.arrays())
        self.plan, self.function = plan.run, function.run

    def time_plan(self, label):
        self.plan()

    def time_function(self, label):
        self.function()


class _Shares(_Speed):
    def setup(self, label):
        self.enter(label, ())

    def track_gflops(self, label):
        return self.figures().rate / 1e9

    track_gflops.unit = "GFLOP/s"

    def track_share_of_peak(self, label):
        return self.figures().shares["peak"]

    def track_share_of_roofline(self, label):
        return self.figures().shares["roofline"]

    def track_function_share_of_roofline(self, label):
        return self.figures("function").shares["roofline"]


class _Ratios(_Speed):
    """Seconds of a peer, in its fastest way, over ours."""

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        cls.params, cls.param_names = (cls.params, list(PEERS)), ["workload", "peer"]

    def setup(self, label, peer):
        if load(peer) is None:
            raise NotImplementedError(f"{peer} is not installed")
        self.enter(label, (peer,))
        if not self.race.ways:
            raise NotImplementedError(f"{peer} does not do {label}")

    def track_ratio(self, label, peer):
        return self.figures().best

    def track_function_ratio(self, label, peer):
        return self.figures("function").best
