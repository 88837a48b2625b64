"""Maps reduced without being written: thousands of dilated kernels on series."""

from ._speed import _Ratios, _Shares, _Times

SUITES = ("reductions",)


class Times(_Times, suites=SUITES):
    """Seconds of a call."""


class Shares(_Shares, suites=SUITES):
    """Beside multiply-adds and copies in the same rounds."""


class Ratios(_Ratios, suites=SUITES):
    """Beside other libraries in the same rounds."""
