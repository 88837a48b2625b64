"""What the disk, other processes and other people can do to the kernel cache: in a process of its own each.

Failures are injected at the system's own doors, so that it does not matter how the cache is written: audit hooks see
every open, rename, mkdir and unlink in the cache's directory, and RLIMIT_FSIZE stops writes in their middle.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from numconv.cpu import cache, store

from ..running import record

SCALE = "tests.runner_kernels:scale"
ERRORS = ("ENOSPC", "EACCES", "EROFS", "EMFILE", "EIO")
EVENTS = (
    "open",
    "os.rename",
    "os.mkdir",
    "os.remove",
    "os.chmod",
    "os.listdir",
    "os.scandir",
    "os.truncate",
    "os.link",
)


def scaled(factor: int) -> bool:
    """Whether the kernel that multiplies by a factor does; compiled, or from the cache, as it comes."""
    kernel = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(cache.address(SCALE, factor, False))
    out = np.zeros(8, np.int64)
    call = record(out=out.ctypes.data)
    for job in range(8):
        kernel(0, call.ctypes.data, 0, job)
    return bool((out == factor * np.arange(8)).all())


def forget() -> None:
    """What this process knows, so that it asks the disk again."""
    cache._ADDRESSES.clear()
    store._warned = False


def directory() -> Path:
    """Of the cache."""
    return Path(os.environ["NUMCONV_CACHE_DIR"])


def entries() -> list[Path]:
    """Its files."""
    return sorted(directory().glob("*.kernel"))


def is_whole(factor: int) -> bool:
    """Whether the entry of a kernel is there and taken for good; one that is not is removed."""
    return store.read(cache._file_name(SCALE), cache._key(SCALE, (factor, False))) is not None


def truncations(places: int) -> dict[str, Any]:
    """An entry cut at so many places: each time right, and whole again afterwards."""
    scaled(3)
    (path,) = entries()
    whole, wrong = path.read_bytes(), []
    for place in range(places):
        size = len(whole) * place // places
        path.write_bytes(whole[:size])
        forget()
        if not (scaled(3) and is_whole(3)):
            wrong.append(f"cut to {size} bytes")
    return {"tried": places, "wrong": wrong}


def flips(count: int, seed: int) -> dict[str, Any]:
    """Flipped bits: each is seen when the entry is read; every 50th is also run, recompiled."""
    scaled(3)
    (path,) = entries()
    whole, wrong = path.read_bytes(), []
    for number, bit in enumerate(np.random.default_rng(seed).integers(0, 8 * len(whole), count)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        if number % 50 == 0:
            forget()
            seen = scaled(3) and is_whole(3)
        else:
            seen = not is_whole(3) and not path.exists()
        if not seen:
            wrong.append(f"bit {bit}")
    return {"tried": count, "wrong": wrong}


def strangers() -> dict[str, Any]:
    """Entries under wrong names, directories and links in place of entries."""
    scaled(3), scaled(4)
    three, four = sorted(entries(), key=os.path.getmtime)
    whole, wrong = {three: three.read_bytes(), four: four.read_bytes()}, []

    def check(what: str) -> None:
        forget()
        if not (scaled(3) and scaled(4)):
            wrong.append(what)

    three.write_bytes(whole[four])
    check("another kernel under this name")
    three.unlink()
    three.mkdir()
    check("a directory of this name")
    three.rmdir()
    three.symlink_to(four)
    check("a link to another kernel")
    three.unlink()
    three.symlink_to(directory() / "nothing")
    check("a link to nothing")
    three.unlink()
    three.write_bytes(b"")
    check("an empty file")
    return {"tried": 5, "wrong": wrong}


def inject(at: int, action: Callable[[str], None]) -> dict[str, int]:
    """Act at the so many-th event in the cache's directory; returns the counter."""
    place, seen = str(directory()), {"events": 0}

    def hook(event: str, arguments: tuple) -> None:
        if event in EVENTS and any(isinstance(a, str | os.PathLike) and place in os.fspath(a) for a in arguments):
            seen["events"] += 1
            if seen["events"] == at:
                action(event)

    sys.addaudithook(hook)
    return seen


def failure(at: int, error: str) -> dict[str, Any]:
    """The so many-th access fails; right results, at most one warning, and nothing but whole entries is left."""

    def fail(event: str) -> None:
        raise OSError(getattr(errno, error), os.strerror(getattr(errno, error)))

    seen, wrong = inject(at, fail), []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for factor in (3, 4, 3):
            cache._ADDRESSES.clear()
            if not scaled(factor):
                wrong.append(f"factor {factor}")
    if len(caught) > 1:
        wrong.append(f"{len(caught)} warnings")
    return {"tried": int(seen["events"] >= at), "wrong": wrong}


