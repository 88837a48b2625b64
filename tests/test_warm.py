"""`warm_up` and ``python -m numconv cache``: everything usual is compiled ahead, and mistakes take one line."""

from __future__ import annotations

import numpy as np
import pytest

import numconv
from numconv import _warm
from numconv.__main__ import main
from numconv.cpu import cache, children, store
from tests.running import run_script

SCALES = [("tests.runner_kernels:scale", factor, factor % 2 == 0) for factor in range(1, 6)]


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """An empty cache in an empty process."""
    monkeypatch.setenv("NUMCONV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMCONV_CACHE", raising=False)
    monkeypatch.setattr(cache, "_ADDRESSES", {})
    monkeypatch.setattr(store, "_warned", False)
    return tmp_path / "cache"


def test_what_was_warmed_needs_no_compiler(directory, monkeypatch):
    """A process of its own imports no Numba for it."""
    monkeypatch.setattr(_warm, "_LAYERS", {1: [((64, 3), (5, 3, 3), 1)]})
    kernels = _warm.kernels_for("float32", [1])
    assert numconv.warm_up("float32", [1]) == len(kernels) == cache.info()["entries"]
    assert numconv.warm_up([np.float32], (1,)) == 0
    script = """
        import sys, numpy as np, numconv
        numconv.conv1d(np.ones((64, 3), "f4"), np.ones((5, 3, 3), "f4"), padding="same")
        x, w = np.ones((3, 64), "f4"), np.ones((3, 3, 5), "f4")
        numconv.conv1d(x, w, padding="same", data_format="channels_first")
        assert "numba" not in sys.modules
        """
    run_script(script)


@pytest.mark.parametrize("dtype", ["float16", "float64", "complex64", "int8", "bool", "uint64"])
def test_kernels_of_every_dtype(dtype):
    kernels = _warm.kernels_for(dtype, [1, 2, 3])
    assert len(set(kernels)) == len(kernels) > 10
    factories = {factory for factory, *_ in kernels}
    assert {"filters.micro", "finish.finish", "worker.worker"} <= factories
    assert set(_warm.kernels_for([dtype, dtype], [2])) < set(kernels)


def test_methods_that_auto_takes_are_compiled():
    factories = {factory for factory, *_ in _warm.kernels_for("float32", [1, 2])}
    assert {"winograd.forward", "fft.synthesise", "separable.rows", "filters.micro", "peak.multiply_adds"} <= factories


def test_more_dtypes_share_kernels():
    one, other, both = (set(_warm.kernels_for(names, [2])) for names in ("f4", "f8", ["f4", "f8"]))
    assert both == one | other and one & other


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("float33",), TypeError, "dtypes"),
        ((["f4", "S3"],), TypeError, "dtypes"),
        (("f4", [0]), ValueError, "ndims has 0, expected 1, 2 or 3"),
        (("f4", [2, "2"]), ValueError, "ndims has '2'"),
    ],
)
def test_mistakes(arguments, error, words):
    with pytest.raises(error, match=f"warm_up: .*{words}"):
        numconv.warm_up(*arguments)


@pytest.mark.parametrize("processes", [1, 3])
def test_children_compile(processes):
    """Each kernel once, into the cache; then there is nothing left to compile."""
    assert sorted(children.compile_all(SCALES, processes)) == SCALES
    assert cache.info()["entries"] == len(SCALES)
    assert all(map(cache.is_kept, SCALES))


@pytest.mark.parametrize("processes", [1, 2])
def test_what_cannot_be_compiled_is_named(processes):
    with pytest.raises(cache.KernelError, match="object code must not need: sin"):
        list(children.compile_all([("tests.runner_kernels:sine",)] * 3, processes))


SHARED = """
    import subprocess, sys
    import numpy as np, numconv
    from numconv.cpu import cache, children
    {before}
    compiled, make = [], cache._compile
    cache._compile = lambda factory, params: compiled.append(factory) or make(factory, params)
    numconv.set_num_threads({threads})
    y = numconv.conv2d(np.ones((1, 8, 8, 16), "f4"), np.ones((3, 3, 16, 32), "f4"))
    assert (y == 144).all()
    print(len(compiled), children._shared)
    """


@pytest.mark.parametrize(
    ("before", "threads", "shared"),
    [
        ("pass", 2, "True"),
        ("pass", 4, "True"),
        ("pass", 1, "False"),
        ("children._CODE = 'import sys; sys.exit(3)'", 2, "True"),
        ("children._CODE = 'print(1)'", 2, "True"),
        ("sys.executable = '/nowhere/python'", 2, "True"),
        ("sys.executable = ''", 2, "False"),
    ],
)
def test_first_calls_are_shared(before, threads, shared):
    """Another process compiles a part of the kernels; where it cannot, this one compiles all."""
    count, flag = run_script(SHARED.format(before=before, threads=threads)).split()
    assert flag == shared
    assert int(count) < 5 if before == "pass" and threads > 1 else int(count) == 5


def test_a_share_of_what_is_there(monkeypatch):
    """No process starts for kernels that are kept, or for a few."""
    monkeypatch.setattr(children, "_start", lambda errors: pytest.fail("a process"))
    monkeypatch.setattr(children, "_shared", False)
    monkeypatch.setattr(children, "get_num_threads", lambda: 2)
    children.share(SCALES[: children.WORTH - 1])
    for kernel in SCALES:
        cache.address(*kernel)
    children.share(SCALES)
    assert not children._shared


def test_children_that_die(monkeypatch):
    monkeypatch.setattr(children, "_CODE", "import sys; sys.exit(3)")
    with pytest.raises(cache.KernelError):
        list(children.compile_all(SCALES, 2))


def test_commands(directory, monkeypatch, capsys):
    monkeypatch.setattr(_warm, "_LAYERS", {2: [((64, 64, 1), (3, 3, 1, 1), 1)]})
    assert main(["cache", "info"]) == 0
    assert "kernels    0" in capsys.readouterr().out
    assert main(["cache", "warm", "--dtypes", "float32", "--ndims", "2"]) == 0
    count = cache.info()["entries"]
    assert capsys.readouterr().out.startswith(f"{count} kernels compiled in ")
    assert main(["cache", "info"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [f"directory  {directory}", f"kernels    {count}"]
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"{count} kernels removed from {directory}\n"
    assert cache.info()["entries"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["heat"],
        ["warm", "--dtypes", "float33"],
        ["warm", "--ndims", "4"],
        ["warm", "--ndims", "two"],
        ["warm", "--dtypes"],
    ],
)
def test_mistakes_take_one_line(arguments, capsys):
    assert main(["cache", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("numconv: ") and error.count("\n") == 1


def test_without_a_cache(monkeypatch, directory, capsys):
    monkeypatch.setenv("NUMCONV_CACHE", "0")
    for action in ("warm", "clear"):
        assert main(["cache", action]) == 2
        assert "NUMCONV_CACHE" in capsys.readouterr().err
    assert main(["cache", "info"]) == 0
    assert "none: kernels are not kept" in capsys.readouterr().out
    monkeypatch.delenv("NUMCONV_CACHE")
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    assert main(["cache", "warm"]) == 2
    assert "must belong to you" in capsys.readouterr().err
