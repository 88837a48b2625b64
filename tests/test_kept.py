"""Schedules are kept up to a number of bytes, and what is dropped is missed by nobody."""

from __future__ import annotations

import numpy as np
import pytest

import numconv
from numconv._calls import recipe
from numconv.cpu import kept

W = np.ones((3, 2, 32), np.float32)


@pytest.fixture(autouse=True)
def forgotten():
    recipe.cache_clear()  # problems, with their schedules
    kept._reset()
    yield
    recipe.cache_clear()
    kept._reset()


def signal(size):
    return np.arange(2.0 * size, dtype=np.float32).reshape(size, 2)


def test_the_oldest_go_first(monkeypatch):
    monkeypatch.setattr(kept, "MOST_BYTES", 5 * (kept.OBJECT_BYTES + 2048))
    first = numconv.plan_conv1d((10, 2), W)
    for size in range(10, 40):
        numconv.conv1d(signal(size), W)
    problems = [problem for problem, _, _ in kept._order]
    assert 2 <= len(problems) <= 5
    assert kept._bytes <= kept.MOST_BYTES
    assert problems[-1].spatial == (1, 1, 39) and problems[-1].schedules
    assert not first._problem.schedules
    assert np.array_equal(first(signal(10)), numconv.conv1d(signal(10), W, method="reference"))
    assert np.array_equal(numconv.conv1d(signal(11), W), numconv.conv1d(signal(11), W, method="reference"))


def test_one_that_is_too_large_is_kept_until_the_next(monkeypatch):
    monkeypatch.setattr(kept, "MOST_BYTES", 0)
    for size in (20, 21):
        numconv.conv1d(signal(size), W)
        assert [problem.spatial[2] for problem, _, _ in kept._order] == [size]


def test_step_offsets_are_shared_by_sizes():
    plans = [numconv.plan_conv1d((size, 2), W) for size in (50, 60)]
    one, other = (plan._engine.pieces[0].schedule.tables for plan in plans)
    assert any(a is b for a in one for b in other)
