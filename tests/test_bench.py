"""The benchmark harness on workloads of a microsecond: what is compared, printed and written; not how fast it is."""

import json
import os
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from numconv.__main__ import main
from numconv._bench import overhead, passive_threads, peers, rounds, speed
from numconv._bench.backward import InputGradient, Transposed, WeightGradient
from numconv._bench.contender import Contender, difference, ours
from numconv._bench.rounds import Entry, interleave
from numconv._bench.settings import Settings
from numconv._bench.suites import DENSE, SUITES, THIN, Group
from numconv._bench.table import Table, number, share, times
from numconv._bench.tables import means_of, speed_table
from numconv._bench.workload import Workload

from .bench_cases import BANK, LAYER, SETTINGS, bench, small  # noqa: F401 (small is a fixture)


@pytest.fixture
def library(monkeypatch):
    """Have `contenders` stand for PyTorch, and no other library be installed."""

    def install(contenders):
        adapter = SimpleNamespace(contenders=contenders, version=lambda: "9.9")
        monkeypatch.setattr(peers, "load", lambda name: adapter if name == "torch" else None)

    return install


def by_numconv(workload, x, w, threads):
    """A library that gives numconv's results, in two ways."""
    plan = workload.plan(w)
    return [
        Contender("torch", lambda: plan(x), np.asarray, "plain", packed=False),
        Contender("torch", lambda: plan(x), np.asarray, "packed"),
    ]


# ---- workloads


def test_flops_are_those_of_the_plan():
    for workload in (LAYER, BANK):
        _, w = workload.arrays()
        assert workload.flops == workload.plan(w).flops * workload.n


def test_layers_are_in_the_group_of_their_intensity():
    for workload in (*DENSE, *THIN):
        sizes = (workload.x_shape, workload.w_shape, (workload.n, *workload.out_spatial, workload.filters))
        intensity = workload.flops / (4 * sum(map(np.prod, sizes)))
        assert (intensity >= 60) == (workload in DENSE), workload.name


def test_no_two_workloads_of_a_suite_are_alike():
    for groups in SUITES.values():
        workloads = [workload for group in groups for workload in group.workloads]
        assert len(set(workloads)) == len(workloads)


def test_reductions_are_compared_with_those_of_pytorch(monkeypatch):
    """All its ways, checked; nobody else's."""
    pytest.importorskip("torch")
    monkeypatch.setattr(peers, "load", lambda name, load=peers.load: load(name) if name == "torch" else None)
    for workload in (LAYER, replace(LAYER, channels_last=False, w_dtype="float32")):
        race = speed.Race(replace(workload, reduce=("ppv", "max", "mean")), SETTINGS)
        assert {way.name for way in race.ways} == {"torch"} and not race.failed
    monkeypatch.undo()
    assert not peers.contenders_of("scipy", replace(BANK, reduce=("max",)), *BANK.arrays(), 1)


@pytest.mark.parametrize("kind", [Transposed, InputGradient, WeightGradient])
def test_what_goes_the_other_way_is_compared_with_pytorch(kind, monkeypatch):
    """In both layouts, along one axis and two; shapes and operations are those of the arrays."""
    pytest.importorskip("torch")
    monkeypatch.setattr(peers, "load", lambda name, load=peers.load: load(name) if name == "torch" else None)
    options = {"n": 2, "channels": 4, "filters": 6, "groups": 2, "stride": 2, "padding": 1}
    for spatial, kernel, last in (((9, 8), (3, 2), True), ((9, 8), (3, 2), False), ((9,), (4,), False)):
        workload = kind("there", spatial, kernel, channels_last=last, **options)
        x, w = workload.arrays()
        assert workload.call(x, w)().shape == workload.plan(w)(x).shape
        race = speed.Race(workload, SETTINGS)
        assert {way.name for way in race.ways} == {"torch"} and not race.failed
    monkeypatch.undo()
    assert not peers.contenders_of("scipy", workload, x, w, 1)
    plain = kind("plain", (9,), (3,), channels=2, filters=5)
    assert plain.flops == 2 * 3 * 2 * 5 * (9 if kind is Transposed else 7)


