"""The CPU path: schedules, packing, compiled kernels and the runner. Private."""
