"""Numba's import, whole whatever Ctrl-C does.

Half of Numba cannot be imported again in the same process (AttributeError, "partially initialized module"): one Ctrl-C
during 0.3 s of a first call, and all later calls would be left to the reference. So a thread of its own imports it, to
the end, and whoever wants it waits.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from .memory import ask_for
from .undisturbed import Begun, begun

_NAME = f"{__package__}.target"
IMPORT_BYTES = 320 << 20
"""Address space asked for before Numba is imported: it took 209 MiB, and half of it could not be imported again."""


def target() -> ModuleType:
    """The module `target`, which needs Numba."""
    whole()
    return importlib.import_module(_NAME)


def whole() -> None:
    """Import Numba, if nobody has."""
    global _begun
    if _begun is None and "numba" not in sys.modules:
        ask_for(IMPORT_BYTES, "to import Numba")
        _begun = begun(_import)
    if _begun is not None:
        try:
            _begun.result()
        except Exception:  # not that of Ctrl-C, which leaves it going on
            _begun = None
            raise


def settle() -> None:
    """Before a fork: a child has not the thread that imports."""
    if _begun is not None:
        _begun.settle()


def _import() -> ModuleType:
    """With what the target's contexts import when they are first used."""
    module = importlib.import_module(_NAME)
    module.Kernel.targetdescr.typing_context.refresh()
    module.Kernel.targetdescr.target_context.refresh()
    return module


_begun: Begun[ModuleType] | None = None
