"""Faults of the disk, of other processes and people, of memory and of the keyboard: each injected, each counted."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from numconv.cpu.cache import cache_directory

from .budget import Budget
from .cache_faults import ERRORS
from .child import ROOT, Outcome, call
from .report import Row

CACHE, PROCESS = f"{__package__}.cache_faults", f"{__package__}.process_faults"
ACCESSES = 12
"""Accesses to the cache's directory at which a failure or a kill is injected: more than two kernels make."""
SHORT, LONG = 60.0, 120.0
"""Seconds below which each kind has its likeliest cases only, and above which all: a process takes one or two."""
NOBODY = 65534


class Place:
    """A temporary directory with an empty cache for each trial."""

    def __init__(self, directory: str) -> None:
        self.directory, self.count = Path(directory), 0

    def empty(self) -> Path:
        """A new path for a cache."""
        self.count += 1
        return self.directory / f"cache{self.count}"

    def call(self, target: str, cache: Path | None = None, limit: float = 120, **keywords: Any) -> Outcome:
        """In a process with a cache of its own."""
        own = {"NUMCONV_CACHE_DIR": str(cache or self.empty()), "NUMCONV_CACHE": None}
        environment = own | keywords.pop("environment", {})
        return call(target, limit, environment, **keywords)


def tally(row: Row, outcome: Outcome, what: str) -> None:
    """Add what a child reports; its death is a failure."""
    if outcome.died:
        row.tried += 1
        row.fail(f"{what}: {outcome.died}: {outcome.output[-700:]}")
        return
    row.tried += outcome.value["tried"]
    for wrong in outcome.value["wrong"]:
        row.fail(f"{what}: {wrong}")


def run(budget: Budget) -> Iterator[Row]:
    """Rows: one for each kind of fault."""
    long, short = budget.seconds > LONG, budget.seconds < SHORT
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        here = Place(directory)
        kinds: list[Callable[[], Row]] = [
            partial(damaged, here, budget.seed), partial(races, here, budget.share(0.1 if short else 0.35)),
            partial(failing, here, long, short), partial(kills, here, 1 if long else 6 if short else 3),
            partial(places, here, short), partial(versions, here, long, short), partial(processes, here, budget),
        ]  # fmt: skip
        for kind in kinds:
            yield kind()


def damaged(here: Place, seed: int) -> Row:
    """Files that are not what was written."""
    row = Row("faults", "cache files cut at 10 places, 1,000 flipped bits, strange files", 0)
    for target, keywords in (
        ("truncations", {"places": 10}),
        ("flips", {"count": 1000, "seed": seed}),
        ("strangers", {}),
    ):
        tally(row, here.call(f"{CACHE}:{target}", **keywords), target)  # type: ignore[arg-type]
    return row


def races(here: Place, budget: Budget) -> Row:
    """Empty caches, four processes."""
    row = Row("faults", "first call of four processes at once, one empty cache", 0)
    base = here.empty()
    outcome = here.call(
        f"{CACHE}:races", limit=budget.seconds + 120, seconds=budget.seconds, processes=4, base=str(base)
    )
    tally(row, outcome, "race")
    return row


def failing(here: Place, long: bool, short: bool) -> Row:
    """Every access fails in turn, with every error; writes end early."""
    row = Row("faults", "ENOSPC, EACCES, EROFS, EMFILE, EIO at each access; writes cut short", 0)
    for number, error in enumerate(ERRORS):
        for at in range(1, 8 if short else ACCESSES + 1):
            if long or (at + number) % (8 if short else len(ERRORS)) == 0:
                tally(row, here.call(f"{CACHE}:failure", at=at, error=error), f"{error} at access {at}")
    for size in range(0, 1000, 100 if long else 1000 if short else 500):
        tally(row, here.call(f"{CACHE}:full", size=size), f"files of {size} bytes at most")
    return row


def kills(here: Place, step: int) -> Row:
    """kill -9 at every access, then another process."""
    row = Row("faults", "kill -9 at each access of the cache, then another process", 0)
    for at in range(1, ACCESSES, step):
        cache = here.empty()
        here.call(f"{CACHE}:killed", cache=cache, at=at)
        tally(row, here.call(f"{CACHE}:survivors", cache=cache), f"after a kill at access {at}")
    return row