# ---- rounds


def test_everybody_runs_once_a_round_in_turning_order():
    order = []
    entries = {name: Entry(lambda name=name: order.append(name), 1.0, 1, 3) for name in "abc"}
    entries["b"].rounds = 2
    seconds = interleave(entries, range(3))
    assert "".join(order) == "abc" + "bca" + "ca"
    assert np.isnan(seconds["b"]).tolist() == [False, False, True]
    assert rounds.ratio(seconds["a"] * 0 + 6, seconds["b"] * 0 + 2) == 3


def test_short_calls_are_timed_several_at_a_time():
    assert rounds.enter(lambda: None, 5, 1e-3).calls > 1000
    assert rounds.enter(lambda: None, 5, 1e-3, first=2.0).calls == 1


# ---- figures


def test_figures_are_medians_of_ratios(library, monkeypatch):
    library(by_numconv)
    race = speed.Race(BANK, SETTINGS)
    race.ways = [Contender("torch", print, way="plain", packed=False), Contender("torch", print, way="packed")]
    seconds = {"plan": [1.0, 2.0, 4.0], "function": [2.0, 2.0, 2.0], "copy": [0.5, 1.0, 2.0]}
    seconds |= {"torch plain": [3.0, 6.0, 12.0], "torch packed": [2.0, 4.0, np.nan]}
    seconds |= {"peak": [1e-3] * 3, "bandwidth": [1e-3] * 3}
    monkeypatch.setattr(speed, "interleave", lambda *_: {name: np.array(values) for name, values in seconds.items()})
    result = race.run(range(3))
    plan, function = result.figures["plan"], result.figures["function"]
    assert plan.seconds == 2 and plan.rate == BANK.flops / 2
    assert plan.ratios == {"copy": 0.5, "torch": 2.0} and plan.best == 2.0
    assert function.ratios["torch"] == 3.0  # the function packs, and meets the way that does
    by_peak = 1e-3 * BANK.flops / race.peak.flops
    by_memory = 1e-3 * (4 * (12 * 14 + 18 + 2 * 12 * 14)) / (2 * SETTINGS.copy_bytes)
    assert plan.shares == pytest.approx({"peak": by_peak / 2, "roofline": max(by_peak, by_memory) / 2})
    assert result.peak == race.peak.flops / 1e-3 and result.bandwidth == 2 * SETTINGS.copy_bytes / 1e-3


def test_a_slow_library_has_fewer_rounds_and_a_slow_way_none(library, monkeypatch):
    library(by_numconv)
    entered = {"plain": 1.0, "packed": 3.0}
    real = speed.enter

    def enter(run, number, shortest, first):
        way = next((way for way in entered if first == entered[way]), None)
        return Entry(run, first, 1, number) if way else real(run, number, shortest, first)

    monkeypatch.setattr(speed, "enter", enter)
    monkeypatch.setattr(speed.Race, "_checked", lambda self, way, expected: entered[way.way])
    race = speed.Race(LAYER, Settings(threads=1, rounds=15, shortest=1e-5, copy_bytes=1 << 12))
    assert [way.way for way in race.ways] == ["plain"]
    entry = race.entries["torch plain"]
    assert (entry.rounds, entry.known) == (1, 1.0)  # it took a second when it was checked: that is its round
    times = interleave({"slow": entry}, range(3))["slow"]
    assert times[0] == 1.0 and np.isnan(times[1:]).all()


def test_a_library_that_differs_is_reported(library):
    library(lambda *given: [Contender("torch", lambda: None, lambda _: by_numconv(*given)[0].run() + 1)])
    with pytest.raises(RuntimeError, match=r"tiny\.layer: torch differs from numconv"):
        speed.Race(LAYER, SETTINGS)


