"""A target of Numba's for kernels: what they need of its compiler, and nothing else.

The time of a first call is that of compiling. Against Numba's own target this one knows arithmetic, tuples, records and
ranges alone (no arrays, so that SciPy is not imported for them, nor NumPy's universal functions tried for every `+`),
and remembers the type of each sum; variables keep one type, so that there is no static single assignment; functions
have no wrappers; nothing counts references, so that nothing has to know where a variable ends; those that kernels
inline are linked and optimised there, once, not by themselves before; and machine code is made once, by `native`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import llvmlite.binding as llvm
from numba.core import cpu, typed_passes, types, typing, untyped_passes
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager
from numba.core.descriptors import TargetDescriptor
from numba.core.dispatcher import Dispatcher
from numba.core.imputils import Registry
from numba.core.target_extension import CPU, dispatcher_registry, jit_registry, target_registry

_OPTIONS = {
    "nopython": True, "error_model": "numpy", "boundscheck": False, "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True, "_nrt": False,
}  # fmt: skip


ENTRY = "cfunc.kernel"
_NAME = "numconv"


class _Processor(CPU):
    """The name of the target in Numba's registry, where intrinsics look for it."""


class _Library(JITCodeLibrary):
    """IR that is linked into a kernel, or handed to `native`; never to a JIT engine."""

    def _optimize_functions(self, ll_module: Any) -> None:
        """Not by themselves: what is inlined is optimised there."""

    def finalize(self) -> None:
        """Nothing: `linked` puts together what a kernel calls."""
        self._finalized = True

    def linked(self) -> llvm.ModuleRef:
        """The kernel's module with all that it calls, and that they call, once each."""
        seen, left = set(), [*self._linking_libraries]
        while left:
            library = left.pop()
            if library not in seen:
                seen.add(library)
                left += library._linking_libraries
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        return self._final_module

    def get_pointer_to_function(self, name: str) -> int:
        """Of a wrapper, and there are none."""
        self._ensure_finalized()
        return 0


class _Codegen(JITCPUCodegen):
    _library_class = _Library

    def set_env(self, env_name: str, env: Any) -> None:
        """Nothing: kernels have no use for Python's globals."""


_typed, _lowered = typing.templates.Registry(), Registry("numconv")


def _choose(function: Any, operator: str) -> None:
    """Have min or max of two int64 lowered to a comparison; Numba compiles a function for each pair of types."""

    class Template(typing.templates.ConcreteTemplate):
        key, metadata, exact_match_required = function, {"target": _NAME}, True
        cases = [typing.signature(types.int64, types.int64, types.int64)]  # noqa: RUF012

    _typed.register_global(function, types.Function(Template))

    @_lowered.lower(function, types.int64, types.int64)
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.icmp_signed(operator, *args), *args)


_choose(min, "<")
_choose(max, ">")


class _TypingContext(typing.BaseContext):
    """Python's own operators and functions, and those of `math`."""

    def __init__(self) -> None:
        super().__init__()
        self._resolved: dict[tuple, typing.Signature] = {}

    def load_additional_registries(self) -> None:
        """What is not built in."""
        from numba.core.typing import mathdecl

        self.install_registry(mathdecl.registry)
        self.install_registry(_typed)

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        """As the base class, once for each operator or function and its arguments: kernels have a thousand sums."""
        if kws or isinstance(func, types.Dispatcher):
            return super().resolve_function_type(func, args, kws)
        key = func, tuple(args)
        found = self._resolved.get(key)
        if found is None:
            found = super().resolve_function_type(func, args, kws)
            if found is not None:
                self._resolved[key] = found
        return found


