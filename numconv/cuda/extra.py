"""What the GPU path needs beside the package: whether it is there, and what to say where it is not.

Nothing is imported before it is asked for. Numba's simulator (``NUMBA_ENABLE_CUDASIM=1``) stands in for a GPU, and
needs none of it. The environment variable ``NUMCONV_CUDA_UNTESTED`` lets any version of numba-cuda be tried.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

INSTALL = 'pip install "numconv[cuda]"'
OLDEST = {"numba-cuda": (0, 30, 4)}
"""numba-cuda before 0.30.4 fails at its import beside the Numba that this package needs, and pip does not know it."""
TESTED = (0, 31)
"""numba-cuda from which on nothing has been tried."""


class Unavailable(RuntimeError):
    """No GPU can be used; the message says what to install."""


def simulated() -> bool:
    """Whether kernels run in Numba's simulator, on the CPU, in Python."""
    config = getattr(sys.modules.get("numba"), "config", None)
    if config is not None:
        return bool(config.ENABLE_CUDASIM)
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("0", "")


@lru_cache(maxsize=1)
def trouble() -> str:
    """Why there is no GPU to compute on; "" if there is one."""
    if simulated():
        return ""
    return _missing() or _broken() or _no_device()


def require(name: str) -> None:
    """Raise `Unavailable` in the name of a function where there is no GPU to compute on."""
    if reason := trouble():
        raise Unavailable(f"{name}: no GPU can be used: {reason}")


def _missing() -> str:
    """What is not installed, or in a version that does not work."""
    for package, oldest in OLDEST.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            return f"{package} is not installed; {INSTALL}, and an NVIDIA driver for CUDA 13 (580 or newer)"
        if os.environ.get("NUMCONV_CUDA_UNTESTED"):
            continue
        if numbers(found) < oldest:
            wanted = ".".join(map(str, oldest))
            return f"{package} {found} is installed, but {wanted} or newer is needed; {INSTALL}"
        if package == "numba-cuda" and numbers(found) >= TESTED:
            return f"numba-cuda {found} is installed, with which numconv has not been tried; {INSTALL}"
    return ""


def numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version."""
    found = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    return tuple(found)


def _broken() -> str:
    """Why what is installed does not load."""
    try:
        from numba import cuda
    except Exception as error:  # whatever a pair of versions that do not fit may raise
        return f"numba-cuda does not load beside this Numba ({type(error).__name__}: {error}); {INSTALL}"
    return "" if "numba_cuda" in cuda.__file__ else f"Numba's own CUDA target is loaded, not numba-cuda; {INSTALL}"


def _no_device() -> str:
    """Why there is no device."""
    from numba import cuda

    try:
        if cuda.is_available() and len(cuda.gpus):
            return ""
    except Exception as error:  # a driver may fail in many ways
        return f"the NVIDIA driver does not work ({type(error).__name__}: {error}); version 580 or newer is needed"
    return "no NVIDIA GPU and driver were found; a driver for CUDA 13 (580 or newer) is needed"
