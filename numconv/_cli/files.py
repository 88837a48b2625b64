"""Reading images, sound and arrays; checking that a result can be written."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import CommandError, extra

if TYPE_CHECKING:
    from PIL.Image import Image


@contextmanager
def _explained(path: Path, verb: str) -> Iterator[None]:
    """Turn what the operating system and the file formats complain about into one line."""
    try:
        yield
    except OSError as error:  # pillow's UnidentifiedImageError is one
        raise CommandError(f"cannot {verb} {path}: {(error.strerror or str(error)).lower()}") from error
    except (EOFError, SyntaxError, ValueError, wave.Error) as error:
        raise CommandError(f"cannot {verb} {path}: {error}") from error


def _upright(picture: Image) -> Image:
    """Turned as the camera was held, in grey or red, green and blue; transparency is dropped."""
    picture = extra("PIL.ImageOps", "reading images").exif_transpose(picture)
    if picture.mode in ("L", "RGB", "I", "F") or picture.mode.startswith("I;16"):
        return picture
    return picture.convert("L" if picture.mode in ("1", "LA", "La") else "RGB")


def read_image(path: Path) -> np.ndarray:
    """Any picture that Pillow reads: (H, W) or (H, W, 3), in the type of the file."""
    image = extra("PIL.Image", "reading images")
    with _explained(path, "read"), image.open(path) as picture:
        pixels = np.asarray(_upright(picture))
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def read_wav(path: Path) -> tuple[np.ndarray, int]:
    """PCM sound of 8, 16, 24 or 32 bits: (channels, samples) in [-1, 1), and the samples a second.

    float32 holds every sample of up to 24 bits exactly; 32 bits come as float64.
    """
    with _explained(path, "read"), wave.open(str(path), "rb") as sound:
        channels, width, rate = sound.getnchannels(), sound.getsampwidth(), sound.getframerate()
        raw = np.frombuffer(sound.readframes(sound.getnframes()), dtype=np.uint8)
    if width not in (1, 2, 3, 4):
        raise CommandError(f"cannot read {path}: samples of {8 * width} bits, expected 8, 16, 24 or 32")
    whole = len(raw) // (width * channels) * width * channels  # a cut-off file may end within a frame
    samples = raw[:whole].reshape(-1, width)
    wide = np.zeros((len(samples), 4), dtype=np.uint8)
    wide[:, 4 - width :] = samples ^ np.uint8(0x80) if width == 1 else samples  # 8 bits alone are unsigned
    values = wide.view("<i4")[:, 0] / 2.0**31
    return values.astype(np.float64 if width == 4 else np.float32).reshape(-1, channels).T, rate


def read_array(path: Path) -> np.ndarray:
    """A .npy file that holds numbers."""
    with _explained(path, "read"):
        array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufc" or array.ndim == 0 or array.size == 0:
        found = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else "several arrays"
        raise CommandError(f"cannot use {path}: it holds {found}, expected an array of numbers")
    return array


def check_output(path: Path, suffixes: tuple[str, ...]) -> Path:
    """Complain before the work rather than after it."""
    if path.suffix.lower() not in suffixes:
        raise CommandError(f"cannot write {path}: the name must end in {' or '.join(suffixes)}")
    if path.is_dir():
        raise CommandError(f"cannot write {path}: it is a directory")
    if not path.parent.is_dir():
        raise CommandError(f"cannot write {path}: there is no directory {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise CommandError(f"cannot write {path}: permission denied")
    return path


def write(path: Path, save: Callable[[Path], object]) -> None:
    """Call ``save(path)``; what prevents it becomes one line."""
    with _explained(path, "write"):
        save(path)
