"""Compiled kernels by name: their addresses in this process, their object code across processes.

Numba's own cache is not used: it does not see edits in other files, and four processes that filled it at once left
wrong code under right keys in 350 of 1000 trials. Here a key holds all that the code depends on, and a warm process
never imports Numba: 3 ms to an address instead of 0.6 s.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Iterable
from functools import lru_cache, partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import llvmlite

from .._forks import around_forks
from . import importing, native, store
from .machine import machine
from .memory import ask_for
from .store import cache_directory, clear, info
from .undisturbed import undisturbed

__all__ = ["Kernel", "KernelError", "Parameter", "address", "cache_directory", "clear", "drop", "emit_assembly", "info"]
__all__ += ["is_kept", "refuse"]

Parameter = int | str | bool
Kernel = tuple[Any, ...]
"""(factory, *parameters)"""

# What changes the code that Numba makes without being seen in the source.
_NUMBA_SETTINGS = (
    "NUMBA_OPT",
    "NUMBA_LOOP_VECTORIZE",
    "NUMBA_SLP_VECTORIZE",
    "NUMBA_BOUNDSCHECK",
    "NUMBA_DEBUGINFO",
    "NUMBA_DEBUGINFO_DEFAULT",
)

# What makes code besides the kernels' own modules; what plans and schedules decide comes to them as parameters.
_BESIDE = ("native.py", "records.py", "target.py")

COMPILE_BYTES, LOAD_BYTES = 96 << 20, 16 << 20
"""Address space asked for before LLVM is: kernels took up to 32 MiB (the first; others 8) and 4."""

_ADDRESSES: dict[str, int] = {}
_REFUSED: set[str] = set()
_lock = threading.RLock()  # one thread compiles; held across a fork, together with Numba's


class KernelError(RuntimeError):
    """Kernels that cannot be compiled or loaded, or that compute what they should not.

    `known`: as was known before; `together`: all that ran when one of them, or one of these, was wrong.
    """

    def __init__(
        self, message: str, kernels: Iterable[Kernel], known: bool = False, together: frozenset[Kernel] = frozenset()
    ) -> None:
        super().__init__(message)
        self.kernels, self.known, self.together = tuple(kernels), known, together


def address(factory: str, *params: Parameter) -> int:
    """The address of the kernel that a factory makes of parameters; compiled where no process did that before.

    `factory` is "module.function" below `numconv.cpu.kernels` (or "package.module:function" anywhere). It returns a
    Python function of int64 arguments that returns nothing and closes over nothing but ints, strings and bools.
    """
    kernel = repr((factory, *params))  # not the tuple: 1 == True
    found = _ADDRESSES.get(kernel)
    return undisturbed(partial(_address, kernel, factory, params)) if found is None else found


def _address(kernel: str, factory: str, params: tuple[Parameter, ...]) -> int:
    with _lock:
        found = _ADDRESSES.get(kernel)
        if found is None:
            found = _ADDRESSES[kernel] = _load(factory, params)
    return found


def _load(factory: str, params: tuple[Parameter, ...]) -> int:
    kernel = (factory, *params)
    if repr(kernel) in _REFUSED:
        raise KernelError("failed before", [kernel], known=True)
    try:
        try:
            return _loaded(factory, params)
        except native.NotObjectCode:
            store.remove(_file_name(factory), _key(factory, params))
            return _loaded(factory, params)
    except MemoryError:
        raise
    except Exception as error:  # whatever Numba and LLVM may think of
        raise KernelError(f"cannot be made ({type(error).__name__}: {error})", [kernel]) from error


def _loaded(factory: str, params: tuple[Parameter, ...]) -> int:
    code = _object_code(factory, params)
    ask_for(LOAD_BYTES, f"to load {factory}{params}")
    return native.load(code)


def refuse(kernels: Iterable[Kernel]) -> None:
    """Never load these again in this process."""
    with _lock:
        _REFUSED.update(map(repr, kernels))
        for kernel in kernels:
            _ADDRESSES.pop(repr(kernel), None)


def is_kept(kernel: Kernel) -> bool:
    """Whether the object code of a kernel is on disk."""
    factory, *params = kernel
    return store.read(_file_name(factory), _key(factory, tuple(params))) is not None


def drop(factory: str, *params: Parameter) -> None:
    """Forget a kernel here and on disk, so that the next `address` compiles it anew."""
    with _lock:
        _ADDRESSES.pop(repr((factory, *params)), None)
        store.remove(_file_name(factory), _key(factory, params))


def emit_assembly(factory: str, *params: Parameter, cpu: str | None = None, features: str | None = None) -> str:
    """Assembly of a kernel for this process's CPU or another (Numba's passes still see this one)."""
    target = machine()
    with _lock:
        ir = _compile(factory, params)
    return native.emit_assembly(ir, cpu or target.name, target.features if cpu is None else features or "")


def _object_code(factory: str, params: tuple[Parameter, ...]) -> bytes:
    name, key = _file_name(factory), _key(factory, params)
    code = store.read(name, key)
    if code is None:
        code = native.emit_object(_compile(factory, params), machine().name, machine().features)
        store.write(name, key, code)
    return code


def _compile(factory: str, params: tuple[Parameter, ...]) -> str:
    """Optimised IR of a kernel. Imports Numba (0.3 s; SciPy, where installed, comes with it: 0.2 s more)."""
    target = importing.target()
    ask_for(COMPILE_BYTES, f"to compile {factory}{params}")
    module, function = _split(factory)
    return target.kernel_ir(getattr(importlib.import_module(module), function)(*params))


def _split(factory: str) -> tuple[str, str]:
    module, colon, function = factory.rpartition(":")
    if colon:
        return module, function
    module, _, function = factory.rpartition(".")
    return f"{__package__}.kernels.{module}", function


def _file_name(factory: str) -> str:
    return factory.replace(":", ".")


def _key(factory: str, params: tuple[Parameter, ...]) -> str:
    own = _source(find_spec(_split(factory)[0])) if ":" in factory else b""
    settings = [os.environ.get(name) for name in _NUMBA_SETTINGS]
    return repr((factory, params, _environment(), sha256(own).hexdigest(), settings))


@lru_cache(maxsize=1)
def _environment() -> tuple[str, ...]:
    """What all kernels of this process depend on: the sources they are made of, Numba, LLVM and the CPU."""
    here = Path(__file__).parent
    sources = sha256()
    for path in sorted([*here.glob("kernels/*.py"), *(here / name for name in _BESIDE)]):
        sources.update(path.name.encode() + b"\0" + path.read_bytes())
    return sources.hexdigest(), _numba_version(), llvmlite.__version__, machine().name, machine().features


def _numba_version() -> str:
    """Numba's version without importing Numba. Reading its version file takes 0.2 ms, importlib.metadata 11."""
    source = _source(find_spec("numba"), "_version.py")
    if source:
        return sha256(source).hexdigest()
    if "numba" in sys.modules:  # whose files this user may not read any more
        return str(sys.modules["numba"].__version__)
    from importlib.metadata import version

    return version("numba")


def _source(spec: Any, name: str | None = None) -> bytes:
    """Bytes of the file of a module, or of one beside it; empty where there is none."""
    try:
        path = Path(spec.origin)
        return (path if name is None else path.with_name(name)).read_bytes()
    except (AttributeError, TypeError, OSError):
        return b""


def _hold() -> None:
    """Before a fork: nobody compiles, or the child would wait for ever for a thread that it does not have."""
    _lock.acquire()
    importing.settle()
    numba_lock = getattr(sys.modules.get("numba.core.compiler_lock"), "global_compiler_lock", None)
    _held.append(numba_lock)
    if numba_lock is not None:
        numba_lock.acquire()


def _release() -> None:
    numba_lock = _held.pop()
    if numba_lock is not None:
        numba_lock.release()
    _lock.release()


_held: list[Any] = []
around_forks(_hold, _release, _release)
