"""Register tiles stay in registers: the assembly of every micro-kernel, for CPUs at hand and elsewhere."""

from __future__ import annotations

import json
import re

import llvmlite.binding as llvm
import pytest

from numconv.cpu import tiles

from .running import run_script

EMIT = """
    import json, sys
    from numconv.cpu import cache, tiles
    from numconv.cpu.machine import machine
    cpu = machine()
    kernels = {"filters.micro": tiles.FILTERS, "pixels.filters_by_pixels": tiles.PIXELS}
    for scalar in ("f4", "f8", "i4"):
        for kernel, table in kernels.items():
            for rows, vecs in tiles.shapes(table, cpu):
                params = (scalar, rows, vecs, cpu.lanes[scalar], cpu.fma, False)
                together = 1 if scalar == "i4" and cpu.shorts != "fused" else 4
                params += (together,) if kernel == "filters.micro" else ("",)
                assembly = cache.emit_assembly(kernel, *params)
                print(json.dumps([kernel, scalar, rows, vecs, assembly]))
"""
VECTOR = {"haswell": "ymm", "znver3": "ymm", "skylake-avx512": "zmm", "sapphirerapids": "zmm", "znver4": "zmm"}


def loops(assembly):
    """Basic blocks, as lists of lines."""
    return [block.splitlines() for block in re.split(r"\n(?=[.\w$]+:)", assembly)]


def fmas(block, register):
    """Multiply-adds; of int16 in two instructions where a CPU has no better."""
    return [line for line in block if re.search("vfmadd|vpdpwssd|vpmaddwd", line) and register in line]


@pytest.mark.parametrize("cpu", VECTOR)
def test_micro_kernels_fill_the_registers_and_spill_none(cpu):
    register = VECTOR[cpu]
    lines = run_script(EMIT, NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES="", timeout=120).splitlines()
    assert len(lines) >= 18
    for kernel, scalar, rows, vecs, assembly in map(json.loads, lines):
        inner = max(loops(assembly), key=lambda block: len(fmas(block, register)))
        count = len(fmas(inner, register))
        assert count and count % (rows * vecs) == 0, (kernel, scalar, rows, vecs, count)
        spills = [line for line in inner if register in line and re.search(r"\(%[re]sp", line)]
        if scalar == "i4" and cpu in ("haswell", "znver3"):
            continue  # products need a register of their own before they are added: 16 are too few
        assert not spills, (kernel, scalar, rows, vecs, spills)


def test_neon_is_emitted_without_spills():
    """Offline: the tile of 32 registers of four lanes, from the same IR, for AArch64."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
    except RuntimeError as error:
        pytest.skip(f"this LLVM has no AArch64: {error}")
    rows, vecs = tiles.FILTERS[32][0]
    script = f"""
        from numconv.cpu.target import kernel_ir
        from numconv.cpu.kernels import filters
        print(kernel_ir(filters.micro("f4", {rows}, {vecs}, 4, True, False, 4)))
    """
    ir = run_script(script, NUMBA_CPU_NAME="nehalem", NUMBA_CPU_FEATURES="")
    ir = re.sub(r"^target (triple|datalayout).*$", "", ir, flags=re.MULTILINE)
    ir = re.sub(r'"target-(cpu|features)"="[^"]*"', "", ir)
    module = llvm.parse_assembly(ir)
    machine = target.create_target_machine(cpu="neoverse-n1", features="", opt=3)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    inner = max(loops(machine.emit_assembly(module)), key=lambda block: sum("fmla" in line for line in block))
    assert sum("fmla" in line for line in inner) % (rows * vecs) == 0
    assert not [line for line in inner if re.search(r"\bq\d+, .*\[sp", line)]


def test_table_fits_the_registers():
    for table in (tiles.FILTERS, tiles.PIXELS, tiles.ROWS):
        for registers, shapes in table.items():
            for rows, vecs in shapes:
                assert rows * vecs + vecs + 1 <= registers
    for registers, shapes in tiles.PLANES.items():  # a vector may be read when it is needed
        for rows, vecs in shapes:
            assert rows * vecs + 2 <= registers