def full(size: int) -> dict[str, Any]:
    """No file may be longer than `size` bytes: writes end in their middle, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    wrong = []
    import numconv.cpu.target  # noqa: F401  (Numba's import may write .pyc files)

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        right = [scaled(factor) for factor in (3, 4)]
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    left = list(directory().iterdir()) if directory().exists() else []
    broken = [path.name for path in left if path not in entries() or not 0 < path.stat().st_size <= size]
    if not all(right) or len(caught) > 1 or broken or (len(left) < 2 and not caught):
        wrong.append(f"limit {size}: {right}, {len(caught)} warnings, {broken} of {left}")
    return {"tried": 1, "wrong": wrong}


def killed(at: int) -> dict[str, Any]:
    """The process is killed at the so many-th access; if there are fewer it ends as usual."""
    inject(at, lambda event: os.kill(os.getpid(), signal.SIGKILL))
    return {"tried": 1, "wrong": [] if scaled(3) and scaled(4) else ["wrong result"]}


def survivors() -> dict[str, Any]:
    """After one was killed: right results in a process that finds what it left, and entries that are whole."""
    wrong = [] if scaled(3) and scaled(4) else ["wrong result"]
    for path in entries():
        content = path.read_bytes()
        if len(content) < 40:
            wrong.append(f"{path.name} has {len(content)} bytes")
    forget()
    compile_, compiled = cache._compile, []
    cache._compile = lambda *args: compiled.append(args) or compile_(*args)  # type: ignore[assignment,func-returns-value]
    if not (scaled(3) and scaled(4)) or compiled:
        wrong.append("compiled again")
    return {"tried": 1, "wrong": wrong}


def place(expected_warnings: int, user: int | None = None) -> dict[str, Any]:
    """Any circumstances: right results, so many warnings; as another user, who may not read what is imported late."""
    if user is not None:
        cache._compile(SCALE, (9, False)), cache._environment()
        os.seteuid(user)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        right = [scaled(3), scaled(4)]
        cache._ADDRESSES.clear()
        right.append(scaled(3))
    if user is not None:
        os.seteuid(0)
    caught = [w for w in caught if issubclass(w.category, RuntimeWarning)]
    wrong = [] if all(right) else [f"wrong result: {right}"]
    if len(caught) != expected_warnings:
        wrong.append(f"{len(caught)} warnings, not {expected_warnings}: {[str(w.message) for w in caught]}")
    return {"tried": 1, "wrong": wrong}


def races(seconds: float, processes: int, base: str) -> dict[str, Any]:
    """Empty caches filled by forked processes at once, with kernels of one factory; then read by another.

    Forked from a process that has Numba already, so that they meet in the cache and not in imports.
    """
    import numconv.cpu.target  # noqa: F401

    end, number, wrong = time.monotonic() + seconds, 0, []  # type: ignore[var-annotated]
    cache._compile(SCALE, (1, False))  # Numba's own start
    while time.monotonic() < end or number == 0:
        os.environ["NUMCONV_CACHE_DIR"] = str(Path(base, str(number)))
        ready, go = os.pipe()
        children = [_fork(partial(_race, ready, go, first)) for first in range(processes)]
        os.close(ready)
        os.close(go)  # the last writer: all children read the end of the file at once
        statuses = [os.waitpid(child, 0)[1] for child in children]
        reader = os.waitpid(_fork(_read_all), 0)[1]
        if any(statuses) or reader:
            wrong.append(f"race {number}: statuses {statuses}, reader {reader}")
        for path in directory().iterdir():
            path.unlink()
        number += 1
    return {"tried": number, "wrong": wrong}


def _race(ready: int, go: int, first: int) -> bool:
    os.close(go)
    os.read(ready, 1)
    return all(scaled(1 + (first + i) % 3) for i in range(3))


def _read_all() -> bool:
    def refuse(*args: Any) -> str:
        raise RuntimeError("not in the cache")

    cache._compile = refuse  # type: ignore[assignment]
    return all(scaled(factor) for factor in (1, 2, 3)) and len(list(directory().iterdir())) == 3


def _fork(action: Callable[[], bool]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.alarm(60)
        status = 0 if action() else 2
    finally:
        os._exit(status)


def convolutions() -> dict[str, Any]:
    """Whole convolutions against the reference, for processes that share one cache; also a proof of what is there."""
    from .work import CASES, known

    wrong = [case.name for case, problem in zip(CASES, known(), strict=True) if not problem.is_right(False)]
    return {"tried": 1, "wrong": wrong, "entries": len(entries())}


def kernels() -> dict[str, Any]:
    """The same with two kernels alone."""
    return {"tried": 1, "wrong": [] if scaled(3) and scaled(4) else ["wrong result"], "entries": len(entries())}
