"""What happens around a fork: locks are held across it, so that no child waits for a thread that it does not have.

Python runs the functions that were registered when the fork began. A fork that waits for an import that another thread
has begun has to run those too which that import registers: so Python knows one function of each kind, and these know
all others.

Last registered runs first: `logging`, which holds a lock of its own across forks, comes before. Threads that this one
waits for import Numba, and need that lock.
"""

from __future__ import annotations

import logging  # noqa: F401
import os
import threading
from collections.abc import Callable
from typing import NamedTuple


class _Hook(NamedTuple):
    before: Callable[[], object]
    after_in_parent: Callable[[], object]
    after_in_child: Callable[[], object]


def _nothing() -> None:
    pass


def around_forks(
    before: Callable[[], object] = _nothing,
    after_in_parent: Callable[[], object] = _nothing,
    after_in_child: Callable[[], object] = _nothing,
) -> None:
    """Have functions run as `os.register_at_fork` does, where there are forks: the last `before` first."""
    _hooks.append(_Hook(before, after_in_parent, after_in_child))


def hold_across_forks(lock: threading.RLock) -> None:
    """Have a lock held by whoever forks."""
    around_forks(lock.acquire, lock.release, lock.release)


def _before() -> None:
    importing.acquire()
    _chosen[:] = _hooks
    for hook in reversed(_chosen):
        hook.before()


def _after_in_parent() -> None:
    for hook in _chosen:
        hook.after_in_parent()
    importing.release()


def _after_in_child() -> None:
    for hook in _chosen:
        hook.after_in_child()
    importing.release()


_hooks: list[_Hook] = []
_chosen: list[_Hook] = []
importing = threading.RLock()
"""Held while a public name is imported at its first use."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
