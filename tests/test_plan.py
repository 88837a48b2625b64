"""Plans: the same bits as functions, kept, pickled, shared by threads; what they tell, and what they refuse."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import numconv
from numconv.cpu import methods
from tests.problems import EVERY, arrays, poisoned, same_bits
from tests.running import run_script

CONV = {1: numconv.conv1d, 2: numconv.conv2d, 3: numconv.conv3d}
PLAN = {1: numconv.plan_conv1d, 2: numconv.plan_conv2d, 3: numconv.plan_conv3d}
SOME = [case.small() for case in EVERY[::8]]

some_cases = pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)


def planned(case, seed=0, n=None):
    """(plan, x, what the function gives)."""
    x, w, bias = arrays(case, np.random.default_rng(seed))
    plan = PLAN[case.ndim]((n, *x.shape[1:]), w, bias, x_dtype=x.dtype, **case.keywords)
    return plan, x, CONV[case.ndim](x, w, bias, **case.keywords)


@some_cases
def test_plans_give_the_bits_of_functions(case):
    """Again and again, into an array of the caller's, with any number of threads."""
    plan, x, expected = planned(case)
    for threads in (None, 1, 3):
        assert same_bits(plan(x, threads=threads), expected)
    out = poisoned(expected.shape, expected.dtype)
    assert plan(x, out) is out
    assert same_bits(out, expected)


@some_cases
def test_pickle(case):
    """The problem and the raw weights; whoever loads it packs again."""
    plan, x, expected = planned(case)
    data = pickle.dumps(plan)
    weights = plan._engine.w
    assert len(data) < weights.nbytes + 3000
    for twin in (pickle.loads(data), copy.deepcopy(plan), copy.copy(plan)):
        assert same_bits(twin(x), expected)
        assert (str(twin), twin.explain(), twin.output_shape) == (str(plan), plan.explain(), plan.output_shape)
        assert (twin.flops, twin.workspace_bytes, twin.method) == (plan.flops, plan.workspace_bytes, plan.method)
    assert pickle.dumps(pickle.loads(data)) == data


def test_pickle_goes_to_other_processes(tmp_path):
    plan, x, expected = planned(SOME[0])
    (tmp_path / "plan").write_bytes(pickle.dumps((plan, x)))
    output = run_script(
        """
        import pickle, sys
        from pathlib import Path
        plan, x = pickle.loads(Path(sys.argv[1]).read_bytes())
        print(plan(x).tobytes().hex())
        """,
        str(tmp_path / "plan"),
    )
    assert output.strip() == expected.tobytes().hex()


def test_any_batch_size():
    """None for N, or any N: it is no part of the plan; several batch axes are none."""
    w = np.random.default_rng(0).standard_normal((3, 3, 2, 5))
    for n in (None, 0, 1, 7):
        plan = numconv.plan_conv2d((n, 8, 9, 2), w)
        assert plan.output_shape == (None, 6, 7, 5)
        for size in (0, 1, 3):
            x = np.random.default_rng(size).standard_normal((size, 8, 9, 2))
            assert same_bits(plan(x), numconv.conv2d(x, w))
    with pytest.raises(ValueError, match=r"x has shape \(1, 8, 8, 2\).* made for \(N, 8, 9, 2\)"):
        plan(np.zeros((1, 8, 8, 2)))
    with pytest.raises(ValueError, match="x has shape"):
        plan(np.zeros((8, 9, 2)))


def test_without_a_batch():
    w = np.ones((3, 2, 5))
    plan = numconv.plan_conv1d((8, 2), w)
    assert plan.output_shape == (6, 5)
    assert plan(np.ones((8, 2))).shape == (6, 5)
    with pytest.raises(ValueError, match="made for"):
        plan(np.ones((1, 8, 2)))


def test_weights_are_copied():
    """What the caller does to his arrays later does not reach a plan."""
    w, bias, x = np.ones((3, 1, 2)), np.ones(2), np.ones((1, 5, 1))
    plan = numconv.plan_conv1d(x.shape, w, bias)
    w[...], bias[...] = 9, 9
    assert (plan(x) == 4).all()
    assert (pickle.loads(pickle.dumps(plan))(x) == 4).all()


