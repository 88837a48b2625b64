"""The commands ``cache info``, ``cache warm`` and ``cache clear``: compiled kernels on disk."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from .errors import CommandError


def info() -> int:
    """Print where kernels are kept, how many, and their size."""
    from ..cpu import cache

    found = cache.info()
    print(f"directory  {found['directory'] or 'none: kernels are not kept'}")
    print(f"kernels    {found['entries']}")
    print(f"bytes      {found['bytes']}")
    return 0


def warm(dtypes: Sequence[str], ndims: Sequence[int]) -> int:
    """Compile what usual problems need, several kernels at once."""
    from .. import warm_up
    from ..cpu import cache

    directory, start = _directory(), perf_counter()
    try:
        compiled = warm_up(dtypes, ndims)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CommandError(str(error)) from error
    kept = cache.info()["entries"]
    print(f"{compiled} kernels compiled in {perf_counter() - start:.1f} s; {kept} in {directory}")
    return 0


def clear() -> int:
    """Remove all kernels, those of other versions too."""
    from ..cpu import cache

    directory = _directory()
    print(f"{cache.clear()} kernels removed from {directory}")
    left = cache.info()["entries"]
    if left:
        raise CommandError(f"{left} kernels in {directory} cannot be removed")
    return 0


def _directory() -> str:
    """Where kernels are kept, or why they are not, in one line."""
    import warnings

    from ..cpu import cache

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        directory = cache.cache_directory()
    if directory is None:
        reason = str(caught[0].message) if caught else "kernels are not kept: NUMCONV_CACHE is 0, or there is no home"
        raise CommandError(reason)
    return str(directory)
