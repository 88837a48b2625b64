"""The kernel cache: right addresses whatever is on disk, one compilation, and no Numba in a warm process."""

import ast
import ctypes
import errno
import os
import shutil
import stat
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from numconv.cpu import cache, native, store
from tests.running import TESTS, record, run_script

posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

SCALE = "tests.runner_kernels:scale"

# Prints what the kernel computes and whether Numba was loaded for it.
SCRIPT = """
import sys
from tests.test_cache import run_scale
print(run_scale(3, True), "numba" in sys.modules)
"""


def run_scale(factor, negative):
    """What the kernel stores for job 7."""
    kernel = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(cache.address(SCALE, factor, negative))
    out = np.zeros(8, np.int64)
    call = record(out=out.ctypes.data)
    kernel(0, call.ctypes.data, 0, 7)
    return int(out[7])


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """An empty cache in an empty process."""
    monkeypatch.setenv("NUMCONV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMCONV_CACHE", raising=False)
    monkeypatch.setattr(cache, "_ADDRESSES", {})
    monkeypatch.setattr(store, "_warned", False)
    return tmp_path / "cache"


@pytest.fixture
def compilations(monkeypatch):
    """What was compiled."""
    calls = []

    def counted(factory, params):
        calls.append((factory, *params))
        return compile_kernel(factory, params)

    compile_kernel = cache._compile
    monkeypatch.setattr(cache, "_compile", counted)
    return calls


def forget():
    cache._ADDRESSES.clear()


def entries(directory):
    return sorted(directory.glob("*.kernel"))


def test_warm_processes_import_no_numba(directory):
    assert run_script(SCRIPT).split() == ["-21", "True"]
    assert run_script(SCRIPT).split() == ["-21", "False"]


def test_parameters_make_kernels(directory, compilations):
    assert [run_scale(2, False), run_scale(2, True), run_scale(3, False), run_scale(2, False)] == [14, -14, 21, 14]
    assert len(compilations) == len(entries(directory)) == 3
    assert cache.address(SCALE, 1, 1) != cache.address(SCALE, 1, True)  # 1 == True, but not here
    forget()
    assert [run_scale(2, False), run_scale(2, True)] == [14, -14]
    assert len(compilations) == 5


