"""How many threads a call may use."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

_MOST = 1024
_everywhere: int | None = None
_here: ContextVar[int | None] = ContextVar("numconv_num_threads", default=None)


def set_num_threads(n: int) -> None:
    """Set the number of threads that calls use, in the whole process.

    Parameters
    ----------
    n : int
        From 1 to 1024. More than the default is allowed; it helps where the default is wrong and slows down elsewhere.

    Raises
    ------
    TypeError
        `n` is not an integer.
    ValueError
        `n` is not from 1 to 1024.

    See Also
    --------
    num_threads : for a block of code, in the current thread only.

    Notes
    -----
    The default is the least of: the CPUs this process may run on, the CPU quota of its control group (rounded up),
    ``OMP_NUM_THREADS`` and ``NUMBA_NUM_THREADS``. Calls that run at the same time in several threads share the threads
    evenly. Numba's OpenMP layer runs at most ``NUMBA_NUM_THREADS``. The result never depends on the number.

    Examples
    --------
    >>> import numconv
    >>> before = numconv.get_num_threads()
    >>> numconv.set_num_threads(1)
    >>> numconv.get_num_threads()
    1
    >>> numconv.set_num_threads(before)
    """
    global _everywhere
    _everywhere = _checked("set_num_threads", n)


def get_num_threads() -> int:
    """Return the number of threads that a call from here uses.

    Returns
    -------
    int
        That of the innermost `num_threads` block, else that of `set_num_threads`, else the default.

    Examples
    --------
    >>> import numconv
    >>> numconv.get_num_threads() >= 1
    True
    """
    return _here.get() or _everywhere or _default()


def num_threads(n: int) -> AbstractContextManager[None]:
    """Set the number of threads for a block of code.

    It holds for the calls of the current thread (or asyncio task); other threads keep theirs.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Raises
    ------
    TypeError
        `n` is not an integer.
    ValueError
        `n` is not from 1 to 1024.

    Examples
    --------
    >>> import numconv
    >>> with numconv.num_threads(2):
    ...     numconv.get_num_threads()
    2
    """
    return _block(_checked("num_threads", n))


@contextmanager
def _block(n: int) -> Iterator[None]:
    token = _here.set(n)
    try:
        yield
    finally:
        _here.reset(token)


def _checked(function: str, n: int) -> int:
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"{function}: n must be an integer, got {n!r} ({type(n).__name__})")
    if not 1 <= operator.index(n) <= _MOST:
        raise ValueError(f"{function}: n must be from 1 to {_MOST}, got {n}")
    return operator.index(n)


@lru_cache(maxsize=1)
def _default() -> int:
    counts = [_affinity(), _quota(), _variable("OMP_NUM_THREADS"), _variable("NUMBA_NUM_THREADS")]
    return max(1, min(count for count in counts if count is not None))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        with suppress(OSError):
            return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _variable(name: str) -> int | None:
    """A count in the environment; OpenMP's may be a list, one for each level of nesting."""
    value = os.environ.get(name, "").split(",")[0].strip()
    return int(value) if value.isdecimal() and int(value) > 0 else None


def _quota(root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")) -> int | None:
    """CPUs that the control groups (version 1 and 2) of this process may use, rounded up: the least of all levels.

    Inside a container the path may be that of the host, and only the root is there.
    """
    found = []
    with suppress(OSError, ValueError):
        for line in groups.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "" or "cpu" in controllers.split(","):
                base = root / controllers if controllers else root
                group = base / path.strip("/")
                found += [_group_quota(level) for level in (group, *group.parents) if level.is_relative_to(base)]
    return min((count for count in found if count is not None), default=None)


def _group_quota(group: Path) -> int | None:
    with suppress(OSError, ValueError):
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        if int(quota) > 0:
            return -(-int(quota) // int(period))
    return None
