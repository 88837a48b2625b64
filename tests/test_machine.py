"""The CPU as LLVM sees it: what Machine says is what LLVM emits."""

import platform
import re

import llvmlite.binding as llvm
import pytest

from numconv.cpu import cache, machine, measure
from tests.running import run_script

x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 CPUs")

# name: bytes of a vector, registers, fma, f16c, shorts
CPUS = {
    "generic": (16, 16, False, False, "pairs"),
    "nehalem": (16, 16, False, False, "pairs"),
    "ivybridge": (32, 16, False, True, "pairs"),
    "haswell": (32, 16, True, True, "pairs"),
    "znver3": (32, 16, True, True, "pairs"),
    "alderlake": (32, 16, True, True, "fused"),
    "skylake-avx512": (64, 32, True, True, "pairs"),
    "icelake-server": (64, 32, True, True, "fused"),
    "znver4": (64, 32, True, True, "fused"),
    "sapphirerapids": (64, 32, True, True, "fused"),
}


@pytest.fixture
def no_settings(monkeypatch):
    for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_ENABLE_AVX"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@x86
@pytest.mark.parametrize("name", CPUS)
def test_known_cpus(name):
    vector_bytes, registers, fma, f16c, shorts = CPUS[name]
    cpu = machine.describe(name, "")
    items = {"f4": 4, "f8": 8, "i4": 4, "i8": 8}
    assert cpu.lanes == {scalar: vector_bytes // size for scalar, size in items.items()}
    assert (cpu.registers, cpu.fma, cpu.f16c, cpu.shorts) == (registers, fma, f16c, shorts)


@x86
def test_host(no_settings):
    """What LLVM emits agrees with the features that it reports."""
    name, features = machine._target()
    known, cpu = llvm.get_host_cpu_features(), machine.describe(name, features)
    assert (name, features) == (llvm.get_host_cpu_name(), known.flatten()) or "-avx" in features
    assert cpu.lanes["f4"] == (16 if known["avx512f"] else 8 if known["avx"] else 4)
    assert (cpu.fma, cpu.f16c) == (known["fma"], known["f16c"])


def test_one_machine_a_process():
    assert machine.machine() is machine.machine()
    assert hash(machine.machine())
    assert 1 << 12 < machine.machine().l1_bytes < machine.machine().l2_bytes < 1 << 30


@x86
def test_numba_settings(no_settings):
    host, known = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    no_settings.setenv("NUMBA_CPU_NAME", "haswell")
    assert machine._target() == ("haswell", "" if host != "haswell" else known)
    no_settings.setenv("NUMBA_ENABLE_AVX", "0")
    cpu = machine.describe(*machine._target())
    assert (cpu.lanes["f4"], cpu.fma, cpu.f16c) == (4, False, False)
    no_settings.setenv("NUMBA_CPU_FEATURES", "+sse4.2")
    assert machine._target() == ("haswell", "+sse4.2")
    no_settings.delenv("NUMBA_CPU_NAME")
    assert machine._target() == (host, "+sse4.2")
    no_settings.delenv("NUMBA_CPU_FEATURES")
    cpu = machine.describe(*machine._target())
    assert (cpu.lanes["f4"], cpu.fma, cpu.f16c) == (4, False, False)
    no_settings.setenv("NUMBA_CPU_NAME", "generic")
    no_settings.setenv("NUMBA_ENABLE_AVX", "1")
    assert machine._target() == ("generic", "")


@x86
@pytest.mark.parametrize("name, register", [("nehalem", "xmm"), ("haswell", "ymm"), ("skylake-avx512", "zmm")])
def test_code_is_for_the_named_cpu(name, register):
    """The peak loop, compiled in a process that is told another CPU: full vectors, nothing spilled, no libm."""
    assembly = run_script(
        """
        from numconv.cpu import cache
        from numconv.cpu.machine import machine
        cpu = machine()
        print(cache.emit_assembly("peak.multiply_adds", "f4", 12, cpu.lanes["f4"], cpu.fma))
        """,
        NUMBA_CPU_NAME=name,
    )
    operation = "addps" if name == "nehalem" else "vfmadd"
    assert len(re.findall(rf"{operation}.*%{register}\d+", assembly)) >= 12
    assert not re.search(rf"mov[au]p[sd]\s+%{register}\d+, -?\d*\(%rsp\)", assembly)
    assert "fmaf" not in assembly


@x86
def test_assembly_for_another_cpu():
    arguments = ("peak.multiply_adds", "f8", 12, 4, True)
    assert "ymm" in cache.emit_assembly(*arguments, cpu="haswell")
    assert "vfmadd" not in cache.emit_assembly(*arguments, cpu="haswell", features="-fma")


@pytest.mark.parametrize("threads", [1, 2])
def test_peaks(threads):
    for scalar in ("f4", "f8"):
        assert 1e8 < measure.fma_peak(scalar, threads) < 1e13 * threads
    assert 1e7 < measure.copy_bandwidth(threads, 1 << 20) < 1e13


def test_peak_does_its_work():
    """Every multiply-add of the loop counts: x + steps * x * x, exactly."""
    run_script(
        """
        import ctypes
        import numpy as np
        from numconv.cpu import cache
        from numconv.cpu.machine import machine
        from tests.running import record
        cpu = machine()
        for scalar in ("f4", "f8"):
            lanes = cpu.lanes[scalar]
            address = cache.address("peak.multiply_adds", scalar, 12, lanes, cpu.fma)
            kernel = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(address)
            x, out = np.arange(1, 12 * lanes + 1).astype(scalar), np.full(12 * lanes, np.nan, scalar)
            call = record(x=x.ctypes.data, workspace=out.ctypes.data)
            for steps in (0, 1, 2, 7, 1000):
                kernel(steps, call.ctypes.data, 0, 0)
                assert (out == x + steps * x[0] * np.tile(x[:lanes], 12)).all()
        """
    )
