"""The files of the kernel cache: one per key, checksummed, in a private directory.

Every failure is a miss. A file is written under another name and then renamed, so that nobody reads half of one. The
checksum covers the key: an entry under a wrong name is none. It guards against accidents; against other people the
permissions of the directory do: who can write there can run code here.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

_MAGIC = b"numconv1"
_SUFFIX, _UNFINISHED = ".kernel", ".tmp"
_warned = False


def cache_directory() -> Path | None:
    """Where compiled kernels are kept, or None: ``NUMCONV_CACHE=0``, no home, or open to writing by others."""
    path = None if os.environ.get("NUMCONV_CACHE") == "0" else _location()
    if path is None or not hasattr(os, "geteuid"):
        return path
    try:
        status = path.stat()
    except OSError:
        return path  # the first write makes it
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        _warn(
            f"numconv keeps no compiled kernels in {path}: it must belong to you, writable by nobody else (chmod 700)"
        )
        return None
    return path


def read(name: str, key: str) -> bytes | None:
    """The object code kept under a key; an entry that is not whole is removed."""
    directory = cache_directory()
    if directory is None:
        return None
    path = _path(directory, name, key)
    try:
        content = path.read_bytes()
    except OSError:
        return None
    code = content[len(_MAGIC) + 32 :]
    if content == _MAGIC + _checksum(key, code) + code:
        return code
    remove(name, key)
    return None


def write(name: str, key: str, code: bytes) -> None:
    """Keep object code. A warning where that fails, but for a home that cannot be written to."""
    directory = cache_directory()
    if directory is None:
        return
    temporary = directory / f"{os.urandom(8).hex()}{_UNFINISHED}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        if "NUMCONV_CACHE_DIR" in os.environ:
            _warn(f"numconv cannot keep compiled kernels in {directory}: {error}")
        return
    try:
        temporary.write_bytes(_MAGIC + _checksum(key, code) + code)
        os.replace(temporary, _path(directory, name, key))
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        _warn(f"numconv cannot keep compiled kernels in {directory}: {error}")


def remove(name: str, key: str) -> None:
    """Forget one entry."""
    directory = cache_directory()
    if directory is not None:
        with suppress(OSError):
            _path(directory, name, key).unlink()


def clear() -> int:
    """Remove all entries, also those of other versions, and what killed processes left; how many entries went."""
    removed = 0
    for path in [*_entries(), *_entries(_UNFINISHED)]:
        with suppress(OSError):
            path.unlink()
            removed += path.suffix == _SUFFIX
    return removed


def info() -> dict[str, str | int | None]:
    """Directory, number of entries and their bytes."""
    sizes = []
    for path in _entries():
        with suppress(OSError):
            sizes.append(path.stat().st_size)
    directory = cache_directory()
    return {"directory": None if directory is None else str(directory), "entries": len(sizes), "bytes": sum(sizes)}


def _location() -> Path | None:
    """``NUMCONV_CACHE_DIR``, or the place where this system's users keep caches."""
    given = os.environ.get("NUMCONV_CACHE_DIR")
    if given:
        return Path(given).absolute()
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "numconv" if base.is_absolute() else None


def _path(directory: Path, name: str, key: str) -> Path:
    return directory / f"{name}-{sha256(key.encode()).hexdigest()}{_SUFFIX}"


def _checksum(key: str, code: bytes) -> bytes:
    return sha256(key.encode() + b"\0" + code).digest()


def _entries(suffix: str = _SUFFIX) -> Iterator[Path]:
    directory = cache_directory()
    return iter(()) if directory is None else directory.glob(f"*{suffix}")


def _warn(message: str) -> None:
    """Once per process: whatever the reason, the work goes on without a cache."""
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(message, RuntimeWarning, stacklevel=2)
