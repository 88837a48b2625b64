"""The CPU that kernels are compiled for, as LLVM sees it.

`lanes`, `registers`, `fma` and `f16c` are asked of LLVM itself: a probe is compiled and its assembly read (4 ms), so
they hold for any CPU that NUMBA_CPU_NAME may name. Cache sizes are those of the machine we run on: they may decide
block sizes and whatever else changes speed, never anything that changes bits.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import llvmlite.binding as llvm

from .._forks import hold_across_forks
from . import native

_PROBE = """
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
define <16 x float> @widest(<16 x float> %a) {
  %sum = fadd <16 x float> %a, %a
  %fma = call <16 x float> @llvm.fma.v16f32(<16 x float> %a, <16 x float> %a, <16 x float> %sum)
  ret <16 x float> %fma
}
define half @halves(half %h, float %f) {
  %wide = fpext half %h to float
  %sum = fadd float %wide, %f
  %narrow = fptrunc float %sum to half
  ret half %narrow
}
"""

_SHORTS = """
declare <4 x i32> @llvm.x86.sse2.pmadd.wd(<8 x i16>, <8 x i16>)
define <4 x i32> @shorts(<8 x i16> %a, <8 x i16> %b, <4 x i32> %c) {
  %products = call <4 x i32> @llvm.x86.sse2.pmadd.wd(<8 x i16> %a, <8 x i16> %b)
  %sum = add <4 x i32> %products, %c
  ret <4 x i32> %sum
}
"""

# Virtual machines report AVX under these names where it is slow or absent; Numba disables it there (its #9582).
_NO_AVX = {"corei7-avx", "core-avx-i", "sandybridge", "ivybridge", "nocona"}


@dataclass(frozen=True)
class Machine:
    """One CPU: `name` and `features` as LLVM's target machine takes them; `lanes` of a vector by scalar code."""

    name: str
    features: str
    lanes: dict[str, int] = field(hash=False)
    registers: int
    fma: bool
    f16c: bool
    shorts: str  # adding products of int16 to int32: "fused" (VNNI), "pairs" (two instructions), or "" (none of these)
    l1_bytes: int
    l2_bytes: int


@lru_cache(maxsize=1)
def machine() -> Machine:
    """The CPU that this process compiles for."""
    with _asking:
        return describe(*_target())


def describe(name: str, features: str) -> Machine:
    """What LLVM emits for a CPU: its widest registers, and whether fma and float16 are instructions or calls."""
    assembly = native.emit_assembly(_PROBE, name, features)
    vector_bytes = 64 if "zmm" in assembly else 32 if "ymm" in assembly else 16
    return Machine(
        name=name,
        features=features,
        lanes={"f4": vector_bytes // 4, "f8": vector_bytes // 8, "i4": vector_bytes // 4, "i8": vector_bytes // 8},
        registers=32 if vector_bytes == 64 or llvm.get_default_triple().startswith(("aarch64", "arm64")) else 16,
        fma="fmaf" not in assembly,
        f16c="__" not in assembly,  # __extendhfsf2, __truncsfhf2
        shorts=_shorts(name, features),
        l1_bytes=_cache_bytes(1, 32 << 10),
        l2_bytes=_cache_bytes(2, 512 << 10),
    )


def _shorts(name: str, features: str) -> str:
    """`Machine.shorts`."""
    if not llvm.get_default_triple().startswith(("x86", "i686", "amd64")):
        return ""
    return "fused" if "vpdpwssd" in native.emit_assembly(_SHORTS, name, features) else "pairs"


def _target() -> tuple[str, str]:
    """CPU name and features by Numba's environment variables, with two differences.

    A named CPU has its own features: Numba adds those of the host ("haswell" with AVX-512). And where AVX is disabled
    it is: Numba's "-avx" comes before "+fma", which brings it back.
    """
    name, features = os.environ.get("NUMBA_CPU_NAME"), os.environ.get("NUMBA_CPU_FEATURES")
    host, known = llvm.get_host_cpu_name(), llvm.get_host_cpu_features()
    cpu = host if name is None else name
    if features is not None:
        return cpu, features
    use_avx = "avx" not in known or int(os.environ.get("NUMBA_ENABLE_AVX", cpu not in _NO_AVX))
    return cpu, ",".join([known.flatten()] * (cpu == host) + ["-avx"] * (not use_avx))


def _cache_bytes(level: int, default: int) -> int:
    """Size of the data cache of a level, as Linux tells it: "48K"."""
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            if (index / "level").read_text().strip() == str(level) and "Inst" not in (index / "type").read_text():
                size = (index / "size").read_text().strip()
                return int(size.rstrip("KM")) << (20 if size.endswith("M") else 10)
        except (OSError, ValueError):
            continue
    return default


_asking = threading.RLock()  # held across a fork: LLVM has a lock of its own
hold_across_forks(_asking)
