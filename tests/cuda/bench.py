"""``python -m asv_bench.gpu`` on small things: what it measures, and what it makes of it."""

import json
import os
from time import sleep

import numpy as np
import pytest

import numconv
from asv_bench.gpu import __main__ as command
from asv_bench.gpu import apart, exact, measure, ours, outcomes, overhead, rates_double, rows, table, workloads

from .device import simulated

KINDS = [
    workloads.Workload("forward", (1, 2, 6, 6), (3, 2, 3, 3), "flops", {}, pad_mode="reflect"),
    workloads.Workload("strided", (1, 4, 7, 7), (4, 2, 3, 3), "bytes", {}, stride=2, groups=2),
    workloads.Workload("signal", (2, 1, 20), (1, 1, 5), "bytes", {}),
    workloads.Workload("transposed", (1, 4, 3, 4), (4, 2, 4, 4), "flops", {}, kind="transposed", stride=2),
    workloads.Workload("input", (1, 4, 3, 4), (4, 2, 3, 3), "bytes", {}, "float64", "input gradient", groups=2),
    workloads.Workload("weights", (2, 2, 5, 6), (3, 2, 3, 3), "flops", {}, "complex64", "weight gradient"),
]


def once(calls):
    for call in [calls] if callable(calls) else calls:
        call()
    return 1.0


@pytest.fixture(autouse=True)
def briefly(monkeypatch):
    monkeypatch.setattr(measure, "SECONDS", 0.0)
    if simulated():  # which does not know the time
        monkeypatch.setattr(measure, "milliseconds", once)


@pytest.mark.parametrize("workload", KINDS, ids=lambda workload: workload.name)
def test_what_rows_are_checked_with(workload):
    """The sums in float64 are what the CPU computes."""
    x, w = workload.arrays()
    options = {"stride": workload.stride, "padding": tuple((p, p) for p in workload.padding), "groups": workload.groups}
    options |= {"data_format": "channels_first", "method": "reference"}
    wide = [array.astype(np.result_type(array, np.float64)) for array in (x, w)]
    if workload.kind == "forward":
        conv = {1: numconv.conv1d, 2: numconv.conv2d}[workload.ndim]
        expected = conv(*wide, pad_mode=workload.pad_mode, **options)
    elif workload.kind == "transposed":
        expected = numconv.conv_transpose2d(*wide, **options)
    elif workload.kind == "input gradient":
        expected = numconv.grad.conv2d_input(workload.result, wide[1], wide[0], **options)
    else:
        expected = _plain(workload, *wide)
    assert expected.shape == workload.result
    at = exact.positions(workload)
    assert exact.error(expected[at], exact.values(workload, x, w, at)) < 1e-12


def _plain(workload, x, g):
    """A gradient of weights without conjugation: sums of products."""
    options = {"padding": 1, "data_format": "channels_first", "method": "reference"}
    parts = [numconv.grad.conv2d_weight(a, workload.w, b, **options)
             for a in (x.real, x.imag) for b in (g.real, g.imag)]  # fmt: skip
    return parts[0] - parts[3] + 1j * (parts[1] + parts[2])


@pytest.mark.parametrize("workload", KINDS[:2], ids=lambda workload: workload.name)
def test_a_workload_is_measured(workload):
    """Ours is right in both layouts; peers that are missing, or fail, leave a line."""
    found = dict(rows.parts(workload))
    mine = {name: value for name, value in found.items() if name.startswith("numconv")}
    assert len(mine) == 2 * len(workload.precisions)
    for value in mine.values():
        assert value["error"] < 1e-5
        assert value["tflops"] >= 0 < value["ms"]
        assert value["kernel"]
    assert found["arrays"] == ours.library()
    if simulated():
        assert isinstance(found["by_torch"], str)
    left_out = next(iter(mine))
    assert left_out not in dict(rows.parts(workload, [left_out]))


def test_figures_of_a_workload():
    small = KINDS[0]
    assert small.flops() == 2 * 108 * 18
    assert small.moved_bytes() == 4 * (72 + 54 + 108)
    assert measure.copies_of(1 << 26, "bytes") == 4
    assert measure.copies_of(1, "flops") == 1


def test_rates():
    assert measure.copy_bandwidth(1 << 10) > 0
    assert measure.multiply_add_rate(1 if simulated() else 128, 1) > 0  # Numba warns of fewer blocks
    if simulated():
        assert rates_double.share_in_order() == 1
    found = overhead.of_calls(1)
    assert found["numba, plan"] > 0
    assert "launcher numba, plan, out given" in found


def test_every_workload_is_a_call():
    for workload in workloads.EVERY:
        if workload.kind in ("forward", "weight gradient"):
            assert workload.x[1] == workload.w[1] * workload.groups
        else:
            assert workload.x[1] == workload.w[0]
        assert np.dtype(workload.dtype)
        assert set(workload.targets) <= set(workload.precisions)
        assert len(workload.result) == workload.ndim + 2
        assert min(workload.result) > 0
        assert workload.flops() > 0 < workload.moved_bytes()
    assert len({workload.name for workload in workloads.EVERY}) == len(workloads.EVERY)


def test_layouts():
    x = np.arange(24).reshape(1, 2, 3, 4)
    assert ours.as_laid_out(x, "channels_last").shape == (1, 3, 4, 2)
    assert ours.as_laid_out(x, "channels_last", weights=True).shape == (3, 4, 2, 1)


