"""As `finish`, of several sums of a thread at once, in arrays whose indices are constant."""

from __future__ import annotations

from typing import Any

from .. import ops
from .finish import activating


def finishing(n: int, bias: bool, compute: str, activation: str, convert: Any, whole: str, first: int = 0) -> Any:
    """finish(values, sums, biases, slope): n sums from `first` on become what is stored.

    One function for each, which calls the next: in a loop, an index that is not known keeps arrays out of registers.
    """
    pick, keep, activate, BIAS = (
        ops.picking(compute, first),
        ops.keeping(whole, first),
        activating(compute, activation),
        bias,
    )
    rest = ops.device(_nothing)
    if first + 1 < n:
        rest = finishing(n, bias, compute, activation, convert, whole, first + 1)

    def finish(values: Any, sums: Any, biases: Any, slope: Any) -> None:
        total = pick(sums)
        if BIAS:
            total += pick(biases)
        keep(values, convert(activate(total, slope)))
        rest(values, sums, biases, slope)

    return ops.device(finish)


def _nothing(values: Any, sums: Any, biases: Any, slope: Any) -> None:
    """After the last."""
