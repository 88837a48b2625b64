"""Workloads beside the hardware and beside other libraries, in the same rounds.

A process of asv's measures all workloads of a module once, in `setup_cache`, and each figure is tracked by itself: asv
starts a process for every figure of every workload, and were each to measure, a run would take an hour.

Smaller is better in all of them: where a figure grows, asv speaks of a regression, whatever the figure is.

Workloads are named, not counted: asv knows them by their place in `params`, which has to be the same in all commits.
"""

from importlib import import_module

import numconv
from numconv._bench.settings import Settings
from numconv._bench.speed import Race
from numconv._bench.suites import SUITES


def _label(workload):
    """`Workload.label`, which older commits lack."""
    layout = "bank" if workload.bank else "channels_last" if workload.channels_last else "channels_first"
    return f"{workload.name} {workload.x_dtype} {layout}"


KNOWN = {_label(workload): workload for groups in SUITES.values() for group in groups for workload in group.workloads}
"""The workloads of this commit."""


def measured(labels):
    """Figures of "plan" and "function" by workload; without those that this commit does not have."""
    import_module("numba")  # threads as in a program that has run for a while
    settings = Settings(numconv.get_num_threads(), rounds=9)
    known = [label for label in labels if label in KNOWN]
    return {label: Race(KNOWN[label], settings).run(range(settings.rounds)).figures for label in known}


class _Speed:
    """Figures of the workloads in `params`."""

    version = "1"

    def setup(self, figures, label):
        if label not in figures:
            raise NotImplementedError(f"this commit has no {label}")

    def track_seconds(self, figures, label):
        return figures[label]["plan"].seconds

    track_seconds.unit = "seconds"

    def track_over_peak(self, figures, label):
        """Beside the same multiply-adds in registers."""
        return round(1 / figures[label]["plan"].shares["peak"], 4)

    track_over_peak.unit = "times the peak's time"

    def track_function_over_roofline(self, figures, label):
        """Beside multiply-adds or a copy, whichever takes longer; packing included."""
        return round(1 / figures[label]["function"].shares["roofline"], 4)

    track_function_over_roofline.unit = "times the roofline's time"

    def track_over_best_peer(self, figures, label):
        """NaN where no other library is installed that does it."""
        return round(1 / (figures[label]["plan"].best or float("nan")), 4)

    track_over_best_peer.unit = "times the best library's time"
