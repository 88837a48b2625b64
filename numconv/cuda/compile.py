"""From a kernel to code of a GPU: PTX by Numba, a cubin by nvJitLink, kept on disk. No driver is asked."""

from __future__ import annotations

import importlib
import re
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..cpu import store
from .kernels.kernel import Kernel

_TOOLS = ("numba", "numba-cuda", "llvmlite", "cuda-core", "nvidia-nvvm", "nvidia-nvjitlink")

Parameter = int | str | bool


def make(factory: str, *parameters: Parameter) -> Kernel:
    """The kernel of "module.function" below `kernels`."""
    module, _, function = factory.rpartition(".")
    return getattr(importlib.import_module(f"{__package__}.kernels.{module}"), function)(*parameters)


def cubin(arch: tuple[int, int], factory: str, *parameters: Parameter) -> tuple[str, bytes]:
    """(name of the entry, code) of a kernel for a compute capability."""
    key = repr((factory, parameters, arch, _environment()))
    kept = store.read(f"cuda.{factory}", key)
    if kept is None:
        name, code = compiled(arch, make(factory, *parameters))
        store.write(f"cuda.{factory}", key, name.encode() + b"\n" + code)
        return name, code
    entry, _, code = kept.partition(b"\n")
    return entry.decode(), code


def compiled(arch: tuple[int, int], kernel: Kernel) -> tuple[str, bytes]:
    """As `cubin`, anew."""
    text = ptx(arch, kernel)
    return entry_of(text), linked(arch, text)[0]


def linked(arch: tuple[int, int], text: str) -> tuple[bytes, str]:
    """(code, what the compiler says of registers and memory) of PTX."""
    from cuda.core import Linker, LinkerOptions, ObjectCode

    suffix = "a" if f".target sm_{arch[0]}{arch[1]}a" in text else ""
    options = LinkerOptions(arch=f"sm_{arch[0]}{arch[1]}{suffix}", verbose=True)
    linker = Linker(ObjectCode.from_ptx(text.encode()), options=options)
    code = linker.link("cubin").code
    return bytes(code), linker.get_info_log()


def ptx(arch: tuple[int, int], kernel: Kernel) -> str:
    """PTX of a kernel. Sums are as written: nothing is contracted or reordered but what `ops` fuses."""
    from numba import cuda

    bounds, target = (kernel.threads, _fitting(arch, kernel)), (*arch, "a") if kernel.specific else arch
    text, _ = cuda.compile(
        kernel.function, signature(kernel), device=False, abi="numba", output="ptx", cc=target, launch_bounds=bounds
    )
    return text


def _fitting(arch: tuple[int, int], kernel: Kernel) -> int:
    """Blocks that are to fit a multiprocessor, which bounds registers: no more than its shared memory is enough for."""
    shared_bytes = {(8, 0): 164, (8, 7): 164, (9, 0): 228, (10, 0): 228}.get(arch, 100) << 10
    return max(1, min(kernel.blocks, shared_bytes // (kernel.dynamic + 1024)))


def signature(kernel: Kernel) -> Any:
    """Numba's signature of the arguments."""
    from numba.cuda import types

    from .ops.gpu import numba_type

    def of(dtype: str, count: int) -> Any:
        kind = numba_type(dtype)
        return types.UniTuple(kind, count) if count else types.CPointer(kind)

    return types.void(*(of(*argument) for argument in kernel.arguments))


def entry_of(text: str) -> str:
    """The name of the only kernel in PTX."""
    found = re.search(r"\.entry\s+(\S+)\(", text)
    if found is None:
        raise ValueError("PTX without an entry")
    return found.group(1)


@lru_cache(maxsize=1)
def _environment() -> tuple[str, ...]:
    """What all code depends on: the sources it is made of, and the tools."""
    here, sources = Path(__file__).parent, sha256()
    for path in sorted([*here.glob("kernels/*.py"), *here.glob("ops/*.py"), here / "compile.py"]):
        sources.update(path.name.encode() + b"\0" + path.read_bytes())
    return sources.hexdigest(), *map(_version, _TOOLS)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
