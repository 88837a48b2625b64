"""How long a part may take."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field


@dataclass
class Budget:
    """`seconds` from its making on; `processes` at a time; `seed` of everything random."""

    seconds: float
    seed: int
    processes: int = 0
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.processes = self.processes or len(os.sched_getaffinity(0))
        self.end = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds, at least 0."""
        return max(0.0, self.end - time.monotonic())

    def share(self, part: float) -> Budget:
        """A part of what is left."""
        return Budget(self.left * part, self.seed, self.processes)
