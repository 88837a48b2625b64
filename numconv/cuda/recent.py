"""A dict of what was used last: what kept launches grow to is bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


class Recent(OrderedDict):
    """At most so many entries; the one that was looked up least recently goes first. Threads may share it."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def get(self, key: Any, default: Any = None) -> Any:
        """As dicts do."""
        try:
            found = self[key]
            self.move_to_end(key)
        except KeyError:  # also where another thread has just dropped it
            return default
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > self.most:
            self.popitem(last=False)
