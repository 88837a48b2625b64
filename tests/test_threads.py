"""The number of threads: what is counted, who may set it, and for whom."""

import asyncio
import os
import threading

import numpy as np
import pytest

from numconv import _threads
from numconv._threads import get_num_threads, num_threads, set_num_threads


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """The process-wide setting is given back."""
    monkeypatch.setattr(_threads, "_everywhere", None)


@pytest.fixture
def only(monkeypatch):
    """A machine with 64 CPUs and nothing else said."""
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_threads, "_affinity", lambda: 64)
    monkeypatch.setattr(_threads, "_quota", lambda: None)
    return monkeypatch


def in_a_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_set_everywhere():
    assert get_num_threads() >= 1
    set_num_threads(3)
    assert get_num_threads() == in_a_thread(get_num_threads) == 3
    set_num_threads(np.int64(1024))
    assert get_num_threads() == 1024


def test_blocks_are_for_one_thread():
    set_num_threads(5)
    with num_threads(2):
        assert get_num_threads() == 2
        assert in_a_thread(get_num_threads) == 5
        with num_threads(7):
            assert get_num_threads() == 7
        set_num_threads(6)
        assert get_num_threads() == 2
    assert get_num_threads() == 6
    with pytest.raises(KeyError), num_threads(2):
        raise KeyError
    assert get_num_threads() == 6


def test_blocks_are_for_one_task():
    async def task(n):
        with num_threads(n):
            await asyncio.sleep(0)
            return get_num_threads()

    async def both():
        return await asyncio.gather(task(2), task(3))

    assert asyncio.run(both()) == [2, 3]


@pytest.mark.parametrize("function", [set_num_threads, num_threads])
@pytest.mark.parametrize("n", [0, -1, 1025, np.int8(0)])
def test_bad_values(function, n):
    with pytest.raises(ValueError, match=rf"{function.__name__}: n must be from 1 to 1024, got {n}$"):
        function(n)


@pytest.mark.parametrize("function", [set_num_threads, num_threads])
@pytest.mark.parametrize("n", [2.0, "2", None, True, np.float64(2)])
def test_bad_kinds(function, n):
    with pytest.raises(TypeError, match=rf"{function.__name__}: n must be an integer, got .*{type(n).__name__}"):
        function(n)


@pytest.mark.parametrize(
    "omp, numba, quota, expected",
    [
        (None, None, None, 64),
        ("8", None, None, 8),
        (None, "6", None, 6),
        ("8", "6", 3, 3),
        ("4,2", None, None, 4),
        (" 4 ", None, None, 4),
        ("", "many", None, 64),
        ("0", "-2", None, 64),
        ("100", None, None, 64),
    ],
)
def test_default_is_the_least(omp, numba, quota, expected, only):
    only.setattr(_threads, "_quota", lambda: quota)
    for name, value in {"OMP_NUM_THREADS": omp, "NUMBA_NUM_THREADS": numba}.items():
        if value is not None:
            only.setenv(name, value)
    assert _threads._default.__wrapped__() == expected


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs CPU affinity")
def test_affinity():
    assert _threads._affinity() == len(os.sched_getaffinity(0))


def version_1(group, quota, period):
    return {f"{group}/cpu.cfs_quota_us": quota, f"{group}/cpu.cfs_period_us": period}


@pytest.mark.parametrize(
    "groups, files, expected",
    [
        ("0::/a/b", {"a/b/cpu.max": "max 100000"}, None),
        ("0::/a/b", {"a/b/cpu.max": "150000 100000"}, 2),
        ("0::/a/b", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "250000 100000"}, 3),
        ("0::/of/the/host", {"cpu.max": "50000 100000"}, 1),
        ("0::/a", {"a/cpu.max": "nonsense"}, None),
        ("3:cpu,cpuacct:/a", version_1("cpu,cpuacct/a", "200000", "100000"), 2),
        ("3:cpu,cpuacct:/a", version_1("cpu,cpuacct/a", "200000", "1e5"), None),
        ("3:cpu:/a", version_1("cpu/a", "-1", "100000"), None),
        ("3:cpu:/of/the/host", version_1("cpu", "310000", "100000"), 4),
        ("3:memory:/a", {"memory/a/cpu.max": "100000 100000"}, None),
        ("nonsense", {}, None),
    ],
)
def test_quota(groups, files, expected, tmp_path):
    for name, content in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    (tmp_path / "groups").write_text(groups + "\n")
    assert _threads._quota(tmp_path / "cgroup", tmp_path / "groups") == expected


def test_no_control_groups(tmp_path):
    assert _threads._quota(tmp_path, tmp_path / "missing") is None
