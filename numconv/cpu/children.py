"""Compiling in processes of their own, several kernels at once: Numba compiles in one thread at a time.

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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from . import cache
from .cache import Kernel, KernelError

_CODE = "from numconv.cpu.children import serve; serve()"


def compile_all(kernels: list[Kernel], processes: int) -> Iterator[Kernel]:
    """Compile kernels into the cache; yields each when it is there.

    Raises KernelError for the first one that cannot be compiled.
    """
    alone = getattr(sys, "frozen", False) or not sys.executable  # Python is a part of some other program
    if alone or processes <= 1 or len(kernels) <= 2 or cache.cache_directory() is None:
        for kernel in kernels:
            cache.address(*kernel)
            yield kernel
        return
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


def _start() -> subprocess.Popen:
    package = str(Path(__file__).parents[2])
    paths = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-c", _CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
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
