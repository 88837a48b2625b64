"""From a kernel to LLVM IR with one exported symbol: here Numba's compiler starts."""

from __future__ import annotations

import re
from types import FunctionType

ENTRY = "cfunc.kernel"


def kernel_ir(kernel: FunctionType) -> str:
    """Optimised IR of a function of int64 arguments that returns nothing.

    Numba's own C wrapper (`cfunc`) reports exceptions to Python, and object code that is loaded without Numba cannot
    do so. Kernels raise none: a wrapper of our own drops the status word.
    """
    import numba
    from numba.core.registry import CPUDispatcher  # what `njit` makes, also under NUMBA_DISABLE_JIT=1

    arguments = kernel.__code__.co_argcount
    signature = numba.void(*[numba.int64] * arguments)
    options = {"nopython": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled = CPUDispatcher(kernel, targetoptions=options)
    compiled.compile(signature)
    ir = compiled.inspect_llvm(compiled.signatures[0])
    inner = re.search(r'^define [^@\n]*i32 @("[^"]+"|[\w.$]+)\(', ir, re.MULTILINE)
    if inner is None:
        raise RuntimeError(f"no function in the IR of {kernel.__qualname__}")
    given = ", ".join(f"i64 %{i}" for i in range(arguments))
    return f"""{ir}
define void @{ENTRY}({given}) {{
  %status = alloca ptr
  call i32 @{inner.group(1)}(ptr %status, ptr null, {given})
  ret void
}}
"""
