"""`direct` against the reference: equality of bits, for named problems and thousands of random ones."""

from __future__ import annotations

import numpy as np
import pytest

import numconv
from numconv.cpu import direct, execute, methods

from .forced import forced, shapes
from .problems import CASES, EVERY, IMAGES, LAYERS, any_strides, arrays, poisoned, random_case, random_values, same_bits

CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}
PLAN = {1: numconv.plan_conv1d, 2: numconv.plan_conv2d, 3: numconv.plan_conv3d}


def both(case, x, w, bias, threads=1):
    """(direct into a poisoned out, reference)."""
    conv = CONV[case.ndim]
    expected = conv(x, w, bias, **case.keywords, method="reference")
    out = poisoned(expected.shape, expected.dtype)
    given = x.copy(), w.copy()
    assert conv(x, w, bias, **case.keywords, method="direct", threads=threads, out=out) is out
    assert same_bits(x, given[0]) and same_bits(w, given[1])
    return out, expected


def index(case):
    return EVERY.index(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_named_problems(case):
    x, w, bias = arrays(case, np.random.default_rng(index(case)))
    assert same_bits(*both(case, x, w, bias))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_weights_are_packed_as_numpy_packs_them(data_format):
    """By the compiled kernel, also the lanes of a last panel that hold no filter."""
    shape, x_shape = ((3, 2, 40, 130), (4, 5, 80)) if data_format == "channels_last" else ((130, 40, 3, 2), (80, 4, 5))
    w = random_values(np.random.default_rng(0), shape, "float32")
    plan = numconv.plan_conv2d(x_shape, w, groups=2, data_format=data_format, method="direct")
    schedule = plan._engine.pieces[0].schedule
    given = (w if data_format == "channels_last" else w.transpose(2, 3, 1, 0))[None]
    packed, _ = execute._pack(schedule, given, 1)
    wanted = direct.pack_weights(schedule, given)
    assert np.array_equal(packed.ravel(), wanted.ravel())


@pytest.mark.parametrize("case", LAYERS + IMAGES, ids=lambda case: case.name)
def test_real_layers_on_small_inputs(case):
    case_ = case.small()
    x, w, bias = arrays(case_, np.random.default_rng(index(case)))
    assert same_bits(*both(case_, x, w, bias, threads=2))


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_workspace_is_small(case):
    x_shape, w_shape = case.shapes()
    w = np.ones(w_shape, case.w_dtype or case.x_dtype)
    plan = PLAN[case.ndim]((None, *x_shape[1:]), w, x_dtype=case.x_dtype, **case.keywords)
    assert 0 < plan.workspace_bytes <= 2 << 20
    assert plan.method in ("direct", *methods.OTHERS)


FORCED = [case for case in CASES if case.name.startswith(("apart.", "stride", "chains.c", "mode.wrap", "step2.1x1"))]


@pytest.mark.parametrize("tile", shapes(), ids=str)
@pytest.mark.parametrize("budget", [1 << 10, 1 << 20])
def test_any_tile_block_and_budget(tile, budget):
    """Tiny blocks, and many passes, whatever the estimate would choose."""
    for number, case in enumerate(FORCED):
        x, w, bias = arrays(case, np.random.default_rng(number))
        block = [(1, 2, 3), (2, 1, 4), (3, 5, 7)][number % 3]
        with forced(*tile, block=block, PACKED_BYTES=budget, GROUPS_BYTES=budget, UNIT_SUMS_BYTES=8 * budget):
            assert same_bits(*both(case, x, w, bias)), case


def test_tiles_that_wait_half_way_down():
    """Columns of more rows than a tile rolls down at a time."""
    case = next(case for case in CASES if case.name == "wide.rolling")
    x, w, bias = arrays(case, np.random.default_rng(index(case)))
    with forced("rolling", 0, 3, ROLLED_BYTES=0):
        assert same_bits(*both(case, x, w, bias))


@pytest.mark.parametrize("seed", range(20))
def test_random_problems(seed):
    """1,000 a seed; where the reference refuses a problem, direct refuses it in the same words."""
    done = 0
    for number in range(1000):
        rng = np.random.default_rng([seed, number])
        case = random_case(rng)
        x, w, bias = arrays(case, rng)
        x = any_strides(x, rng)
        try:
            out, expected = both(case, x, w, bias, threads=int(rng.integers(1, 4)))
        except (ValueError, TypeError, OverflowError) as refused:
            with pytest.raises(type(refused)):
                CONV[case.ndim](x, w, bias, **case.keywords, method="direct")
            continue
        assert same_bits(out, expected), (seed, number, case)
        done += 1
    assert done > 700
