"""Steps in a process of their own: a kernel that reads where it must not, or never ends, takes nothing else with it.

After such an error a process can do no more on its GPU, so it is replaced by a new one, which costs some seconds.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from multiprocessing import get_context
from time import monotonic
from typing import Any

LEAST = 20.0
"""Seconds that the first answer of a new process may take: it loads libraries."""


class Apart:
    """A process that runs functions, "package.module.function", one at a time; replaced when it fails."""

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Any = None

    def call(self, function: str, *arguments: Any, seconds: float) -> Any:
        """What a function returns."""
        return (list(self.parts(function, *arguments, seconds=seconds)) or [None])[-1]

    def parts(self, function: str, *arguments: Any, seconds: float) -> Iterator[Any]:
        """What a generator yields as it comes; RuntimeError where the process ended or had to be stopped."""
        end = monotonic() + seconds + (LEAST if self._process is None else 0)
        self._begin()
        self._pipe.send((function, arguments))
        while True:
            if not self._pipe.poll(max(end - monotonic(), 0)):
                self.close()
                raise RuntimeError(f"stopped: no answer in {seconds:.0f} s")
            try:
                kind, value = self._pipe.recv()
            except (EOFError, OSError):  # a connection that is reset, where it died with something unread
                self._process.join(10)
                code = self._process.exitcode
                self.close()
                raise RuntimeError(f"the process ended with status {code}") from None
            if kind == "part":
                yield value
            elif kind == "spoiled":
                self.close()
                raise RuntimeError(f"the GPU's context is lost: {value}")
            elif kind == "failed":
                raise RuntimeError(value)
            else:
                return

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join(10)
            self._pipe.close()
            self._process = self._pipe = None

    def _begin(self) -> None:
        if self._process is None or not self._process.is_alive():
            context = get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()


def _serve(pipe: Any) -> None:
    while True:
        try:
            name, arguments = pipe.recv()
        except EOFError:
            return
        try:
            found = _function(name)(*arguments)
            for part in found if isinstance(found, Iterator) else [found]:
                pipe.send(("part", part))
                if reason := lost():
                    return pipe.send(("spoiled", reason))
            pipe.send(("done", None))
        except Exception as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            pipe.send(("spoiled", reason) if (reason := lost()) else ("failed", text))


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.rpartition(".")
    return getattr(import_module(module), function)


def lost() -> str:
    """Why nothing more can be done on the GPU, if so."""
    try:
        from numba import cuda

        cuda.synchronize()
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return ""