def test_a_library_that_fails_is_left_out_and_named(library):
    def refuse():
        raise TypeError("no such\ntype")

    library(lambda *given: [Contender("torch", refuse, np.asarray)])
    result = speed.Race(LAYER, SETTINGS).run(range(2))
    assert result.figures["plan"].best is None and result.failed == {"torch": "TypeError: no such type"}
    assert "tiny.layer: torch failed: TypeError: no such type" in speed_table(Group("", ()), [result]).text()


def test_difference():
    ones = np.ones((2, 2), np.float32)
    assert difference(ones, ones) == 0
    assert difference(ones + 1e-3, ones) == pytest.approx(10, rel=1e-3)
    assert difference(ones[0], ones) == difference(ones * np.nan, ones) == np.inf


# ---- libraries

FILTERS = {
    "image": BANK,
    "signal": Workload("", (90,), (8,), filters=3, bank=True),
    "product": Workload("", (20, 34), (3, 6), filters=2, bank=True, separable=True),
}
LAYERS = {
    "strided": Workload("", (9, 10), (3, 3), n=2, channels=4, filters=6, groups=2, stride=2, padding=1),
    "first": Workload("", (9, 10), (3, 3), channels=4, filters=6, dilation=2, padding=2, channels_last=False),
    "signal": Workload("", (40,), (9,), channels=4, filters=6, padding=4),
}


@pytest.mark.parametrize("peer", peers.PEERS)
@pytest.mark.parametrize("kind", ["filters", "layers"])
def test_every_way_of_a_library_gives_our_result(peer, kind):
    if peers.load(peer) is None:
        pytest.skip(f"{peer} is not installed")
    for name, workload in {"filters": FILTERS, "layers": LAYERS}[kind].items():
        x, w = workload.arrays()
        _, function, expected = ours(workload, x, w)
        assert difference(function.run(), expected) == 0
        ways = peers.contenders_of(peer, workload, x, w, threads=1)
        assert ways or kind == "layers" or (peer == "sepFilter2D" and not workload.separable)
        for way in ways:
            assert difference(way.array(way.run()), expected) <= 1, (name, way.key)


def test_a_library_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.delitem(sys.modules, "numconv._bench.peers.scipy_filters", raising=False)
    peers.load.cache_clear()
    assert peers.load("scipy") is None and "scipy" in peers.missing() and "scipy" not in peers.versions()
    peers.load.cache_clear()


# ---- tables


def test_text_and_markdown():
    table = Table("title", ("", "ms"), [("a", "1.00"), ("long", "12.3")], [("mean", "7")], notes=["so"])
    assert table.text().splitlines() == [
        *("title", "", "        ms", "----------", "a     1.00", "long  12.3", "----------", "mean     7", "so")
    ]
    assert table.markdown().splitlines() == [
        *(
            "**title**",
            "",
            "|  | ms |",
            "| :-- | --: |",
            "| a | 1.00 |",
            "| long | 12.3 |",
            "| *mean* | *7* |",
            "",
            "so",
        )
    ]


def test_numbers():
    assert [number(value) for value in (None, 0.01234, 1.234, 12.34, 1234)] == ["-", "0.0123", "1.23", "12.3", "1234"]
    assert (share(None), share(0.934)) == ("-", "93%")
    assert [times(value) for value in (None, 1.234, 12.34)] == ["-", "1.23x", "12x"]


