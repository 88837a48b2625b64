"""Compiling in processes of their own, several kernels at once: Numba compiles in one thread at a time.

`compile_all` does so for `warm_up`. `share` does it once in a process, for the first call that finds nothing in the
cache: other processes take the last of its kernels while this one takes the first (2.5 -> 1.7 s on two cores).

Children are told kernels line by line on their standard input, and answer each with a line; what they compile is in
the cache. They are plain subprocesses: unlike those of multiprocessing, they do not run the caller's script again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from .._threads import get_num_threads
from . import cache
from .cache import Kernel, KernelError

_CODE = "from numconv.cpu.children import serve; serve()"
WORTH = 4
"""Kernels from which a second process pays: it takes 0.5 s to start."""
MOST = 3
"""Processes at most that help a first call: its kernels take about the same time, and each process 90 MB."""
_shared = False  # in this process


def share(kernels: Iterable[Kernel]) -> None:
    """Have missing kernels compiled by several processes; what they leave, `cache.address` makes as ever."""
    global _shared
    threads = get_num_threads()
    if _shared or threads < 2 or _alone():
        return
    missing = deque(kernel for kernel in dict.fromkeys(kernels) if not cache.is_kept(kernel))
    if len(missing) < WORTH:
        return
    _shared = True
    children: list[subprocess.Popen] = []
    with suppress(OSError):  # no more processes, or no memory for one
        while len(children) < min(threads - 1, MOST, len(missing) - 2):
            children.append(_start(subprocess.DEVNULL))
    helpers = [threading.Thread(target=_pass_on, args=(child, missing), daemon=True) for child in children]
    try:
        for helper in helpers:
            helper.start()
        with suppress(IndexError, KernelError):  # a child had the last one; what fails, fails again when it is used
            while helpers:
                cache.address(*missing.popleft())
        for helper in helpers:
            helper.join()
    except RuntimeError:  # no more threads
        pass
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.communicate()


def _pass_on(child: subprocess.Popen, kernels: deque[Kernel]) -> None:
    """Have a child compile kernels from the end of a queue; this process does what the child cannot."""
    with suppress(IndexError, KernelError, ValueError):  # nothing is left; no success; the pipes were closed
        while True:
            _ask(child, kernels.pop())


def compile_all(kernels: list[Kernel], processes: int) -> Iterator[Kernel]:
    """Compile kernels into the cache; yields each when it is there.

    Raises KernelError for the first one that cannot be compiled.
    """
    if _alone() or processes <= 1 or len(kernels) <= 2:
        for kernel in kernels:
            cache.address(*kernel)
            yield kernel
        return
    from concurrent.futures import ThreadPoolExecutor, as_completed  # not any more when Python ends

    here, children = threading.local(), []

    def compiled(kernel: Kernel) -> Kernel:
        if not hasattr(here, "child"):
            here.child = _start()
            children.append(here.child)
        _ask(here.child, kernel)
        return kernel

    pool = ThreadPoolExecutor(min(processes, len(kernels)))
    try:
        for done in as_completed([pool.submit(compiled, kernel) for kernel in kernels]):
            yield done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.terminate()
        pool.shutdown()
        for child in children:
            child.communicate()


def _alone() -> bool:
    """Whether children cannot be had (Python is a part of some other program), or have no way to hand over code."""
    return getattr(sys, "frozen", False) or not sys.executable or cache.cache_directory() is None


def _start(errors: int | None = None) -> subprocess.Popen:
    package = str(Path(__file__).parents[2])
    paths = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-c", _CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )


def _ask(child: subprocess.Popen, kernel: Kernel) -> None:
    assert child.stdin is not None and child.stdout is not None
    try:
        child.stdin.write(json.dumps(kernel) + "\n")
        child.stdin.flush()
        answer = child.stdout.readline()
    except OSError as error:
        answer = str(error)
    if answer != "compiled\n":
        raise KernelError(answer.strip() or f"the process that compiled ended ({child.poll()})", [kernel])


def serve() -> None:
    """In a child: compile what is asked for. Ctrl-C, which comes to all of a terminal, is for the parent to see."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        try:
            cache.address(*json.loads(line))
            answer = "compiled"
        except KernelError as error:
            answer = " ".join(str(error).split())
        print(answer, flush=True)