@some_cases
def test_from_four_threads_at_once(case):
    plan, x, _ = planned(case)
    inputs = [np.roll(x, i, axis=1) for i in range(4)]
    expected = [plan(x, threads=1) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(6):
            results = pool.map(lambda x: plan(x, threads=2), inputs)
            assert all(map(same_bits, results, expected))


def test_x_of_another_dtype():
    plan = numconv.plan_conv1d((None, 8, 2), np.ones((3, 2, 5), "float32"))
    with pytest.raises(TypeError, match=r"x is float64.*x_dtype=float32"):
        plan(np.ones((1, 8, 2)))
    with pytest.raises(TypeError, match="float64"):
        plan([[[1.0, 2.0]] * 8])
    with pytest.raises(TypeError, match="MaskedArray"):
        plan(np.ma.ones((1, 8, 2), "float32"))
    swapped = np.arange(16, dtype=">f4").reshape(1, 8, 2)
    assert same_bits(plan(swapped), plan(swapped.astype("float32")))


def test_x_dtype():
    """That of w, unless given; in any spelling and byte order."""
    w = np.ones((3, 1, 1), "int8")
    assert numconv.plan_conv1d((None, 5, 1), w)(np.ones((1, 5, 1), "int8")).dtype == np.int64
    for dtype in ("float32", np.float32, np.dtype(">f4")):
        plan = numconv.plan_conv1d((None, 5, 1), w, x_dtype=dtype)
        assert plan(np.ones((1, 5, 1), "float32")).dtype == np.float32
    with pytest.raises(TypeError):
        numconv.plan_conv1d((None, 5, 1), w, x_dtype="object")


@pytest.mark.parametrize("shape", [(None, None, 1), (5,), (None, -5, 1), (1, 2, 3, 4)])
def test_wrong_x_shape(shape):
    with pytest.raises(ValueError, match="plan_conv1d: x_shape"):
        numconv.plan_conv1d(shape, np.ones((3, 1, 1)))


@pytest.mark.parametrize("shape", [5, None, (None, 5.0, 1), (None, True, 1), "51"])
def test_x_shape_of_a_wrong_kind(shape):
    with pytest.raises(TypeError, match="plan_conv1d: x_shape"):
        numconv.plan_conv1d(shape, np.ones((3, 1, 1)))


def test_what_plans_tell():
    w = np.ones((3, 3, 2, 8), np.float32)
    plan = numconv.plan_conv2d((None, 28, 28, 4), w, np.ones(8), stride=2, groups=2, padding="same", activation="relu")
    assert plan.flops == 2 * 14 * 14 * 8 * 9 * 2
    assert plan.method == "direct"
    assert 0 < plan.workspace_bytes < 2**21
    assert str(plan) == (
        "plan_conv2d direct float32:float32>float32 g2c4h28w28_f8kh3kw3_sh2sw2ph0,1pw0,1_bias_relu channels_last"
    )
    assert repr(plan) == f"<Plan {plan}>"
    lines = plan.explain().splitlines()
    assert lines[0] == str(plan)
    assert [line.split()[0] for line in lines[1:]] == ["direct", *methods.OTHERS, "roofline", "reference"]


@pytest.mark.parametrize(("x_dtype", "w_dtype", "each"), [("f4", "f4", 2), ("c8", "f4", 4), ("c8", "c8", 8)])
def test_flops_of_complex_products(x_dtype, w_dtype, each):
    plan = numconv.plan_conv1d((None, 10, 1), np.ones((3, 1, 2), w_dtype), x_dtype=x_dtype)
    assert plan.flops == each * 8 * 2 * 3


def test_reference_plans():
    x, w = np.random.default_rng(0).standard_normal((1, 9, 2)), np.ones((3, 2, 4))
    plan = numconv.plan_conv1d(x.shape, w, method="reference")
    assert (plan.method, plan.workspace_bytes) == ("reference", 0)
    assert "asked for" in plan.explain()
    assert same_bits(plan(x), numconv.conv1d(x, w, method="direct"))
    assert same_bits(pickle.loads(pickle.dumps(plan))(x), plan(x))


def test_overflow_in_a_plan():
    """Raised by the call, under the plan's name; the plan goes on."""
    plan = numconv.plan_conv1d((None, 3, 1), np.full((1, 1, 1), 2, "int8"), dtype="int8")
    with pytest.raises(OverflowError, match="plan_conv1d"):
        plan(np.full((1, 3, 1), 100, "int8"))
    assert plan(np.full((1, 3, 1), 50, "int8")).ravel().tolist() == [100] * 3
    wide = numconv.plan_conv1d((None, 3, 1), np.full((1, 1, 1), 2**40))
    with pytest.raises(OverflowError, match="plan_conv1d"):
        wide(np.full((2, 3, 1), 2**40))
    assert (wide(np.full((2, 3, 1), 2**20)) == 2**60).all()
