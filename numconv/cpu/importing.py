"""What Ctrl-C must not cut in two: Numba's import, and compiling.

Half of Numba cannot be imported again in the same process (AttributeError, "partially initialized module"): one Ctrl-C
during 0.3 s of a first call, and all later calls would be left to the reference. LLVM's objects, half made or half
given away, end the process (1 of 200 interrupted first calls). So threads of their own do both, to the end, where
Python raises nothing of the kind, and whoever wants the result waits.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import ModuleType
from typing import Any, TypeVar

from .memory import ask_for

_NAME = f"{__package__}.target"
IMPORT_BYTES = 320 << 20
"""Address space asked for before Numba is imported: it took 209 MiB, and half of it could not be imported again."""

T = TypeVar("T")


def target() -> ModuleType:
    """The module `target`, which needs Numba."""
    whole()
    return importlib.import_module(_NAME)


def whole() -> None:
    """Import Numba, if nobody has."""
    global _begun
    if _begun is None and "numba" not in sys.modules:
        ask_for(IMPORT_BYTES, "to import Numba")
        _begun = _begin(_import)
    if _begun is not None:
        try:
            _begun.result()
        except Exception:  # not that of Ctrl-C, which leaves it going on
            _begun = None
            raise


def settle() -> None:
    """Before a fork: a child has not the thread that imports."""
    if _begun is not None:
        wait([_begun])


def apart(function: Callable[..., T], *arguments: Any) -> T:
    """The result of a call, which no signal handler interrupts; those come to the main thread, and stop the waiting.

    Not while somebody compiles: that may be this thread, called by a finaliser, and the other would wait for ever.
    """
    lock = getattr(sys.modules.get("numba.core.compiler_lock"), "global_compiler_lock", None)
    if threading.current_thread() is not threading.main_thread() or (lock is not None and lock.is_locked()):
        return function(*arguments)
    begun = _begin(function, *arguments)
    return function(*arguments) if begun is None else begun.result()


def _begin(function: Callable[..., T], *arguments: Any) -> Future[T] | None:
    """Nothing where the system gives no more threads."""
    pool = ThreadPoolExecutor(1, "numconv")
    try:
        return pool.submit(function, *arguments)
    except RuntimeError:
        return None
    finally:
        pool.shutdown(wait=False)


def _import() -> ModuleType:
    """With what the target's contexts import when they are first used."""
    module = importlib.import_module(_NAME)
    module.Kernel.targetdescr.typing_context.refresh()
    module.Kernel.targetdescr.target_context.refresh()
    return module


_begun: Future[ModuleType] | None = None
