"""Proof at first use: whatever kernel is wrong, and however it came to be, results are right."""

from __future__ import annotations

import shutil
import warnings
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

import numconv
from numconv._calls import recipe
from numconv.cpu import cache, direct, execute, exercise, kept, proof, runner, store
from numconv.cpu.machine import machine
from tests.problems import EVERY, same_bits
from tests.running import run_script

PLAN = {1: numconv.plan_conv1d, 2: numconv.plan_conv2d, 3: numconv.plan_conv3d}

IDLE, IDLE_WORKER = "tests.runner_kernels:idle", "tests.runner_kernels:idle_worker"

# Calls that between them need every stage in every order, and packing of weights by the compiled kernel.
CALLS = {
    "filters": {"shape": (2, 9, 11, 64), "w": (3, 3, 64, 40), "activation": "sigmoid"},
    "pixels": {"shape": (2, 5, 9, 40), "w": (7, 5, 3, 3), "data_format": "channels_first"},
    "rows": {"shape": (1, 8, 30, 40), "w": (1, 8, 7, 5), "data_format": "channels_first"},
    "rolling": {"shape": (1, 3, 30, 40), "w": (1, 3, 5, 5), "data_format": "channels_first"},
    "channels": {"shape": (1, 9, 11, 64), "w": (3, 3, 1, 64), "groups": 64},
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A cache with the kernels of all calls."""
    directory = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMCONV_CACHE_DIR", str(directory))
        patch.delenv("NUMCONV_CACHE", raising=False)
        patch.setattr(cache, "_ADDRESSES", {})
        forget()
        assert [schedule_of(name).layout.order for name in CALLS] == list(CALLS)
        assert all(map(is_right, CALLS))
        cache.address(IDLE), cache.address(IDLE_WORKER)
    return directory


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch, compiled):
    """A process that has proved nothing, with a copy of that cache."""
    shutil.copytree(compiled, tmp_path / "cache")
    (tmp_path / "cache").chmod(0o700)
    monkeypatch.setenv("NUMCONV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMCONV_CACHE", raising=False)
    for module, name, empty in (
        (cache, "_ADDRESSES", {}), (cache, "_REFUSED", set()), (proof, "proved", set()),
        (proof, "_refused", set()), (store, "_warned", False)
    ):  # fmt: skip
        monkeypatch.setattr(module, name, empty)
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget():
    """As if the process had just begun; the cache stays."""
    cache._ADDRESSES.clear()
    proof.proved.clear()
    recipe.cache_clear()
    kept._reset()
    runner.forget_worker()


def arguments(name):
    options = dict(CALLS[name])
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(options.pop(key)).astype(np.float32) for key in ("shape", "w"))
    return x, w, options


def is_right(name):
    """Whether a call agrees with the reference."""
    x, w, options = arguments(name)
    got = numconv.conv2d(x, w, **options)
    expected = numconv.conv2d(x, w, **options, method="reference")
    return np.abs(got - expected).max() <= 1e-6 if "activation" in options else same_bits(got, expected)


def schedule_of(name):
    x, w, options = arguments(name)
    return numconv.plan_conv2d(x.shape, w, **options)._engine.pieces[0].schedule


def kernels_of(name):
    """The kernels of a call by their stages: pack, micro, finish, job, ..."""
    kernels = schedule_of(name).kernels
    return kernels | ({("weights.pack", "f4", "f4")} if name == "filters" else set())


def idle_code(kernel):
    """Object code that does nothing, whole and well-formed."""
    factory = IDLE_WORKER if kernel == direct.WORKER else IDLE
    return cache._object_code(factory, ())


def entry_of(kernel):
    """File name and key in the cache."""
    factory, *params = kernel
    return cache._file_name(factory), cache._key(factory, tuple(params))


def plant(kernel, code):
    """Put code into the cache under the key of a kernel, with the right checksum."""
    store.write(*entry_of(kernel), code)


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_exercises_need_the_kernels_of_the_problem(case):
    """None is compiled here: tests of bits do that, and there a kernel that fails its exercises is a warning."""
    problem, w = problem_of(case)
    layout = direct.chosen(problem, execute.lanes_of(problem, w, None))
    wanted = direct.kernels_of(problem, layout, machine())
    for to_out in (False, True):
        for small in exercise.exercises(SimpleNamespace(layout=layout, direct=to_out)):
            assert direct.kernels_of(small.parts.problem, small, machine()) == wanted


def problem_of(case):
    """The problem of a case as kernels see it, and weights."""
    x_shape, w_shape = case.shapes()
    w = np.ones(w_shape, case.w_dtype or case.x_dtype)
    seen = []
    with mock.patch.object(execute, "pieces_of", lambda problem, *_: seen.append(problem)):
        PLAN[case.ndim]((None, *x_shape[1:]), w, x_dtype=case.x_dtype, **case.keywords)
    (problem,) = seen
    return problem, np.ones((*problem.kernel, problem.group_channels, problem.filters), w.dtype)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "rolling"])
def test_exercises_are_not_easy(name):
    """Several chains, several blocks, tails; results of many values."""
    layout = next(exercise.exercises(schedule_of(name)))
    p = layout.parts.problem
    results = exercise.expected(p, *exercise.arrays(p))
    assert len(layout.parts.chains) > 1 and np.prod(layout.blocks) > 1 and layout.units > 1
    assert len(np.unique(results)) > 20 or p.activation
    assert p.out_spatial[1] % layout.block[1] and (layout.unit_filters == 1 or p.filters % layout.unit_filters)


@pytest.mark.parametrize("name", ["filters", "rolling"])
def test_wrong_entries_are_replaced(name):
    """Each kernel in turn is another one on disk; nobody notices, and the entry is right afterwards."""
    assert is_right(name)
    for kernel in kernels_of(name):
        forget()
        plant(kernel, idle_code(kernel))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert is_right(name), kernel
        assert store.read(*entry_of(kernel)) not in (None, idle_code(kernel))


def test_kernels_of_other_tiles_are_seen():
    """What a race under Numba's own cache left: the same function, other parameters."""
    assert is_right("filters")
    (micro,) = (kernel for kernel in kernels_of("filters") if kernel[0] == "filters.micro")
    factory, scalar, rows, vecs, *rest = micro
    for other in ((factory, scalar, rows - 1, vecs, *rest), (factory, scalar, rows + 1, vecs, *rest)):
        code = cache._object_code(other[0], other[1:])
        forget()
        plant(micro, code)
        assert is_right("filters")


@pytest.mark.parametrize("damage", [b"", b"no object"])
def test_entries_that_cannot_be_loaded_are_replaced(damage):
    assert is_right("rows")
    for kernel in kernels_of("rows"):
        forget()
        plant(kernel, damage)
        assert is_right("rows")


@pytest.mark.parametrize("stage", ["packing.", "filters.", "finish.", "job.", "activation.", "worker.", "weights."])
def test_the_reference_stands_in_for_what_fails_twice(stage, monkeypatch):
    """One warning, which names all that a bug report needs; other kernels stay in use."""

    def compiled(factory, params):
        wrong = IDLE_WORKER if factory.startswith("worker") else IDLE
        return compile_kernel(wrong, ()) if factory.startswith(stage) else compile_kernel(factory, params)

    compile_kernel = cache._compile
    monkeypatch.setattr(cache, "_compile", compiled)
    for kernel in kernels_of("filters"):
        if kernel[0].startswith(stage):
            store.remove(*entry_of(kernel))
    forget()
    with pytest.warns(RuntimeWarning, match="numconv.reference") as caught:
        assert is_right("filters")
        assert is_right("filters")
        recipe.cache_clear()
        assert is_right("filters")
    assert len(caught) == 1
    message = str(caught[0].message)
    for word in (stage, machine().name, "numba ", "llvmlite ", "numpy ", "twice"):
        assert word in message
    x, w, options = arguments("filters")
    plan = numconv.plan_conv2d(x.shape, w, **options)
    assert plan.method == ("direct" if stage == "weights." else "reference")
    if stage in ("packing.", "filters.", "activation.", "job."):
        assert schedule_of("rolling").layout.order == "rolling"


def test_compilers_that_fail(monkeypatch):
    def fails(factory, params):
        raise TypeError("an unexpected keyword")

    monkeypatch.setattr(cache, "_compile", fails)
    cache.clear()
    with pytest.warns(RuntimeWarning, match="cannot be made .TypeError: an unexpected keyword. twice") as caught:
        assert is_right("rows")
        assert is_right("rows")
    assert len(caught) == 1


def test_no_memory_is_no_proof(monkeypatch):
    def fails(factory, params):
        raise MemoryError

    cache.clear()
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_compile", fails)
        with pytest.raises(MemoryError):
            is_right("rows")
    assert is_right("rows")
    assert schedule_of("rows")


def test_proofs_are_made_once(monkeypatch):
    made = []

    def counted(layout):
        made.append(layout)
        return right(layout)

    right = proof._is_right
    monkeypatch.setattr(proof, "_is_right", counted)
    assert is_right("filters")
    count = len(made)
    assert count >= 1
    _, w, options = arguments("filters")
    for size in (20, 30):
        numconv.conv2d(np.ones((1, size, size, 64), np.float32), w, **options)
    assert len(made) == count


def test_without_jit():
    """NUMBA_DISABLE_JIT=1 is for the user's own functions."""
    cache.clear()
    run_script(
        """
        import numpy as np, numconv
        x, w = np.ones((2, 9, 9, 4), "f4"), np.arange(720, dtype="f4").reshape(3, 3, 4, 20)
        plan = numconv.plan_conv2d(x.shape, w, activation="tanh")
        assert plan.method == "direct"
        assert np.array_equal(plan(x, threads=2), np.ones((2, 7, 7, 20), "f4"))
        import numba
        assert numba.config.DISABLE_JIT
        """,
        NUMBA_DISABLE_JIT="1",
    )


@pytest.mark.parametrize("missing", ["omppool", "tbbpool", "omppool tbbpool", "omppool tbbpool workqueue"])
def test_without_threading_layers(missing):
    """As where no libgomp or libtbb can be loaded."""
    run_script(
        f"""
        import sys
        for name in {missing.split()!r}:
            sys.modules["numba.np.ufunc." + name] = None
        import numba, numpy as np, numconv
        rng = np.random.default_rng(0)
        x, w = rng.standard_normal((8, 40, 40, 16), "f4"), rng.standard_normal((3, 3, 16, 32), "f4")
        got = [numconv.conv2d(x, w, method="direct", threads=threads) for threads in (1, 2, 4)]
        assert all(np.array_equal(got[0], other) for other in got)
        assert np.array_equal(got[0][:1, :5, :5], numconv.conv2d(x[:1, :7, :7], w, method="reference"))
        """
    )
