"""``python -m asv_bench.gpu`` on small things: what it measures, and what it makes of it."""

import numpy as np
import pytest

from asv_bench.gpu import __main__ as command
from asv_bench.gpu import measure, workloads

from .device import simulated

SMALL = workloads.Workload("small", (1, 2, 6, 6), (3, 2, 3, 3), "flops", "none", options={"pad_mode": "reflect"})


@pytest.fixture(autouse=True)
def briefly(monkeypatch):
    monkeypatch.setattr(measure, "SECONDS", 0.0)
    if simulated():  # which does not know the time
        monkeypatch.setattr(measure, "milliseconds", lambda call: (call(), 1.0)[1])


def test_a_workload_is_measured():
    """Peers that are missing, or fail, leave a line."""
    found = command.measured(SMALL)
    assert found["numconv"] > 0 < found["tflops"]
    assert SMALL.flops((1, 3, 6, 6)) == 2 * 108 * 18
    assert SMALL.moved_bytes((1, 3, 6, 6)) == 4 * (72 + 54 + 108)
    if simulated():
        assert isinstance(found["by_torch"], str)


def test_rates():
    assert measure.copy_bandwidth(1 << 10) > 0
    assert measure.multiply_add_rate(1, 2) > 0
    assert set(measure.overhead(1)) == {"plan, out given", "plan"}


def test_every_workload_is_a_call():
    for workload in workloads.EVERY:
        assert workload.x[1] == workload.w[1] * workload.options.get("groups", 1)
        assert np.dtype(workload.dtype)
        assert workload.ndim == len(workload.x) - 2


def test_steps_that_fail_leave_a_line(capsys):
    run = command.Run()

    def fail():
        raise OSError("one\ntwo")

    assert run.attempt("x", fail) == "failed: OSError: one"
    run.begin -= 1000
    assert run.attempt("y", fail) == "left out: no time"
    assert "x: failed" in capsys.readouterr().out


def test_the_table_and_where_it_goes(tmp_path, monkeypatch):
    name = workloads.EVERY[0].name
    row = {"numconv": 2.0, "torch": 3.0, "torch channels_last": 5.0, "tflops": 7.0, "gbytes": 1.0, "by_cupy": "no"}
    found = {"date": "2026-11-27", "copy bandwidth": 4e9, name: row, "about": {"device": "a GPU"}}
    lines = command.table(found)
    assert len(lines) == 3
    assert lines[2].startswith(f"| {name} | 2.000 | 7.0 | 25% | 1.50x |  |  |")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results" / "gpu.json")
    readme = tmp_path / "README.md"
    readme.write_text("a\n" + "".join(command.MARKS) + "b\n")
    command.write(found)
    command.write(found)
    text = readme.read_text()
    assert text.count("1.50x") == 1
    assert text.startswith("a\n" + command.MARKS[0])
    assert text.endswith(command.MARKS[1] + "b\n")
    assert (tmp_path / "results" / "gpu.json").exists()


def test_there_is_no_table_of_a_simulator():
    if simulated():
        assert command.main() == 2
