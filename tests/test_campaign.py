"""A short campaign: every part of it for some seconds, and nothing may break."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .campaign import child, mutants, stress
from .campaign.__main__ import main
from .campaign.mutant_list import MUTANTS
from .campaign.report import BEGIN, END, Row, about, markdown, together
from .running import TESTS

linux = pytest.mark.skipif(sys.platform != "linux", reason="forks, signals and guard pages of Linux")

SECONDS = {"exact": 12, "bounds": 8, "guard": 16, "stress": 24, "faults": 12, "mutants": 2, "cpus": 8}
"""For each part, of which some go on until they have tried a few of everything."""


@linux
@pytest.mark.parametrize("part", SECONDS)
def test_part(part, tmp_path):
    """As a program, so that it starts from nothing."""
    file = tmp_path / "campaign.json"
    arguments = ["--part", part, "--seconds", str(SECONDS[part]), "--json", str(file)]
    outcome = child.call(f"{__name__}:campaign", 600, arguments=arguments)
    assert not outcome.died, f"{outcome.died}\n{outcome.output}"
    rows = json.loads(file.read_text())["rows"]
    assert outcome.value == 0 and not any(row["broke"] for row in rows), outcome.output
    for row in rows:
        assert row["tried"] > 0 or "not installed" in row["note"], row


@linux
@pytest.mark.parametrize(("scenario", "library"), (stress.SCHEDULERS | stress.LIBRARIES).items())
def test_neighbours(scenario, library, tmp_path):
    """Under other libraries' schedulers and beside their threads, with Numba's own layer."""
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    environment = stress.environment("omp", tmp_path)
    outcome = child.call(f"tests.campaign.neighbours:{scenario}", 120, environment, threads=4)
    assert not outcome.died, f"{outcome.died}\n{outcome.output}"
    assert outcome.value["calls"] > 100


def campaign(arguments):
    """In the child."""
    return main(arguments)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutants_fit_the_source(mutant):
    """Each still changes one place of the package."""
    path = mutants.place_of(mutant, TESTS.parent / "numconv")
    assert path is not None, f"{mutant.old!r} is not in numconv/{mutant.file} exactly once: adapt the mutant"
    assert mutant.new != mutant.old
    compile(path.read_text().replace(mutant.old, mutant.new), path.name, "exec")


def test_mutants_have_names_of_their_own():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40


def dies(how):
    """In the child."""
    import os
    import time

    if how == "hang":
        time.sleep(60)
    if how == "abort":
        os.abort()
    if how == "exit":
        raise SystemExit(3)
    return how


@linux
@pytest.mark.parametrize(
    ("how", "died"),
    [("returns", ""), ("hang", "hung for 1 s"), ("abort", "died of SIGABRT"), ("exit", "exit status 3")],
)
def test_deaths_are_told_apart(how, died):
    outcome = child.call(f"{__name__}:dies", 1 if how == "hang" else 60, how=how)
    assert outcome.died == died
    assert outcome.value == (None if died else "returns")


def test_failures_are_counted_and_shown(capsys, monkeypatch, tmp_path):
    """A part that breaks: exit status 1, its words in the output and in the file."""
    row = Row("exact", "something", 10)
    row.fail("it broke", 2)
    module = type(sys)("tests.campaign.exact")
    module.run = lambda budget: [row]
    monkeypatch.setitem(sys.modules, "tests.campaign.exact", module)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert main(["--part", "exact", "--seconds", "1", "--readme", str(readme)]) == 1
    assert "it broke" in capsys.readouterr().out
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| something | 10 | 2 |  |" in text


def test_runs_add_up(tmp_path, monkeypatch, capsys):
    """An earlier run's file: counts are summed, the worst is kept, failures are not forgotten."""
    first = Row("exact", "problems", 10, 0, "{kinds} kinds, worst {worst:.1f}", [], {"kinds": 2, "worst": 3.0})
    first.fail("it broke")
    file = tmp_path / "first.json"
    file.write_text(json.dumps(about([first], 60, 0, 60.0)))
    module = type(sys)("tests.campaign.exact")
    second = Row("exact", "problems", 5, 0, "{kinds} kinds, worst {worst:.1f}", [], {"kinds": 1, "worst": 4.0})
    module.run = lambda budget: [second]
    monkeypatch.setitem(sys.modules, "tests.campaign.exact", module)
    assert main(["--part", "exact", "--seconds", "1", "--add", str(file), "--markdown"]) == 1
    assert "| problems | 15 | 1 | 3 kinds, worst 4.0 |" in capsys.readouterr().out
    assert [row.what for row in together([[first], [Row("exact", "others", 1)]])] == ["problems", "others"]


def test_the_readme_has_the_table():
    text = Path(TESTS.parent, "README.md").read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert "python -m tests.campaign" in text


def test_a_table():
    run = about([Row("exact", "problems", 1234567, 0, "note")], 60, 3, 61.2)
    assert "| problems | 1,234,567 | 0 | note |" in markdown(run)
    assert run["command"] == "python -m tests.campaign --seconds 60 --seed 3"
