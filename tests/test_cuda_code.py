"""Kernels compiled for GPUs that are not here: nothing spilled, nothing called, and the instructions that are meant."""

from __future__ import annotations

import pytest

from numconv.cuda.launch import Job

from .gpu_jobs import architectures, compiled, job_of, named

SMOOTH = ("sigmoid", "gelu")
"""Activations whose division and special functions are called."""
GROUPED = ((1, 9, 9, 9, 70), (3, 3, 3, 7, 40))
GENERIC = [
    *((f"{d}.{f or 'last'}", GROUPED, {"x_dtype": d, "overflow": "wrap"} | extra_, f)
      for d in ("float32", "float64", "complex64", "complex128", "float16", "int8", "uint64")
      for f, extra_ in (("", {}), ("wrap", {"padding": 1, "pad_mode": "wrap"}))),
    ("to uint8", GROUPED, {"result": "uint8", "overflow": "saturate"}, ""),
    ("to int16", GROUPED, {"result": "int16", "overflow": "wrap"}, ""),
    *((name, GROUPED, {"activation": name}, "") for name in ("leaky_relu", *SMOOTH)),
]  # fmt: skip


@architectures
@pytest.mark.parametrize(
    ("name", "shapes", "options", "mode"), GENERIC, ids=lambda value: value if isinstance(value, str) else ""
)
def test_generic(arch, name, shapes, options, mode):
    kernel, job = job_of(*shapes, groups=10, **options)
    assert kernel == "generic"
    code = compiled(arch, job)
    assert (code.counts["CALL"] > 0) <= (name in SMOOTH)
    kind = {"float64": "DFMA", "complex128": "DFMA", "int8": "IMAD", "uint64": "IMAD"}.get(
        options.get("x_dtype"), "FFMA"
    )
    assert code.counts[kind] > 1
    assert code.registers <= (80 if options.get("x_dtype") != "complex128" else 128)


@architectures
@pytest.mark.parametrize(
    ("feature", "instruction", "count"),
    [("copies", "LDGSTS", 3), ("tf32", "HMMA", 2), ("bf16", "HMMA", 2), ("doubles", "DMMA", 1)],
)
def test_probes(arch, feature, instruction, count):
    """They have the instructions that they are about."""
    from numconv.cuda import launch, probes

    probe = probes.PROBES[feature]
    code = compiled(arch, launch.Job(probe.factory, probe.parameters, (1, 1, 1), ()))
    assert code.counts[instruction] == (8 if (feature, arch) == ("doubles", (8, 0)) else count)


OTHERS = [
    ("weights of groups", "copies.make", ("float16", False)),
    ("conjugated weights", "copies.make", ("complex64", True)),
    ("packed float64", "double.packing", ("float64", "float64", "ff", 64)),
    ("packed complex128", "double.packing", ("complex128", "float64", "cc", 64)),
    ("complex weights", "complex_weights.make", ("complex64", "cc")),
    ("complex bias", "complex_weights.bias", ("float32", "float64")),
    ("folds", "fold.make", ("float32", "float16", True)),
    ("complex folds", "fold.make", ("complex128", "complex128", False)),
    ("rows' largest", "reduce.rows", ("float32", "max", "float32", True)),
    ("rows' sums", "reduce.rows", ("float16", "mean", "float64", False)),
    ("rows' counts", "reduce.rows", ("uint64", "ppv", "int64", False)),
    ("staged rows' largest", "reduce.staged", ("float64", "max", "float64")),
    ("staged rows' sums", "reduce.staged", ("float32", "mean", "float64")),
    ("largest", "reduce.columns", ("uint64", "max", "int64", "saturate", True)),
    ("means", "reduce.columns", ("float64", "mean", "float16", "raise", True)),
    ("shares", "reduce.columns", ("int64", "ppv", "float32", "raise", False)),
]


@pytest.mark.parametrize(("name", "factory", "parameters"), OTHERS, ids=named)
def test_what_comes_before_and_after(name, factory, parameters):
    """No division of 64-bit integers, which is called; that of float64 is for numbers out of the ordinary."""
    code = compiled((9, 0), Job(factory, parameters, (1, 1, 1), ()))
    assert (code.counts["CALL"] > 0) <= (name in ("means", "shares"))
    assert code.registers <= (96 if "complex128" in parameters else 64)
