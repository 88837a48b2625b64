"""The kernels around transforms, compiled for a GPU that is not here."""

from __future__ import annotations

import pytest

from .gpu_jobs import compiled, launches_of

CASES = {
    "image": (((1, 1, 2048, 2048), (4, 1, 31, 31)), {"data_format": "channels_first", "pad_mode": "reflect"}),
    "signal": (((8, 65536, 3), (1025, 3, 32)), {"x_dtype": "float64", "activation": "relu"}),
}


@pytest.mark.parametrize("case", CASES)
def test_spectra(case):
    """Nothing spilled or called; products of spectra are a third of their loop, whose loads are the rest."""
    shapes, options = CASES[case]
    name, found = launches_of(*shapes, method="fft", padding="same", **options)
    assert name == "spectra"
    jobs = [step.job for step in (*found.packing[1:], *found.steps[:4])]
    codes = {job.factory: compiled((9, 0), job) for job in jobs}
    assert sorted(codes) == [f"spectra.{part}" for part in ("clear", "gather", "multiply", "pack", "store")]
    assert not any(code.counts["CALL"] for code in codes.values())
    assert codes["spectra.multiply"].share("FFMA" if case == "image" else "DFMA") > 0.35