class _TargetContext(cpu.CPUContext):
    def init(self) -> None:
        """As the base class, without its code generator and the C library's functions."""
        self.is32bit = False
        self._internal_codegen = _Codegen("numconv")

    def load_additional_registries(self) -> None:
        """Modules that register what they lower as they are imported."""
        from numba.core import optional  # noqa: F401
        from numba.cpython import builtins, iterators, mathimpl, numbers, rangeobj, tupleobj  # noqa: F401
        from numba.misc import literal  # noqa: F401
        from numba.np import arrayobj  # noqa: F401

        self.install_registry(mathimpl.registry)
        self.install_registry(_lowered)

    def insert_user_function(self, func: Any, fndesc: Any, libs: Any = ()) -> None:
        """A call that asks for no status afterwards, as kernels raise nothing: less IR to write, parse and remove."""

        def call(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            function = context.declare_function(builder.module, fndesc)
            _, value = context.call_conv.call_function(builder, function, fndesc.restype, fndesc.argtypes, args)
            return value

        call.signature, call.libs = fndesc.argtypes, tuple(libs)  # type: ignore[attr-defined]
        self._defns[func].append(call, fndesc.argtypes)


class _Target(TargetDescriptor):
    options = cpu.CPUTargetOptions

    @cached_property
    def typing_context(self) -> typing.BaseContext:
        """What is known of types."""
        return _TypingContext()

    @cached_property
    def target_context(self) -> cpu.CPUContext:
        """How it is lowered."""
        return _TargetContext(self.typing_context, _NAME)


class _Compiler(CompilerBase):
    """The passes of Numba's compiler that kernels need: 11 of 28."""

    def define_pipelines(self) -> list[PassManager]:
        """From bytecode to LLVM IR."""
        every = PassManager("kernel")
        for stage in (
            untyped_passes.TranslateByteCode, untyped_passes.FixupArgs, untyped_passes.IRProcessing,
            untyped_passes.RewriteSemanticConstants, untyped_passes.DeadBranchPrune,
            untyped_passes.InlineInlinables, untyped_passes.DeadBranchPrune, untyped_passes.FindLiterallyCalls,
            typed_passes.NopythonTypeInference, typed_passes.NativeLowering, typed_passes.NoPythonBackend,
        ):  # fmt: skip
            every.add_pass(stage, stage.__name__)
        every.finalize()
        return [every]


class Kernel(Dispatcher):
    """A function that is compiled by this target, as ``njit`` makes them by Numba's own; also NUMBA_DISABLE_JIT=1."""

    targetdescr = _Target(_NAME)


def _compiled(function: Any, **options: Any) -> Kernel:
    return Kernel(function, targetoptions=_OPTIONS | options, pipeline_class=_Compiler)


target_registry[_NAME] = _Processor
dispatcher_registry[_Processor] = Kernel


def _jit(*_: Any, **options: Any) -> Any:
    """What Numba decorates its own functions with, where kernels call one."""
    return inlined


jit_registry[_Processor] = _jit


def inlined(function: Any) -> Kernel:
    """For functions that kernels call: only forced inlining leaves no trace of Python's exceptions in object code."""
    return _compiled(function, forceinline=True)


def expanded(function: Any) -> Kernel:
    """The same for functions that take a tile: expanded before typing.

    As an argument of a call, forced inline or not, the first vector of a tile arrives as poison (Numba 0.68, LLVM 22);
    literals stay literal.
    """
    return _compiled(function, inline="always")


@contextmanager
def _no_collector() -> Iterator[None]:
    """Compilers make much that is kept: looking for garbage among it takes 7 % of their time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _optimize(codegen: JITCPUCodegen, module: llvm.ModuleRef) -> None:
    """Functions are inlined and their loops rotated, then LLVM's level 2.

    Without the first pass the method fft took 4 % longer; level 3 takes 8 % more time to compile, and no kernel was
    faster by it. Functions that are optimised before they are inlined, as Numba does it, took twice the time, and four
    times the code in the job of pixels in lanes.
    """
    first = codegen._pass_builder(opt=0, loop_vectorize=False)
    passes = first.getModulePassManager()
    passes.add_loop_rotate_pass()
    passes.add_instruction_combine_pass()
    passes.run(module, first)
    second = codegen._pass_builder(opt=2)
    second.getModulePassManager().run(module, second)


def kernel_ir(function: Any) -> str:
    """LLVM's optimised IR of a function of int64 arguments that returns nothing, with one exported symbol.

    Kernels raise no exceptions: the wrapper drops the status word that Numba's functions return.
    """
    arguments = function.__code__.co_argcount
    kernel = _compiled(function)
    with _no_collector():
        kernel.compile(types.void(*[types.int64] * arguments))
    (compiled,) = kernel.overloads.values()
    inner, library = compiled.fndesc.mangled_name, compiled.library
    module = library.linked()
    given = ", ".join(f"i64 %{i}" for i in range(arguments))
    wrapper = f"""
        declare i32 @"{inner}"(ptr, ptr, {", ".join(["i64"] * arguments)})
        define void @{ENTRY}({given}) {{
          %status = alloca ptr
          call i32 @"{inner}"(ptr %status, ptr null, {given})
          ret void
        }}
        """
    module.link_in(llvm.parse_assembly(wrapper))
    module.get_function(inner).linkage = "internal"

    _optimize(library._codegen, module)
    return str(module)