def places(here: Place, short: bool) -> Row:
    """Homes and directories that are missing, read-only, foreign, open to all."""
    row = Row("faults", "HOME missing, read-only, a file; cache of others, writable by others", 0)
    nowhere = {"NUMCONV_CACHE_DIR": None, "XDG_CACHE_HOME": None}

    def check(what: str, expected: int, environment: dict[str, str | None], **keywords: Any) -> None:
        outcome = here.call(f"{CACHE}:place", expected_warnings=expected, environment=environment, **keywords)
        tally(row, outcome, what)

    check("HOME missing", 0, nowhere | {"HOME": str(here.empty() / "missing")})
    if not short:
        file = here.empty()
        file.write_text("")
        check("HOME is a file", 0, nowhere | {"HOME": str(file)})
        check("the cache is a file", 1, {"NUMCONV_CACHE_DIR": str(file)})
        check("no cache wanted", 0, {"NUMCONV_CACHE": "0"})
    for mode in (0o777,) if short else (0o777, 0o770, 0o702, 0o1777):
        opened = here.empty()
        opened.mkdir()
        opened.chmod(mode)
        check(f"mode {mode:o}", 1, {"NUMCONV_CACHE_DIR": str(opened)})
    if os.geteuid() != 0:
        row.note = "not root: no directories of others"
        return row
    foreign = here.empty()
    foreign.mkdir(mode=0o700)
    os.chown(foreign, NOBODY, NOBODY)
    check("of another user", 1, {"NUMCONV_CACHE_DIR": str(foreign)})
    home = here.empty()
    home.mkdir(mode=0o555)
    check("read-only HOME", 0, nowhere | {"HOME": str(home)}, user=NOBODY)
    if not short:
        check("HOME unset", 0, nowhere | {"HOME": None}, user=NOBODY)
    return row


def versions(here: Place, long: bool, short: bool) -> Row:
    """One cache for several CPUs and versions of the package."""
    row = Row("faults", "one cache for other CPUs and other versions of the package", 0)
    cache, sizes = here.empty(), [0]
    copy = here.empty()
    shutil.copytree(ROOT / "numconv", copy / "numconv")
    shutil.copytree(ROOT / "tests", copy / "tests")
    with open(copy / "numconv" / "cpu" / "records.py", "a") as file:
        file.write("# another version\n")
    others: list[dict[str, Any]] = [{}, {"root": copy, "environment": {"PYTHONPATH": str(copy)}}]
    others += [
        {"environment": {"NUMBA_CPU_NAME": c, "NUMBA_CPU_FEATURES": ""}} for c in ("haswell", "znver3")[: 1 + long]
    ]
    what = f"{CACHE}:{'kernels' if short else 'convolutions'}"
    for keywords in others:
        outcome = here.call(what, cache=cache, **keywords)
        tally(row, outcome, str(keywords))
        if not outcome.died and outcome.value["entries"] <= sizes[-1]:
            row.fail(f"{keywords}: used the entries of another")
        sizes.append(0 if outcome.died else outcome.value["entries"])
    tally(row, here.call(what, cache=cache), "the first version again")
    return row


def processes(here: Place, budget: Budget) -> Row:
    """What happens to a process in the middle of a call."""
    row = Row("faults", "Ctrl-C in calls and compilations, little memory, forks while compiling, no JIT", 0)
    short = budget.seconds < SHORT
    seconds, shared = 1.0 if short else max(2.0, budget.seconds / 30), here.empty()
    if short:  # no time to compile: what this process has
        shared = cache_directory() or shared
    latest = 0.0
    for threads in (1, 2):
        outcome = here.call(
            f"{PROCESS}:interrupts", shared, 120 + seconds, seconds=seconds, threads=threads, seed=budget.seed
        )
        tally(row, outcome, f"Ctrl-C, {threads} threads")
        latest = max(latest, 0.0 if outcome.died else outcome.value["latest"])
    count = max(5, int(seconds))
    tally(
        row, here.call(f"{PROCESS}:interrupted_compilations", count=count, seed=budget.seed), "Ctrl-C while compiling"
    )
    tally(
        row, here.call(f"{PROCESS}:forks_while_compiling", limit=120 + seconds, seconds=seconds), "fork while compiling"
    )
    for megabytes in (0, 40) if short else (0, 1, 8, 40, 70, 200):
        tally(row, here.call(f"{PROCESS}:little_memory", shared, megabytes=megabytes), f"{megabytes} MB left")
    broken = {"no JIT": {"NUMBA_DISABLE_JIT": "1"}, "no such layer": {"NUMBA_THREADING_LAYER": "nonsense"}}
    for what, environment in broken.items():
        tally(row, here.call(f"{PROCESS}:plain", shared, environment=environment), what)
    row.note = f"Ctrl-C took {latest:.2f} s at most"
    return row
