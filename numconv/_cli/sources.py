"""What the demo looks at: a photograph and a recording, the user's or ones that came with installed packages."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import CommandError, extra
from .files import read_array, read_image, read_wav

LARGEST_SIDE = 1024
"""Longer photographs are made smaller: 32 maps of a 12-megapixel photograph are 1.5 GB."""
LONGEST_SIGNAL = 100_000


@dataclass(frozen=True)
class Photograph:
    """Pixels in [0, 1], (H, W, 3) float32, with what a caption says."""

    pixels: np.ndarray
    caption: str


@dataclass(frozen=True)
class Recording:
    """Samples, (T,) float32; `rate` a second, or 0 where it is unknown."""

    samples: np.ndarray
    rate: float
    unit: str
    caption: str


def photograph(path: Path | None) -> Photograph:
    """The user's picture, or the astronaut that comes with scikit-image."""
    if path is not None:
        return Photograph(_as_colour(read_image(path), path), path.name)
    bundled = inside("skimage", "data", "astronaut.png", purpose="the bundled photograph")
    if not bundled.exists():
        raise CommandError(f"{bundled} is missing: name a photograph, python -m numconv demo IMAGE")
    return Photograph(_as_colour(read_image(bundled), bundled), "Eileen Collins, photograph by NASA, from scikit-image")


def recording(path: Path | None) -> Recording:
    """The user's .wav (first channel) or one-dimensional .npy, or the neuron that comes with matplotlib."""
    if path is None:
        return _neuron()
    rate = 0
    if path.suffix.lower() == ".wav":
        channels, rate = read_wav(path)
        samples = channels[0]
    else:
        samples = read_array(path)
    if samples.ndim != 1 or samples.dtype.kind == "c" or len(samples) < 2:
        raise CommandError(f"cannot use {path}: {samples.dtype} of shape {samples.shape}, expected a real (samples,)")
    return Recording(samples[:LONGEST_SIGNAL].astype(np.float32), float(rate), "", path.name)


def _neuron() -> Recording:
    """A nerve cell's membrane potential in tenths of a volt, as float32, every 0.5 ms."""
    bundled = Path(extra("matplotlib", "the demo").get_data_path()) / "sample_data" / "membrane.dat"
    if not bundled.exists():
        raise CommandError(f"{bundled} is missing: name a recording, --signal FILE.wav or FILE.npy")
    millivolts = 100 * np.fromfile(bundled, dtype="<f4")
    return Recording(millivolts.astype(np.float32), 2000.0, "mV", "membrane potential of a nerve cell, from Matplotlib")


def inside(package: str, *parts: str, purpose: str) -> Path:
    """A file of an installed package, without importing it."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        extra(package, purpose)
        raise CommandError(f"cannot find the files of {package}")
    return Path(found.origin).parent.joinpath(*parts)


def _as_colour(pixels: np.ndarray, path: Path) -> np.ndarray:
    """(H, W, 3) float32 in [0, 1], at most LARGEST_SIDE long; grey is repeated in all channels."""
    if pixels.dtype.kind in "iu":
        white = {"uint8": 255, "uint16": 65535}.get(pixels.dtype.name) or max(int(pixels.max()), 1)
        pixels = pixels / np.float32(white)
    colour = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
    step = -(-max(colour.shape[:2]) // LARGEST_SIDE)
    if step > 1:
        colour = _shrunk(colour, step)
    if min(colour.shape[:2]) < 3:
        raise CommandError(f"cannot use {path}: {colour.shape[1]} x {colour.shape[0]} pixels, expected at least 3 x 3")
    return np.ascontiguousarray(colour, dtype=np.float32)


def _shrunk(colour: np.ndarray, step: int) -> np.ndarray:
    """Means of step x step pixels; a remainder at the lower and right edge is cut off."""
    height, width = (size // step for size in colour.shape[:2])
    blocks = colour[: height * step, : width * step].reshape(height, step, width, step, 3)
    return blocks.mean(axis=(1, 3))
