"""Work that Ctrl-C may not break: a thread of its own does it to the end, while whoever wants it waits.

Between two steps of llvmlite, what LLVM has freed is still to be marked so: KeyboardInterrupt there, and it is freed
again ("double free detected", SIGABRT: 1 of 40 interrupted compilations).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Begun(Generic[T]):
    """A function begun in a thread of its own (not one of `concurrent.futures`, whose import fails once Python ends).

    Raises RuntimeError where the system gives no more threads.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._function, self._done = function, threading.Event()
        self._found: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="numconv", daemon=False)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found.append(self._function())
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()

    def result(self) -> T:
        """What it returns, its thread ended: one that still ends is one too many for the caller's `os.fork`."""
        self._done.wait()  # `join` alone, interrupted, takes the thread for ended (Python 3.11)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found[0]

    def settle(self) -> None:
        """Wait until it has ended, whatever came of it."""
        self._done.wait()


def undisturbed(function: Callable[[], T]) -> T:
    """What a function returns; if Ctrl-C comes before, it goes on alone.

    Only the main thread sees Ctrl-C. While it compiles something of its own (a finaliser may have called), the other
    one would wait for Numba's lock for ever.
    """
    lock = getattr(sys.modules.get("numba.core.compiler_lock"), "global_compiler_lock", None)
    if threading.current_thread() is not threading.main_thread() or (lock is not None and lock.is_locked()):
        return function()
    done = begun(function)
    return function() if done is None else done.result()


def begun(function: Callable[[], T]) -> Begun[T] | None:
    """A function begun; nothing where the system gives no more threads."""
    try:
        return Begun(function)
    except RuntimeError:
        return None