@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign", "header", "code", "tail"])
def test_damaged_entries_are_replaced(damage, directory, compilations):
    run_scale(2, False)
    run_scale(3, False)
    for_two, for_three = sorted(entries(directory), key=os.path.getmtime)
    content = bytearray(for_two.read_bytes())
    if damage in ("header", "code", "tail"):
        content[{"header": 3, "code": len(content) // 2, "tail": -1}[damage]] ^= 4
    damaged = {"truncated": content[:-100], "empty": b"", "foreign": for_three.read_bytes()}.get(damage, content)
    for_two.write_bytes(damaged)
    forget()
    assert run_scale(2, False) == 14
    assert compilations.count((SCALE, 2, False)) == 2
    forget()
    assert run_scale(2, False) == 14
    assert len(compilations) == 3


def test_every_flipped_bit_is_seen(directory):
    """Object code has no checksum of its own: of 60 flipped bits, LLVM survived 46."""
    code, random = os.urandom(500), np.random.default_rng(0)
    for bit in random.integers(0, 8 * 540, 200):
        store.write("name", "key", code)
        (path,) = entries(directory)
        content = bytearray(path.read_bytes())
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        assert store.read("name", "key") is None
        assert entries(directory) == []


def test_no_cache_if_disabled(directory, monkeypatch, compilations):
    monkeypatch.setenv("NUMCONV_CACHE", "0")
    assert run_scale(5, False) == 35
    assert not directory.exists()
    assert cache.info() == {"directory": None, "entries": 0, "bytes": 0}
    forget()
    assert run_scale(5, False) == 35
    assert len(compilations) == 2


def test_places(directory, tmp_path, monkeypatch):
    monkeypatch.delenv("NUMCONV_CACHE_DIR")
    monkeypatch.setattr(store.sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert store.cache_directory() == tmp_path / ".cache" / "numconv"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert store.cache_directory() == tmp_path / "xdg" / "numconv"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert store.cache_directory() is None
    monkeypatch.setattr(store.sys, "platform", "darwin")
    assert store.cache_directory() == tmp_path / "Library" / "Caches" / "numconv"
    monkeypatch.setattr(store.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert store.cache_directory() == tmp_path / "local" / "numconv"


@posix
def test_private_directory(directory):
    store.write("name", "key", b"code")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert cache.info() == {"directory": str(directory), "entries": 1, "bytes": 8 + 32 + 4}
    (directory / "0123456789abcdef.tmp").write_bytes(b"killed while it wrote")
    assert cache.clear() == 1 and list(directory.iterdir()) == []


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_directories_that_others_write_to_are_refused(mode, directory):
    store.write("name", "key", b"code")
    directory.chmod(mode)
    with pytest.warns(RuntimeWarning, match="must belong to you"):
        assert store.read("name", "key") is None
    store.write("name", "other", b"code")  # one warning is enough
    assert len(entries(directory)) == 1


@posix
def test_directories_of_others_are_refused(directory):
    if os.geteuid() != 0:
        pytest.skip("needs root to give a directory away")
    store.write("name", "key", b"code")
    os.chown(directory, 65534, 65534)
    with pytest.warns(RuntimeWarning, match="must belong to you"):
        assert store.read("name", "key") is None


def test_one_warning_where_nothing_can_be_written(directory):
    directory.write_text("a file where the directory should be")
    with pytest.warns(RuntimeWarning, match="cannot keep compiled kernels") as caught:
        assert run_scale(6, False) == 42
        assert run_scale(6, True) == -42
    assert len(caught) == 1


def test_no_warning_without_a_home(directory, tmp_path, monkeypatch):
    (tmp_path / "home").write_text("not a directory")
    monkeypatch.delenv("NUMCONV_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(store.sys, "platform", "linux")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.write("name", "key", b"code")
        assert store.read("name", "key") is None


def test_full_disk(directory, monkeypatch):
    def full(path, content):
        with open(path, "wb") as file:
            file.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        store.write("name", "key", b"code")
    assert list(directory.iterdir()) == []


def test_drop(directory, compilations):
    run_scale(2, False)
    cache.drop(SCALE, 2, False)
    assert entries(directory) == []
    assert run_scale(2, False) == 14
    assert len(compilations) == 2
    cache.drop(SCALE, 99, False)  # never was there


def test_threads_compile_once(directory, compilations):
    barrier, found = threading.Barrier(8), []

    def ask():
        barrier.wait()
        found.append(cache.address(SCALE, 11, False))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == len(compilations) == 1


def test_four_processes_race(directory):
    """All fill an empty cache with the kernels of one factory at once: right there, and right from the cache."""
    code = f"""
        import sys, time
        from tests.test_cache import run_scale
        if len(sys.argv) == 1:
            import numba
            time.sleep(max(0, {time.time() + 1.5} - time.time()))
        for factor in range(1, 7):
            assert run_scale(factor, factor % 2 == 0) == 7 * factor * (1 if factor % 2 else -1)
        print("numba" in sys.modules)
        """
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run_script, [code] * 4))
    assert len(entries(directory)) == len(list(directory.iterdir())) == 6
    assert run_script(code, "warm") == "False\n"


def test_symbols_that_a_loader_lacks_are_refused(directory):
    with pytest.raises(RuntimeError, match=r"object code must not need: sin.$"):
        cache.address("tests.runner_kernels:sine")
    assert not directory.exists()


def test_calls_that_only_code_generation_makes_are_refused():
    """Without the instruction, LLVM calls libm for llvm.fma: seen in the object, not in the IR."""
    ir = """
    declare float @llvm.fma.f32(float, float, float)
    define void @cfunc.kernel(ptr %p) {
      %a = load float, ptr %p
      %b = call float @llvm.fma.f32(float %a, float %a, float %a)
      store float %b, ptr %p
      ret void
    }
    """
    with pytest.raises(RuntimeError, match=r"fmaf$"):
        native.emit_object(ir, "generic", "")


def test_keys_hold_what_code_depends_on(directory, tmp_path, monkeypatch):
    def key():
        cache._environment.cache_clear()
        return cache._key("own_kernels:scale", (1,))

    package = shutil.copytree(Path(cache.__file__).parent, tmp_path / "cpu")
    module = shutil.copy(TESTS / "runner_kernels.py", tmp_path / "own_kernels.py")
    monkeypatch.setattr(cache, "__file__", str(package / "cache.py"))
    monkeypatch.syspath_prepend(tmp_path)
    keys = [key()]
    for path in (package / "records.py", package / "target.py", package / "kernels" / "worker.py", module):
        with open(path, "a") as file:
            file.write("# edited\n")
        keys.append(key())
    monkeypatch.setenv("NUMBA_OPT", "1")
    keys.append(key())
    monkeypatch.setattr(cache, "_numba_version", lambda: "another")
    keys.append(key())
    monkeypatch.setattr(cache.llvmlite, "__version__", "another")
    keys.append(key())
    target = cache.machine()
    monkeypatch.setattr(cache, "machine", lambda: type(target)(**(vars(target) | {"name": "another"})))
    keys.append(key())
    assert len(set(keys)) == len(keys)
    cache._environment.cache_clear()


def test_keys_hold_all_that_kernels_import():
    """Besides each other, kernels import nothing of the package that their key does not hold."""
    here = Path(cache.__file__).parent
    imported = set()
    for path in [*here.glob("kernels/*.py"), *(here / name for name in cache._BESIDE)]:
        outside = 2 if path.parent.name == "kernels" else 1
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.Import) or "numconv" not in ast.unparse(node), path
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] != "numconv" and node.level <= outside, path
                imported |= {f"{node.module}.py"} if node.level == outside else set()
    assert imported and imported <= set(cache._BESIDE)


@forks
def test_forks_while_threads_compile(directory):
    """A child compiles too: no lock of ours or Numba's is held in it by a thread that it does not have."""
    run_script(
        """
        import os, threading, warnings
        from tests.test_cache import run_scale
        warnings.simplefilter("ignore", DeprecationWarning)
        done, compiled = [], []

        def compile_many():
            while not done:
                run_scale(1000 + len(compiled), False)
                compiled.append(1)

        run_scale(1, False)
        thread = threading.Thread(target=compile_many)
        thread.start()
        for child in range(6):
            pid = os.fork()
            if pid == 0:
                os._exit(0 if run_scale(100 + child, True) == -7 * (100 + child) else 1)
            assert os.waitpid(pid, 0)[1] == 0
        done.append(True)
        thread.join()
        """
    )
