"""Where first weights, the order of batches and dropout come from."""

from __future__ import annotations

import numpy as np

_root = np.random.SeedSequence()


def set_random_seed(seed: int) -> None:
    """Make what is random in models made from now on the same each time.

    Parameters
    ----------
    seed : int
        Not negative.

    Notes
    -----
    A model with a `seed` of its own does not depend on it. The numbers are not those of Keras.

    Examples
    --------
    >>> from numconv.layers import Dense, Sequential, set_random_seed
    >>> def first_weight():
    ...     set_random_seed(1)
    ...     return Sequential([Dense(2, input_shape=(3,))]).get_weights()[0][0, 0]
    >>> bool(first_weight() == first_weight())
    True
    """
    global _root
    _root = np.random.SeedSequence(seed)


def generator(seed: int | None) -> np.random.Generator:
    """That of a seed, or one more of those that `set_random_seed` began."""
    return np.random.default_rng(_root.spawn(1)[0] if seed is None else seed)