def test_a_table_of_two_paths(library):
    library(by_numconv)
    group = SUITES["layers"][0]
    results = [speed.Race(workload, SETTINGS).run(range(2)) for workload in group.workloads]
    table, compact = speed_table(group, results), speed_table(group, results, compact=True)
    ratios = ("of peak", "of roofline", "copy", "torch", "best peer")
    assert table.headings == ("", "by", "ms", "GFLOP/s", *ratios) and compact.headings == ("", *table.headings[2:])
    assert [row[:2] for row in table.rows] == [
        ("tiny.layer", "plan"), ("", "function"), ("tiny.bank", "plan"), ("", "function")
    ]  # fmt: skip
    assert table.rows[0][6] == "-" and table.feet[-1] == ("aim", "", "", "", "", ">= 50%", "", "", ">= 1.05x")
    assert [row[0] for row in compact.rows + compact.feet] == ["tiny.layer", "tiny.bank", "geometric mean", "aim"]
    shares = [result.figures["plan"].shares["peak"] for result in results]
    assert means_of(results)["plan"]["of peak"] == pytest.approx(np.sqrt(np.prod(shares)))


# ---- the command


def test_layers_with_a_library(library, tmp_path, capsys):
    library(by_numconv)
    printed = bench(capsys, "layers", "--json", tmp_path / "figures.json")
    for words in ("1 thread", "torch 9.9", "tiny layers", "tiny.bank", "geometric mean", "best peer", "of roofline"):
        assert words in printed
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["schema"] == 1 and found["threads"] == 1 and found["rounds"] == 2
    assert found["versions"]["torch"] == "9.9" and "scipy" in found["missing"]
    assert {"date", "cpu", "omp_wait_policy"} < set(found)
    (group,) = found["suites"]["layers"]
    assert set(group) == {"title", "aims", "means", "results"}
    layer, bank = group["results"]
    assert layer["workload"]["name"] == "tiny.layer" and set(layer["figures"]) == {"plan", "function"}
    assert set(layer["figures"]["plan"]) == {"seconds", "rate", "shares", "ratios", "best"}
    assert {"plan", "function", "peak", "bandwidth"} < set(layer["seconds"])
    assert set(bank["figures"]["function"]["ratios"]) == {"copy", "torch"}


def test_without_libraries_and_progress_bar(monkeypatch, capsys):
    monkeypatch.setattr(peers, "load", lambda name: None)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    printed = bench(capsys, "layers", "--markdown", "--only", "layer")
    assert "Not installed, so not compared with: torch, onnxruntime onnx, opencv-python-headless, scipy" in printed
    assert "| tiny.layer |" in printed and "tiny.bank" not in printed and "best peer |" not in printed


def test_overhead_and_threads(tmp_path, capsys):
    printed = bench(capsys, "overhead", "threads", "--json", tmp_path / "figures.json")
    for words in ("overhead of a call, microseconds", "making a plan", "two threads", "scaling with threads"):
        assert words in printed
    suites = json.loads((tmp_path / "figures.json").read_text())["suites"]
    called, woken = suites["overhead"]
    assert [row["name"] for row in called["results"]] == [workload.name for workload in overhead.TINY]
    assert {"function", "plan", "making a plan"} <= set(called["results"][0]["seconds"])
    assert set(woken["results"][0]["seconds"]) == {"serial", "two threads", "over"}
    (scaled,) = suites["threads"][0]["results"]
    assert scaled["name"] == "tiny.layer" and scaled["one"] > 0


MISTAKES = {
    "unknown suite": (["layer"], "unknown suite 'layer': did you mean layers?"),
    "unknown workload": (
        ["layers", "--only", "tiny.lair"],
        "no workload is named 'tiny.lair': did you mean tiny.layer?",
    ),
    "no threads": (["--threads", "0"], "'0' is not a number from 1 to 1024"),
    "other format": (["layers", "--json", "figures.txt"], "must end in .json"),
    "nowhere": (["layers", "--json", "no/figures.json"], "there is no directory no"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gives_status_2_and_one_line(mistake, capsys):
    arguments, words = MISTAKES[mistake]
    assert main(["bench", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and words in captured.err and captured.err.count("\n") == 1


def test_help_names_every_suite(capsys):
    from numconv._bench.command import NAMES

    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert ", ".join(NAMES) in printed


def test_threads_wait_asleep_unless_told_otherwise(monkeypatch):
    passive_threads()
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    passive_threads()
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"]) == ("passive", "7")
