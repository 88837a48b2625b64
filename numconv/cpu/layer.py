"""Whether Numba's threading layer may run our parallel function: asked without starting anything.

Compiling a parallel function starts the layer for good, and then OpenMP kills forked children that use Numba. So the
layer is predicted first; only OpenMP is ever started, and not before the first call that is worth it. Workqueue aborts
the process when two threads use it.

TBB, which wakes threads in 3 us, is not used either: a process that forks once after other threads than its main one
have been inside TBB does not end. Numba shuts TBB down before a fork ("Unable to join threads"), a task of Numba's own
is lost with that, and at exit Numba waits for it for ever (unload_tbb, task_group::wait). Numba 0.68.1 with TBB 2023.2
alone: 16 of 16 processes that forked, and none of 4 that did not. It is no help to hold forks off until no thread is
inside: 8 of those 16 did.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable

from .._forks import around_forks
from . import importing
from .memory import ask_for
from .undisturbed import Begun, undisturbed

Parallel = Callable[[int, int, int], None]

COMPILE_BYTES = 192 << 20
"""Address space asked for before Numba compiles the parallel function: that took 136 MiB."""
STACK_BYTES = 16 << 20
"""The same for each of OpenMP's threads: where the system gives none, OpenMP ends the process."""


class _Busy(Exception):
    """Not now: ask again with the next call."""


_BACKENDS = {"omp": "omppool", "tbb": "tbbpool"}
_USED = "omp"
_UNKNOWN = object()


def parallel() -> Parallel | None:
    """The parallel function, or None: the pool is to do it. Numba is not imported for it: it gains a call 30 us."""
    if _found is _UNKNOWN:
        if "numba" not in sys.modules:
            return None
        undisturbed(_find_once)
    return None if _found is _UNKNOWN else _found  # type: ignore[return-value]


def has_room(workers: int) -> bool:
    """Whether OpenMP can have so many threads for this one, or has them from the call before."""
    if workers > getattr(_here, "workers", 0):
        try:
            ask_for(workers * STACK_BYTES, "for OpenMP")
        except MemoryError:
            return False
    _here.workers = workers  # of a larger team before, OpenMP ends the others
    return True


def name() -> str | None:
    """The threading layer that Numba has started, if any."""
    return getattr(sys.modules.get("numba.np.ufunc.parallel"), "_threading_layer", None)


def _find_once() -> None:
    with _lock:
        if _found is _UNKNOWN:
            _find()


def _find() -> None:
    global _found
    try:
        importing.whole()
        wanted = None if _inherited else _predict()
        if wanted == _USED:
            ask_for(COMPILE_BYTES + sys.modules["numba"].config.NUMBA_NUM_THREADS * STACK_BYTES, "for Numba's threads")
        if wanted == _USED and name() is None:
            _start()
        _found = _compile() if wanted == _USED else None
    except (_Busy, MemoryError):
        pass
    except Exception:  # a layer that cannot be loaded, or Numba without JIT: the pool needs neither
        _found = None


def _start() -> None:
    """In a thread of its own: Numba sets the OpenMP threads of whoever starts the layer, and so PyTorch's.

    Not while this thread compiles (a finaliser may have called): the other one would wait for it for ever.
    """
    from numba.core.compiler_lock import global_compiler_lock

    if global_compiler_lock.is_locked():
        raise _Busy
    Begun(_compile).result()


def _compile() -> Parallel | None:
    """The parallel function; multiprocessing keeps the freedom to choose a start method, which Numba takes from it."""
    import multiprocessing

    method = multiprocessing.get_start_method(allow_none=True)
    try:
        from .kernels.parallel import parallel as compiled
    finally:
        if method is None:
            multiprocessing.set_start_method(None, force=True)
    return compiled if name() == _USED else None


def _predict() -> str | None:
    """The layer that Numba has or would start, after numba.np.ufunc.parallel._launch_threads."""
    from numba.core import config

    if config.DISABLE_JIT:
        return None
    if name() is not None:
        return None if _is_forked() else name()
    wish = str(config.THREADING_LAYER).lower()
    linux = sys.platform.startswith("linux")
    order = {
        "default": config.THREADING_LAYER_PRIORITY,
        "threadsafe": ["tbb", "omp"],
        "safe": ["tbb"],
        "forksafe": ["tbb", "workqueue"] if linux else ["tbb", "omp", "workqueue"],
    }.get(wish, [wish])
    return next((layer for layer in order if _loads(layer)), None)


def _loads(layer: str) -> bool:
    """Whether the library behind a layer can be loaded; that starts no thread."""
    if layer not in _BACKENDS:
        return True
    try:
        if layer == "tbb":
            from numba.np.ufunc.parallel import _check_tbb_version_compatible

            _check_tbb_version_compatible()
        importlib.import_module(f"numba.np.ufunc.{_BACKENDS[layer]}")
    except ImportError:
        return False
    return True


def _is_forked() -> bool:
    """Whether a layer that runs already may be that of the parent: numconv was imported after the fork."""
    import multiprocessing

    return multiprocessing.parent_process() is not None


def _in_child() -> None:
    """After a fork: the layer of the parent is there but its threads are not. A layer never started does no harm."""
    global _found, _inherited
    _inherited = _inherited or name() is not None
    _found = None if _inherited else _UNKNOWN
    _lock.release()


_here = threading.local()
_found: object = _UNKNOWN
_inherited = False
_lock = threading.RLock()  # held across a fork: a child cannot import what another thread of its parent half imported
around_forks(_lock.acquire, _lock.release, _in_child)
