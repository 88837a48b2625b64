"""LLVM through llvmlite alone: IR to object code for one CPU, object code to an address. Numba need not be loaded.

The options of the target machine are those of Numba's JIT. Object code, never IR, is what the cache keeps and what is
run, so that a cold and a warm process execute the same bytes.
"""

from __future__ import annotations

import struct

import llvmlite.binding as llvm

SYMBOL = "kernel"
"""What the entry point of every object is called."""

# LLVM turns loops into the first three by itself; the C library under every Python has them. The others name tables.
ALLOWED = {"memcpy", "memmove", "memset", "_GLOBAL_OFFSET_TABLE_", ".TOC."}

_ENGINES: list[llvm.ExecutionEngine] = []  # for the life of the process: a worker may be running in any of them


class NotObjectCode(RuntimeError):
    """Bytes that are no object, or one without an entry point."""


def target_machine(cpu: str, features: str) -> llvm.TargetMachine:
    """LLVM's code generator for a CPU; `features` is added to what LLVM knows of `cpu`."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    reloc = "static" if target.name.startswith("x86") else "pic" if target.name.startswith("ppc") else "default"
    return target.create_target_machine(cpu, features, opt=3, reloc=reloc, codemodel="jitdefault", jit=True)


def emit_object(ir: str, cpu: str, features: str) -> bytes:
    """Object code of a module whose entry point is the function ``cfunc.*``; only `ALLOWED` may stay undefined."""
    module = _module(ir)
    missing = {f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")}
    code = target_machine(cpu, features).emit_object(module)
    missing |= _undefined(code)
    if not missing <= ALLOWED:
        raise RuntimeError(f"the kernel calls what object code must not need: {', '.join(sorted(missing - ALLOWED))}")
    return code


def emit_assembly(ir: str, cpu: str, features: str) -> str:
    """Assembly of a module, for tests of vector width and spills."""
    return target_machine(cpu, features).emit_assembly(_module(ir))


def load(code: bytes) -> int:
    """The address of the entry point of an object, once it lies in executable memory."""
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine("", ""))
    found = llvm.ObjectFileRef.from_data(code)
    if not found._ptr:  # llvmlite does not say so, and crashes with it
        raise NotObjectCode("not an object file")
    engine.add_object_file(found)
    engine.finalize_object()
    _ENGINES.append(engine)
    address = engine.get_function_address(SYMBOL)
    if not address:
        raise NotObjectCode(f"no symbol {SYMBOL}")
    return address


def _module(ir: str) -> llvm.ModuleRef:
    module = llvm.parse_assembly(ir)
    for function in module.functions:
        if function.name.startswith("cfunc."):
            function.name = SYMBOL
    return module


def _undefined(code: bytes) -> set[str]:
    """Undefined symbols of an ELF object: libm and compiler-rt calls that LLVM makes of ``llvm.fma`` or ``fpext``.

    Mach-O has no symbol table among its sections; there the declarations of the IR must do.
    """
    sections = {section.name(): section.data() for section in llvm.ObjectFileRef.from_data(code).sections()}
    names = sections.get(b".strtab", b"")
    entries = struct.iter_unpack("=IBBHQQ", sections.get(b".symtab", b""))  # Elf64_Sym; section 0 is "undefined"
    return {names[at : names.index(b"\0", at)].decode() for at, _, _, section, _, _ in entries if at and section == 0}
