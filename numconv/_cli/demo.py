"""``python -m numconv demo``: worked examples, a photograph and a signal, a gallery and a table."""

from __future__ import annotations

from pathlib import Path

from . import layers, tutorial
from .errors import extra
from .files import check_output, write
from .progress import progress
from .sources import Photograph, Recording, photograph, recording

FORMATS = (".png", ".jpg", ".pdf")


def run(image: Path | None, signal: Path | None, output: Path) -> int:
    """Everything; the gallery goes to `output`, a file or a directory."""
    for module in ("matplotlib", "PIL"):
        extra(module, "the demo")
    target = check_output(_gallery_path(output), FORMATS)
    picture, sound = photograph(image), recording(signal)
    tutorial.bump()
    tutorial.line()

    from .gallery import Gallery, write_gallery
    from .measure import measure
    from .table import table

    print(f"\nPhotograph: {picture.caption}\nSignal: {sound.caption}", flush=True)
    first, second, waves = _layers(picture, sound)
    measured = [measure(layer) for layer in (first, second, waves)]
    print(f"\n{table(measured)}", flush=True)
    gallery = Gallery(picture, first, second, sound, waves)
    write(target, lambda path: write_gallery(gallery, path))
    print(f"\nFilters and maps: {target}")
    return 0


def _layers(picture: Photograph, sound: Recording) -> tuple[layers.Layer, ...]:
    """Run the network, with progress where the first calls compile for long."""
    done: list[layers.Layer] = []
    steps = (
        lambda: layers.first(picture),
        lambda: layers.second(done[0]),
        lambda: layers.wavelets(sound),
    )
    for step in progress(steps, "convolving"):
        done.append(step())
    return tuple(done)


def _gallery_path(output: Path) -> Path:
    """A directory gets ``feature_maps.png``; one that does not exist is recognised by a name without a suffix."""
    if not output.suffix and not output.exists():
        write(output, lambda path: path.mkdir(parents=True))
    return output / "feature_maps.png" if output.is_dir() else output
