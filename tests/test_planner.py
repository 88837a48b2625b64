"""The planner's problems, its file and its tables with small and made-up times; the roofline in explanations."""

import json
from pathlib import Path

import numpy as np
import pytest

import numconv
from numconv import _plan as plan
from numconv.__main__ import main
from numconv._bench import grid, planner
from numconv._bench.workload import Workload
from numconv.cpu import methods, roofline

TINY = Workload("layer_tiny", (8, 20), (3, 3), channels=16, filters=16, padding=1)
STRIDED = Workload("first_tiny", (9, 9), (3, 3), channels=3, filters=4, stride=2)
BANK = Workload("bank_tiny", (20, 24), (7, 7), filters=2, padding=3, bank=True, x_dtype="complex64")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    monkeypatch.setattr(planner, "ROUNDS", 2)
    monkeypatch.setattr(planner, "SHORTEST", 1e-5)
    monkeypatch.setattr(planner, "problems", lambda: [TINY, STRIDED, BANK])


def test_problems_are_many_of_all_kinds_and_always_the_same():
    every = grid.problems()
    assert every == grid.problems() and len({w.label for w in every}) == len(every) >= 300
    assert {w.ndim for w in every} == {1, 2, 3}
    assert {"float32", "float64", "complex64", "uint8"} <= {w.x_dtype for w in every}
    assert {1, 2} <= {w.stride for w in every} and {1, 2} <= {w.dilation for w in every}
    assert any(1 < w.groups < w.channels for w in every) and {True, False} == {w.channels_last for w in every}
    assert max(w.kernel[0] for w in every if w.ndim == 2) == 101 and max(w.kernel[0] for w in every) == 16384
    assert {1, 512} <= {w.filters for w in every}
    assert all(grid.SMALLEST <= w.flops <= grid.LARGEST for w in every)


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch, capsys):
    """Every method that can, as a plan and as a function; the file grows, and is refused for other threads."""
    path = tmp_path / "times.json"
    known = {TINY.label: {"direct": 1.0, "direct()": 2.0, "winograd": 4.0, "winograd()": 8.0}}
    planner._write(path, planner._read(path, 1) | {"seconds": known})
    assert main(["bench", "--planner", str(path), "--threads", "1"]) == 0
    seconds = json.loads(path.read_text())["seconds"]
    assert seconds[TINY.label] == known[TINY.label]
    assert set(seconds[STRIDED.label]) == {"direct", "direct()"}
    assert set(seconds[BANK.label]) == {"direct", "direct()", "fft", "fft()"}
    assert all(0 < value < 10 for times in seconds.values() for value in times.values())
    printed = capsys.readouterr().out
    assert "3 problems, 0 to come" in printed and "1 thread" in printed
    assert main(["bench", "--planner", str(path), "--threads", "2"]) == 2
    assert "is of threads 1, not 2" in capsys.readouterr().err
    monkeypatch.setattr(planner, "measured", lambda *_: pytest.fail("measured again"))
    assert main(["bench", "--planner", str(path), "--threads", "1", "--markdown"]) == 0
    assert "| layer | 1 |" in capsys.readouterr().out


def test_time_is_up(tmp_path, capsys):
    assert planner.run(tmp_path / "times.json", planner.Settings(1), -1, False) == 0
    assert "0 problems, 3 to come" in capsys.readouterr().out


@pytest.mark.parametrize(("winograd", "factor"), [(1.0, 1.0), (0.5, 2.0), (0.81, 1 / 0.81)])
def test_choices_and_their_tables(winograd, factor):
    """`auto` leaves so small a layer to `direct`."""
    known = {
        TINY.label: {"direct": 1.0, "direct()": 1.0, "winograd": winograd, "winograd()": 0.1},
        STRIDED.label: {"direct": 1.0, "direct()": 1.0},
    }
    found = list(planner.choices([TINY, STRIDED, BANK], known))
    assert [(c.taken, c.factor, c.function, c.alternatives) for c in found] == [
        ("direct", factor, 1.0, 2),
        ("direct", 1.0, 1.0, 1),
    ]
    shares, *worst = planner.tables(found, 1)
    good = factor <= planner.NEAR
    assert shares.feet == [("all", "2", "100%" if good else "50%", "1", "100%" if good else "0%", "0")]
    assert [row[0] for table in worst for row in table.rows] == [TINY.label] * (factor > 1)


def test_a_function_slower_than_that_of_direct_is_counted():
    slow = planner.Choice(TINY, "winograd", "winograd", 1.0, planner.SLOWER + 0.01, 1.0, 2)
    assert planner.tables([slow], 2)[0].rows[0][-1] == "1"


@pytest.mark.skipif(roofline.machine().lanes["f4"] != 16, reason="the times are those of a CPU with AVX-512")
@pytest.mark.parametrize("name", ["zen5", "zen5-2threads"])
def test_nearly_all_choices_are_good_by_the_times_of_a_real_cpu(monkeypatch, name):
    """The file in the repository; weights are neither made nor packed."""

    class Chosen(Exception):
        pass

    def engine(_, problem, *rest):
        raise Chosen(methods.chosen(problem))

    monkeypatch.setattr(plan, "Engine", engine)
    times = json.loads((Path(__file__).parents[1] / f"asv_bench/planner/{name}.json").read_text())["seconds"]
    good = []
    for workload in grid.problems():
        plans = {name: value for name, value in times[workload.label].items() if not name.endswith("()")}
        with pytest.raises(Chosen) as chosen:
            workload.plan(np.broadcast_to(np.zeros((), workload.x_dtype), workload.w_shape))
        taken = next(method for method in chosen.value.args[0] if method in plans)
        good += [plans[taken] <= planner.NEAR * min(plans.values())] * (len(plans) > 1)
    assert len(good) >= 300 and np.mean(good) >= 0.95


def test_estimates_are_shares_of_the_roofline(monkeypatch):
    """Of multiply-adds or of memory, whatever binds: twice the peak halves the share."""
    monkeypatch.setattr(roofline, "_measured", lambda: (2e11, 1e10))
    deep = numconv.plan_conv2d((1, 40, 40, 64), np.ones((3, 3, 64, 64), "f4"), padding=1)
    *_, bound, _ = deep.explain().splitlines()
    assert bound == "  roofline   one core as measured, 200 GFLOP/s and 10 GB/s: 0.59 ms a sample, multiply-adds bind"
    problem = deep._engine.kernel_problem
    cycles = problem.flops / (4 * roofline.machine().lanes["f4"])
    assert roofline.measured(problem).share(problem, cycles) == pytest.approx(1)
    assert roofline.measured(problem).share(problem, 4 * cycles) == pytest.approx(0.25)
    thin = numconv.plan_conv2d((1, 100, 100, 1), np.ones((3, 3, 1, 1), "f8"), padding=1)
    *_, bound, _ = thin.explain().splitlines()
    assert "100 GFLOP/s and 10 GB/s: 0.016 ms a sample, memory binds" in bound


def test_the_roofline_is_measured_once(monkeypatch):
    monkeypatch.setattr(roofline, "fma_peak", lambda jobs: pytest.fail("again"))
    roofline._measured.cache_clear()
    with pytest.raises(pytest.fail.Exception):
        roofline._measured()
    monkeypatch.undo()
    flops, moved = roofline._measured()
    assert 1e8 < flops < 1e13 and 1e7 < moved < 1e12 and roofline._measured() == (flops, moved)
