"""A progress bar for what takes longer than a second, where tqdm is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items`; after one second show on stderr how far it has come."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield from items
        return
    yield from tqdm(
        items, desc=label, total=total, delay=1.0, mininterval=0.5, leave=False, file=sys.stderr, dynamic_ncols=True
    )
