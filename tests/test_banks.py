"""Filter banks: shapes, sums, directions, and that each finds what its name says."""

import doctest
import importlib
import math

import numpy as np
import pytest

from numconv import banks

DETECTORS_2D = {
    "lines": banks.lines(9, 8, dtype=np.float64),
    "gabor": banks.gabor(15, (3, 6), 4, phases=(0, math.pi / 2), dtype=np.float64),
    "bright": np.moveaxis(banks.colour(dtype=np.float64).sum(axis=2)[..., :24], -1, 0),
}
DETECTORS_1D = {
    "bump": banks.bump(15, (1, 3, 5), dtype=np.float64),
    "ricker": banks.ricker(65, (1, 2, 4, 8), dtype=np.float64),
}


@pytest.mark.parametrize("module", ["numconv.banks", *(f"numconv.banks.{m}" for m in ("_planes", "_waves", "_layers"))])
def test_docstring_examples(module):
    failed, attempted = doctest.testmod(importlib.import_module(module))
    assert failed == 0 and attempted > 0


def test_all_lists_what_is_there():
    assert all(hasattr(banks, name) for name in banks.__all__)
    assert banks.__all__ == sorted(banks.__all__)


@pytest.mark.parametrize("name", [*DETECTORS_2D, *DETECTORS_1D])
def test_detectors_ignore_a_constant_and_have_unit_contrast(name):
    for weights in (DETECTORS_2D | DETECTORS_1D)[name]:
        assert abs(weights.sum()) < 1e-14
        assert weights[weights > 0].sum() == pytest.approx(1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_the_callers_and_rounded_once(dtype):
    for make in (banks.lines, banks.gabor, banks.colour, banks.bump, banks.derivative, banks.ricker, banks.signal):
        exact, found = make(dtype=np.float64), make(dtype=dtype)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, exact.astype(dtype))


def test_no_weight_is_denormal_and_slow():
    for bank in (banks.signal(), banks.colour(), banks.gabor(99, 2), banks.ricker(999, 1), banks.derivative(999, 1)):
        weights = np.abs(bank[bank != 0])
        assert weights.min() > 1e-25


@pytest.mark.parametrize("make", [banks.lines, lambda **k: banks.gabor(15, 6, 8, **k)], ids=["lines", "gabor"])
def test_each_direction_answers_best_to_its_own_line(make):
    filters = make(dtype=np.float64)
    size = filters.shape[1]
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    for i in range(8):
        angle = i * np.pi / 8
        along = np.array([np.cos(angle), -np.sin(angle)])  # x to the right, y down: counter-clockwise on the screen
        distance = x * along[1] - y * along[0]
        line = np.exp(-(distance**2) / 2)
        assert np.argmax([(weights * line).sum() for weights in filters]) == i


def test_line_and_gabor_take_directions_in_radians():
    np.testing.assert_array_equal(banks.lines(7, [0, np.pi / 2]), banks.lines(7, 2))
    np.testing.assert_array_equal(banks.gabor(7, 4, [np.pi / 4]), banks.gabor(7, [4], 4)[1:2])


def test_gabor_runs_through_wavelengths_then_angles_then_phases():
    bank = banks.gabor(9, (3, 5), 2, phases=(0, 1))
    assert bank.shape == (8, 9, 9)
    np.testing.assert_array_equal(bank[6], banks.gabor(9, 5, [np.pi / 2], phases=0)[0])
    np.testing.assert_array_equal(bank[7], banks.gabor(9, 5, [np.pi / 2], phases=1)[0])


def test_sobel_measures_slopes():
    y, x = np.mgrid[:3, :3]
    right, down = banks.sobel(dtype=np.int64)
    assert [(right * x).sum(), (right * y).sum(), (down * x).sum(), (down * y).sum()] == [8, 0, 0, 8]


def test_colour_filters_ignore_grey_and_find_their_colour():
    w = banks.colour(dtype=np.float64)
    assert w.shape == (11, 11, 3, 32) and len(banks.COLOUR_NAMES) == len(set(banks.COLOUR_NAMES)) == 32
    assert np.abs(w[..., 24:].sum(axis=2)).max() < 1e-15
    surfaces = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0)}
    for name, rgb in surfaces.items():
        answer = w[..., banks.COLOUR_NAMES.index(name)].sum(axis=(0, 1)) @ np.array(rgb)
        assert answer == pytest.approx(1)


@pytest.mark.parametrize(("name", "axis", "sign"), [("→", 1, 1), ("↓", 0, 1), ("←", 1, -1), ("↑", 0, -1)])
def test_edges_answer_to_the_side_of_their_arrow(name, axis, sign):
    w = banks.colour(dtype=np.float64)[..., banks.COLOUR_NAMES.index(f"edge {name}")]
    half = np.indices((11, 11))[axis] * sign > 5 * sign
    assert (w * half[..., None]).sum() == pytest.approx(1)


def test_signal_bank():
    w = banks.signal(dtype=np.float64)
    assert w.shape == (257, 1, 32) and len(banks.SIGNAL_NAMES) == len(set(banks.SIGNAL_NAMES)) == 32
    ramp = np.arange(257.0) - 128
    for name, weights in zip(banks.SIGNAL_NAMES, w[:, 0].T, strict=True):
        assert weights.sum() == pytest.approx(1 if name.startswith("average") else 0, abs=1e-13)
        assert weights @ ramp == pytest.approx(1 if name.startswith("slope") else 0, abs=1e-11)


def test_bump_answers_with_the_height_of_its_bump():
    x = np.zeros(15)
    x[6:9] = 5
    assert banks.bump(15, 3, dtype=np.float64)[0] @ x == pytest.approx(5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: banks.colour(8), "size is 8"),
        (lambda: banks.lines(2), "size is 2"),
        (lambda: banks.bump(9, 5), "odd integers from 1 to 3"),
        (lambda: banks.moving_average(9, 4), "widths is 4"),
        (lambda: banks.moving_average(9, 3.0), "widths is 3.0"),
    ],
)
def test_errors_say_what_was_expected(call, words):
    with pytest.raises(ValueError, match=words):
        call()
