"""Threads of our own that run workers through ctypes: where Numba's threading layer is not there or not to be trusted.

That is before Numba is loaded, under its layers workqueue and TBB (see `layer`), in a forked child (which OpenMP kills)
and in long calls of the main thread (which looks at the keyboard while the others work on). A call loses 15 to 45 us
to waking threads, under OpenMP 3 to 8 where the cores are idle; where other processes have them, OpenMP loses up to
8 ms at its barrier and the pool nothing: a worker that comes too late is not waited for.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable
from queue import SimpleQueue

from .._forks import around_forks
from .records import CALL_SLOT

_LAST = CALL_SLOT["last"]
_here = threading.local()


class _Share:
    """One worker of a call, run by the thread of the pool that claims it first, or by none if the caller does.

    Whoever finds himself in `claim` has it; unlike taking a lock, asking again gives the same answer, and Ctrl-C may
    come between any two steps of the caller.
    """

    __slots__ = ("call_address", "claim", "ended", "over", "slot", "work")

    def __init__(self, work: Callable[[int, int], None], call_address: int, slot: int):
        self.work, self.call_address, self.slot = work, call_address, slot
        self.claim: dict[str, str] = {}
        self.ended, self.over = False, threading.Lock()
        self.over.acquire()

    def run(self) -> None:
        """In a thread of the pool."""
        if self.claim.setdefault("by", "pool") == "pool":
            try:
                self.work(self.call_address, self.slot)
            finally:
                self.ended = True
                self.over.release()

    def settle(self) -> None:
        """In the caller: wait if it was begun, else see to it that it never is."""
        if self.claim.setdefault("by", "caller") == "pool" and not self.ended:
            self.over.acquire()


def run(
    work: Callable[[int, int], None], call: array[int], call_address: int, workers: int, own: Callable[[], None]
) -> None:
    """Run ``work(call_address, slot)`` for each slot but 0, and ``own()`` for that.

    On an exception nobody draws jobs or writes any more.
    """
    shares = [_Share(work, call_address, slot) for slot in range(1, workers)]
    try:
        _grow(workers - 1)
        for share in shares:
            _tasks.put(share)
        own()
    except BaseException:
        call[_LAST] = 0
        raise
    finally:
        try:
            _settle(shares)
        finally:
            _settle(shares)  # Ctrl-C, 3000 times a second, found the gap in one alone once in 250 calls


def _settle(shares: list[_Share]) -> None:
    """Outlast Ctrl-C, pressed again while workers are waited for: memory may not go before the last of them has."""
    raised: BaseException | None = None
    while True:
        try:
            for share in shares:
                share.settle()
            break
        except BaseException as error:
            raised = error
    if raised is not None:
        raise raised


def inside() -> bool:
    """Whether this thread is one of the pool."""
    return getattr(_here, "serves", False)


def _grow(threads: int) -> None:
    """Have that many threads. If the system gives no more, the caller and those there are do the work."""
    global _size
    if _size < threads:
        with _lock:
            while _size < threads:
                try:
                    threading.Thread(target=_serve, args=(_tasks,), name="numconv", daemon=True).start()
                except RuntimeError:
                    return
                _size += 1


def _serve(tasks: SimpleQueue[_Share]) -> None:
    _here.serves = True
    while True:
        tasks.get().run()


def _reset() -> None:
    """At first, and in a forked child, which has the locks of its parent but not the threads."""
    global _tasks, _size, _lock
    _tasks, _size, _lock = SimpleQueue(), 0, threading.Lock()
    _here.__dict__.clear()


_tasks: SimpleQueue[_Share]
_size: int
_lock: threading.Lock
_reset()
around_forks(after_in_child=_reset)
