"""How long and with how many threads to measure."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Settings:
    """What holds for a whole run.

    Attributes
    ----------
    threads : for numconv and for every peer.
    rounds : in which every contender runs once.
    shortest : seconds; a timing of shorter calls is a mean over as many as last so long.
    copy_bytes : size of the array whose copy is the memory's bandwidth.
    only : part of the names of the workloads to run; "" for all.
    """

    threads: int
    rounds: int = 15
    shortest: float = 0.005
    copy_bytes: int = 1 << 26
    only: str = ""

    def quick(self) -> Settings:
        """For a first impression."""
        return replace(self, rounds=3, shortest=0.001)