def serve(kind):
    """What `apart` is asked for below."""
    if kind == "dies":
        os._exit(3)
    if kind == "hangs":
        yield "part"
        sleep(100)
    if kind == "raises":
        raise OSError("one\ntwo")
    yield 1
    yield 2


def test_steps_apart(monkeypatch):
    """Whatever a step does, the next one runs."""
    monkeypatch.setattr(apart, "_function", None)  # of this process: the other one has its own
    process = apart.Apart()
    name = "tests.cuda.bench.serve"
    try:
        for kind, message in (
            ("raises", "OSError: one"),
            ("dies", "with status 3"),
            ("hangs", "stopped: no answer"),
        ):
            with pytest.raises(RuntimeError, match=message):
                process.call(name, kind, seconds=1 if kind == "hangs" else 60)
            assert process.call(name, "well", seconds=60) == 2
    finally:
        process.close()


def test_a_row_goes_on_where_its_process_was_lost():
    class Lost:
        """Ends at "b", and hangs at "d"."""

        def parts(self, function, name, without, seconds):
            for part in "abcd":
                if part in without:
                    continue
                yield part, None
                if part in "bd":
                    raise RuntimeError(f"lost at {part}")
                yield part, 1

    assert command.row(Lost(), "x", lambda: 1.0) == {"a": 1, "b": "lost at b", "c": 1, "d": "lost at d"}


def test_all_is_compiled_whatever_fails(monkeypatch):
    class Breaks:
        """Whose process is lost with one part of a workload."""

        closed = 0

        def parts(self, function, name, without, seconds):
            assert function == "asv_bench.gpu.rows.compiled"
            for part in "ab":
                if part not in without:
                    yield part, None
                    if (name, part) == ("y", "a"):
                        raise RuntimeError("lost")
                    yield part, ""

        def close(self):
            Breaks.closed += 1

    monkeypatch.setattr(command, "Apart", Breaks)
    assert command.compile_all(60, ["x", "y", "z"]) == {"y": {"a": "lost"}}
    assert Breaks.closed > 0
    assert command.compile_all(-1, ["x"]) == {"x": {"all": "no time"}}


def test_steps_that_fail_leave_a_line(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results" / "gpu.json")
    run = command.Run(100, [])

    def fail():
        raise OSError("one\ntwo")

    assert run.attempt("x", fail) == "failed: OSError: one"
    run.begin -= 1000
    assert run.attempt("y", fail) == "left out: no time"
    assert "x: " in capsys.readouterr().out
    kept = json.loads(command.RESULTS.read_text())
    assert kept["y"] == "left out: no time"
    assert command.Run(1, ["z"]).attempt("x", fail) is None


def test_the_table_and_where_it_goes(tmp_path, monkeypatch):
    name = workloads.EVERY[0].name
    values = {"tflops": 7.0, "gbytes": 1.0, "error": 1e-7}
    row = {
        "numconv ieee channels_first": {"ms": 2.5, **values},
        "numconv ieee channels_last": {"ms": 2.0, **values},
        "numconv tf32 channels_first": "NotImplementedError: no",
        "torch ieee channels_first": {"ms": 3.0, **values},
        "torch tf32 channels_last": {"ms": 1.0, **values, "error": 1e-3},
        "by_cupy": "no",
    }
    found = {"date": "2026-11-27", "copy bandwidth": 4e9, name: row, "about": {"cuda:0": "a GPU"}}
    lines = table.lines(found)
    assert lines[2] == (
        f"| {name} | ieee | 2.000 | last | 7.0 | 25% | 1e-07 | 1.50x (ieee) | 0.50x (tf32, error 1e-03) |  | "
        "40 / 50 TFLOP/s, 1.0x torch |"
    )
    assert lines[4].startswith(f"| {name} | tf32 | NotImplementedError: no |")
    assert {line.count("|") for line in lines} == {12}
    row["numconv ieee channels_last"]["error"] = float("nan")
    assert table.lines(found)[2].startswith(f"| {name} | ieee | wrong: error nan |")
    row["numconv ieee channels_last"]["error"] = 1e-7
    monkeypatch.setattr(command, "ROOT", tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text("a\n" + "".join(command.MARKS) + "b\n")
    command.write(found)
    command.write(found)
    text = readme.read_text()
    assert text.count("1.50x") == 1
    assert text.startswith("a\n" + command.MARKS[0])
    assert text.endswith(command.MARKS[1] + "b\n")


def test_outcomes_of_tests(tmp_path):
    path = tmp_path / "outcomes"
    assert outcomes.summary(path) == {"nothing": "no test has ended"}
    lines = [["tests/cuda/a.py::x", "passed", 1.0, ""], ["tests/cuda/a.py::y", "failed", 2.0, "why"]]
    lines += [["tests/cuda/a.py::y", "failed", 0.0, "crashed"]]
    lines += [["tests/cuda/a.py::y", "warned", 0.0, "numconv: slow"]] * 2
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = outcomes.summary(path)
    assert found == {
        "a": {"passed": 1, "failed": 2, "seconds": 3.0},
        "failed": {"tests/cuda/a.py::y": "why; crashed"},
        "warned": ["numconv: slow"],
    }


def test_there_is_no_table_of_a_simulator():
    if simulated():
        assert command.main([]) == 2
