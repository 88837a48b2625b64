"""The gate's comparison with made-up costs; that its workloads and those of asv exist; that the slowed copy fits."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from numconv.__main__ import main
from numconv._bench import gate, gauge
from numconv._bench.rounds import enter, interleave
from numconv._cli.errors import CommandError

from . import slowed

STORED = {"one": 1.0, "two": 2.0}


@pytest.fixture(autouse=True)
def passive(monkeypatch):
    """Nothing that a command sets stays."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")


def processes(*results):
    """Stand for fresh processes: each returns its costs; `asked` holds what was to be measured."""
    asked, left = [], iter(results)

    def measure(names):
        asked.append(list(names))
        costs = next(left)
        return {name: costs[name] for name in names}

    return measure, asked


def test_the_same_costs_need_one_process():
    measure, asked = processes({"one": 1.19, "two": 1.0})
    assert gate.compared(STORED, measure, 1.2) == ({"one": 1.19, "two": 1.0}, [])
    assert asked == [["one", "two"]]


def test_what_looks_slow_is_measured_again_alone():
    measure, asked = processes({"one": 1.0, "two": 3.0}, {"two": 2.5}, {"two": 2.3})
    assert gate.compared(STORED, measure, 1.2) == ({"one": 1.0, "two": 2.3}, [])
    assert asked == [["one", "two"], ["two"], ["two"]]


@pytest.mark.parametrize("cost", [2.6, float("nan")])
def test_what_every_process_finds_slow_is_slow(cost):
    measure, asked = processes({"one": 1.0, "two": 9.0}, *[{"two": cost}] * 9)
    assert gate.compared(STORED, measure, 1.2)[1] == ["two"]
    assert len(asked) == gate.PROCESSES


def test_saved_costs_are_medians_and_are_met(tmp_path, capsys):
    path = tmp_path / "costs.json"
    costs = [dict.fromkeys(gauge.NAMES, 1.0 + i) for i in range(-2, 3)]
    assert len(costs) == gate.PROCESSES and gate.save(path, processes(*costs)[0]) == 0
    assert set(json.loads(path.read_text())["costs"].values()) == {1.0}
    assert gate.check(path, processes(dict.fromkeys(gauge.NAMES, 1.1))[0]) == 0
    slow = dict.fromkeys(gauge.NAMES, 1.0) | {gauge.LOOP: 1.3}
    assert gate.check(path, processes(*[slow] * gate.PROCESSES)[0]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith("SLOW")]
    assert len(lines) == 1 and lines[0].startswith(gauge.LOOP) and "1.30x" in lines[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cpu": "another"}, "costs of another"),
        ({"costs": STORED}, "other workloads"),
        ({"costs": None}, "cannot read costs"),
    ],
)
def test_other_files_are_refused(tmp_path, change, said):
    path = tmp_path / "costs.json"
    gate.save(path, processes(*[dict.fromkeys(gauge.NAMES, 1.0)] * gate.PROCESSES)[0])
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CommandError, match=said):
        gate.check(path)


def test_a_missing_file_is_the_users_mistake(tmp_path, capsys):
    assert main(["bench", "--gate", str(tmp_path / "none.json")]) == 2
    assert "--save" in capsys.readouterr().err


def test_save_without_gate_is_a_mistake(capsys):
    assert main(["bench", "--save"]) == 2
    assert "--gate" in capsys.readouterr().err


def test_costs_are_measured_in_the_clock_that_is_asked_for():
    ticks = iter(range(1000))
    entry = enter(lambda: None, 3, 0.0, clock=lambda: float(next(ticks)))
    assert list(interleave({"only": entry}, range(3))["only"]) == [1.0, 1.0, 1.0]


def test_costs_of_a_process(monkeypatch, capsys):
    monkeypatch.setattr(gauge, "SETTINGS", gauge.Settings(1, rounds=2, shortest=1e-5, copy_bytes=1 << 12))
    names = ("plan of 8x8 samples", gauge.LOOP)
    gauge.main(names)
    costs = json.loads(capsys.readouterr().out)
    assert tuple(costs) == names and all(cost > 0 for cost in costs.values())


def test_workloads_of_the_gate_exist():
    assert {*gauge.PLANS, *gauge.MEMORY} <= set(gauge._workloads())


@pytest.mark.parametrize("module", ["cost", "layers", "depthwise", "banks", "signals", "integer_complex", "reductions"])
def test_workloads_of_asv_exist(monkeypatch, module):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "asv_bench"))
    assert set(import_module(f"benchmarks.{module}").WORKLOADS) <= set(gauge._workloads())


def test_the_slowed_copy_fits_the_source():
    source = (slowed.PACKAGE / slowed.FILE).read_text()
    compile(slowed.slowed(source), slowed.FILE, "exec")
    with pytest.raises(LookupError):
        slowed.slowed("")
