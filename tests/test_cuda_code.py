"""Kernels compiled for GPUs that are not here: nothing spilled, nothing called, and the instructions that are meant."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from numconv._arguments import conv_problem
from numconv._frames import ConvFrame
from numconv._types import operand_types
from numconv._views import canonical
from numconv.cuda import compile as compiler
from numconv.cuda import extra, methods
from numconv.cuda.arrays import Given, contiguous
from numconv.cuda.launch import Job
from numconv.cuda.places import Place

missing = extra._missing() or ("" if importlib.util.find_spec("cuda.pathfinder") else "cuda-pathfinder is missing")
if missing:
    pytest.skip(f'kernels are compiled with pip install "numconv[cuda-test]": {missing}', allow_module_level=True)

REGISTERS = 65536
ARCHITECTURES = ((8, 0), (9, 0))
SMOOTH = ("sigmoid", "gelu")
"""Activations whose division and special functions are called."""

FIRST = {"data_format": "channels_first"}


def job_of(*shapes, **options):
    """The last launch of a call with contiguous arrays."""
    name, found = launches_of(*shapes, **options)
    return name, found.steps[-1].job


def launches_of(
    x_shape, w_shape, x_dtype="float32", w_dtype=None, result=None, bias=True, precision="ieee", **options
):  # fmt: skip
    """Those of a call."""
    ndim, w_dtype = len(w_shape) - 2, w_dtype or x_dtype
    x, w = np.dtype(x_dtype), np.dtype(w_dtype)
    channels_first = options.get("data_format") == "channels_first"
    filters = w_shape[0 if channels_first else -1]
    kind = operand_types(x, w)[0]
    problem, _ = conv_problem(
        f"conv{ndim}d", ndim, x_shape, x, w_shape, w, bias_shape=(filters,) if bias else None,
        bias_dtype=kind if bias else None, dtype=result, **options,
    )  # fmt: skip
    problem = problem.permitting(precision)
    frame = ConvFrame.of(problem, True)

    def place(shape, dtype, axes=None):
        found = Place.of(Given(shape, contiguous(shape, dtype.itemsize), dtype, 1 << 40, 0))
        return found if axes is None else found.seen(canonical(found.view, axes))

    kernel = (*problem.kernel, problem.group_channels, problem.filters)
    places = {
        "x": place(x_shape, x, frame.axes), "w": place(kernel, w),
        "out": place(frame.out_shape(x_shape), problem.result, frame.axes),
    } | ({"bias": place((filters,), kind)} if bias else {})  # fmt: skip
    name = methods.chosen("test", problem, places["x"], places["out"])
    method = methods.KERNELS[name]
    places |= {key: place(table.shape, table.dtype) for key, table in method.tables(problem, places).items()}
    return name, method.launches(problem, places)


GROUPED = ((1, 9, 9, 9, 70), (3, 3, 3, 7, 40))
GENERIC = [
    *((f"{d}.{f or 'last'}", GROUPED, {"x_dtype": d, "overflow": "wrap"} | extra_, f)
      for d in ("float32", "float64", "complex64", "complex128", "float16", "int8", "uint64")
      for f, extra_ in (("", {}), ("wrap", {"padding": 1, "pad_mode": "wrap"}))),
    ("to uint8", GROUPED, {"result": "uint8", "overflow": "saturate"}, ""),
    ("to int16", GROUPED, {"result": "int16", "overflow": "wrap"}, ""),
    *((name, GROUPED, {"activation": name}, "") for name in ("leaky_relu", *SMOOTH)),
]  # fmt: skip
WRAPPED = {"result": "int32", "overflow": "wrap"}
DENSE = [
    ("3x3x128 last", ((32, 56, 56, 128), (3, 3, 128, 256)), {}, "units", (128, 128), 0.9),
    ("3x3x128 first", ((32, 128, 56, 56), (256, 128, 3, 3)), FIRST, "singles", (128, 128), 0.89),
    ("3x3x64 last", ((32, 56, 56, 64), (3, 3, 64, 64)), {}, "units", (64, 128), 0.9),
    ("3x3x32 last", ((32, 56, 56, 32), (3, 3, 32, 32)), {}, "units", (32, 128), 0.89),
    ("3x3x20 last", ((32, 56, 56, 20), (3, 3, 20, 128)), {}, "units", None, 0.89),
    ("1x1x640 last", ((32, 28, 28, 640), (1, 1, 640, 256)), {}, "units", None, 0.83),
    ("split", ((1, 28, 28, 256), (3, 3, 256, 128)), {}, "units", None, 0.89),
    ("3x3x128 reflect", ((32, 56, 56, 128), (3, 3, 128, 128)), {"pad_mode": "reflect"}, "borders", None, 0.7),
    ("7x7x3 stem", ((8, 3, 224, 224), (64, 3, 7, 7)), {"stride": 2, **FIRST}, "singles", None, 0.85),
    ("half", ((32, 56, 56, 128), (3, 3, 128, 128)), {"x_dtype": "float16"}, "registers", None, 0.84),
    ("bytes", ((8, 56, 56, 16), (3, 3, 16, 32)), {"x_dtype": "uint8", "w_dtype": "float32", **WRAPPED}, "registers",
     None, 0.8),
    ("double", ((8, 56, 56, 16), (3, 3, 16, 32)), {"x_dtype": "float32", "w_dtype": "float64"}, "registers", (64, 64),
     0.7),
]  # fmt: skip
LAYER = ((8, 56, 56, 64), (3, 3, 64, 64))
DOUBLE = [
    ("last", LAYER, {}),
    ("first", ((8, 64, 56, 56), (64, 64, 3, 3)), {**FIRST, "activation": "relu"}),
    ("odd channels reflect", ((8, 56, 56, 63), (3, 3, 63, 64)), {"pad_mode": "reflect"}),
    ("1x1 few filters", ((8, 56, 56, 64), (1, 1, 64, 32)), {"bias": False}),
    ("complex", LAYER, {"x_dtype": "complex128"}),
    ("single complex", LAYER, {"x_dtype": "complex64"}),
    ("single complex first", ((8, 64, 56, 56), (64, 64, 3, 3)), {**FIRST, "x_dtype": "complex64"}),
]  # fmt: skip
COMPLEX = [
    ("complex stencil", ((8, 512, 512, 1), (5, 5, 1, 1)), {"pad_mode": "reflect"}),
    ("complex depthwise", ((8, 224, 224, 1), (3, 3, 1, 8)), {}),
    ("complex depthwise", ((8, 56, 56, 64), (3, 3, 1, 64)), {"groups": 64, "w_dtype": "float32"}),
]  # fmt: skip
BYTES = {"result": "uint8", "overflow": "saturate"}
STENCILS = [
    ("image 3x3", ((1, 1, 512, 512), (1, 1, 3, 3)), {}),
    ("image 7x7 reflect", ((1, 1, 512, 512), (1, 1, 7, 7)), {"pad_mode": "reflect"}),
    ("image 5x5 double", ((1, 1, 512, 512), (1, 1, 5, 5)), {"x_dtype": "float64"}),
    ("bytes 3x3", ((1, 1, 512, 512), (1, 1, 3, 3)), {"x_dtype": "uint8", "w_dtype": "float32", **BYTES}),
    ("bank 8x5x5", ((1, 1, 512, 512), (8, 1, 5, 5)), {"activation": "relu"}),
    ("colour 32x5x4", ((1, 3, 512, 512), (32, 3, 5, 4)), {}),
    ("first layer", ((1, 3, 224, 224), (32, 3, 3, 3)), {"stride": 2}),
    ("depthwise 3x3", ((1, 64, 56, 56), (64, 1, 3, 3)), {"groups": 64}),
    ("depthwise 14", ((1, 64, 14, 14), (64, 1, 5, 5)), {"groups": 64}),
    ("depthwise half", ((1, 64, 56, 56), (64, 1, 3, 3)), {"groups": 64, "x_dtype": "float16"}),
    ("signal 64", ((1, 1, 65536), (1, 1, 64)), {}),
    ("signal bank 32x64", ((1, 1, 65536), (32, 1, 64)), {}),
    ("signal 4 channels", ((1, 4, 65536), (8, 4, 16)), {}),
    ("signal 300", ((1, 1, 65536), (1, 1, 300)), {}),
    ("signal 4095", ((1, 1, 65536), (1, 1, 4095)), {}),
    ("image 15x15", ((1, 1, 512, 512), (1, 1, 15, 15)), {}),
    ("signal depthwise 33", ((1, 22, 512), (44, 1, 33)), {"groups": 22}),
]  # fmt: skip
DEPTHWISE = [
    ("3x3", ((64, 56, 56, 256), (3, 3, 1, 256)), {"groups": 256}),
    ("5x5", ((64, 28, 28, 256), (5, 5, 1, 256)), {"groups": 256}),
    ("7x7 reflect", ((32, 56, 56, 96), (7, 7, 1, 96)), {"groups": 96, "pad_mode": "reflect"}),
    ("3x3 half", ((64, 56, 56, 256), (3, 3, 1, 256)), {"groups": 256, "x_dtype": "float16", "stride": 2}),
    ("3x3 double", ((64, 56, 56, 256), (3, 3, 1, 256)), {"groups": 256, "x_dtype": "float64"}),
    ("1-D, 4 taps", ((8, 4096, 1024), (4, 1, 1024)), {"groups": 1024, "pad_value": 1}),
    ("first layer", ((8, 224, 224, 3), (3, 3, 3, 32)), {"stride": 2, "activation": "relu"}),
    ("to bytes", ((8, 56, 56, 64), (3, 3, 4, 64)), {"groups": 16, **BYTES}),
]  # fmt: skip


LOOPS = ("signal 64", "signal 300", "signal 4095", "image 15x15")
"""Stencils whose taps are a loop without another in it."""
OLDER = ("image 3x3", "image 7x7 reflect", "colour 32x5x4", "signal 64")
"""Stencils that are compiled for both."""
architectures = pytest.mark.parametrize("arch", ARCHITECTURES, ids=lambda arch: f"sm_{arch[0]}{arch[1]}")


def named(value):
    return value if isinstance(value, str) else ""


def compiled(arch, job):
    from .gpu_code import code_of

    code = code_of(arch, job.factory, *job.parameters)
    assert code.spilled == code.stack == 0
    assert not code.counts["LDL"] + code.counts["STL"]
    return code


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
@pytest.mark.parametrize(("name", "shapes", "options"), STENCILS, ids=named)
def test_stencil(arch, name, shapes, options):
    """Every product is one instruction; the input comes in 16 bytes at a time."""
    if arch == (8, 0) and name not in OLDER:
        pytest.skip("compiled for one architecture")
    kernel, job = job_of(*shapes, padding="same", **FIRST, **options)
    assert kernel == "stencil"
    code = compiled(arch, job)
    shape = methods.stencil.Stencil(*job.parameters[8:])
    taps = (shape.KH * shape.KW, shape.KW, shape.chunk)[shape.walk]
    products = taps * shape.C * shape.sums
    assert code.counts["FFMA"] + code.counts["DFMA"] >= products
    assert code.counts["LDS.128"] >= shape.C * (1 if shape.walk else shape.KH)
    assert name not in LOOPS or code.share("FFMA") > 0.9
    assert (code.counts["LDG.128"] > 0) == (shape.V * np.dtype(job.parameters[0]).itemsize == 16)
    assert code.counts["CALL"] == 0
    assert code.registers * shape.T * shape.blocks() <= REGISTERS


@pytest.mark.parametrize(
    ("arch", "name", "shapes", "options", "gather", "tile", "floor"),
    [((9, 0), *case) for case in DENSE] + [((8, 0), *case) for case in DENSE[:2]], ids=named,
)  # fmt: skip
def test_dense(arch, name, shapes, options, gather, tile, floor):
    """Most instructions of the main loop are products; copies pass no registers, and two blocks fit where they can."""
    kernel, launches = launches_of(*shapes, padding="same", **options)
    assert kernel == "dense"
    job = launches.steps[0].job
    assert job.parameters[6] == gather
    assert tile in (None, job.parameters[11:13])
    code, made = compiled(arch, job), compiler.make(job.factory, *job.parameters)
    product, each = ("DFMA", 512) if "float64" in job.parameters else ("FFMA", 1024)
    assert code.counts[product] == each
    assert code.counts["LDS.128"] >= 64
    assert code.counts["LDGSTS.128"] >= 4
    assert code.counts["LDGSTS"] >= (20 if gather == "singles" else 4)
    assert code.counts["CALL"] == 0
    assert code.share(product) >= floor
    if arch == (9, 0):
        assert code.registers * made.threads * made.blocks <= REGISTERS
    assert (made.dynamic + 1024) * made.blocks <= 227 << 10
    assert made.threads * made.blocks >= (320 if product == "FFMA" else 256)


def test_around_dense():
    """Packing, and sums of chains."""
    _, launches = launches_of((1, 28, 28, 256), (3, 3, 256, 128), padding="same")
    jobs = [launches.packing[0].job, launches.steps[1].job]
    assert [job.factory for job in jobs] == ["dense_steps.pack", "dense_steps.add"]
    assert not any(compiled((9, 0), job).counts["CALL"] for job in jobs)


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


@pytest.mark.parametrize(("name", "shapes", "options"), COMPLEX, ids=named)
def test_complex(name, shapes, options):
    """Kernels for real numbers: four products are four instructions, two where one of the factors is real."""
    kernel, job = job_of(*shapes, padding="same", **{"x_dtype": "complex64"} | options)
    assert kernel == name
    code = compiled((9, 0), job)
    assert code.counts["FFMA"] >= 4 * 9 if "w_dtype" not in options else 2 * 9
    assert code.counts["CALL"] == 0


@pytest.mark.parametrize("arch", ARCHITECTURES[1:], ids=["sm_90"])
@pytest.mark.parametrize(("name", "shapes", "options"), DEPTHWISE, ids=named)
def test_depthwise(arch, name, shapes, options):
    """A row of the window in flight while the one before is multiplied; all weights in registers."""
    kernel, job = job_of(*shapes, padding="same", **options)
    assert kernel == "depthwise"
    code = compiled(arch, job)
    shape = methods.depthwise.Depthwise(*job.parameters[8:])
    products = shape.weights * shape.TW * shape.rows
    assert code.counts["FFMA"] + code.counts["DFMA"] >= products
    assert code.counts["LDS"] == code.counts["CALL"] == 0
    assert code.registers * shape.T * shape.blocks(job.parameters[3]) <= REGISTERS


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


def gradient_of(x_shape, w_shape, x_dtype="float32", g_dtype=None, result=None, **options):
    """(kernel, jobs) of a gradient of weights of contiguous arrays."""
    from numconv._views import weight_axes
    from numconv.cuda import gradient_methods

    ndim, x, g = len(w_shape) - 2, np.dtype(x_dtype), np.dtype(g_dtype or x_dtype)
    problem, _ = conv_problem(f"conv{ndim}d", ndim, x_shape, x, w_shape, g, dtype=result, **options)
    frame = ConvFrame.of(problem, True)

    def place(shape, dtype, axes):
        found = Place.of(Given(shape, contiguous(shape, dtype.itemsize), dtype, 1 << 40, 0))
        return found.seen(canonical(found.view, axes))

    places = {
        "x": place(x_shape, x, frame.axes), "g": place(frame.out_shape(x_shape), g, frame.axes),
        "out": place(w_shape, problem.result, weight_axes(ndim, problem.channels_last)),
    }  # fmt: skip
    name = gradient_methods.chosen("test", problem, places)
    method = gradient_methods.KERNELS[name]
    for key, table in method.tables(problem, places).items():
        places[key] = Place.of(Given(table.shape, table.strides, table.dtype, 1 << 40, 0))
    return name, [step.job for step in method.launches(problem, places, "x").steps]


GRADIENTS = [
    ("mixed", {"x_dtype": "float32", "g_dtype": "complex64"}, ("FFMA", "FADD")),
    ("complex64 wrap", {"x_dtype": "complex64", "padding": 1, "pad_mode": "wrap"}, ("FFMA", "FADD")),
]


@architectures
@pytest.mark.parametrize(("name", "options", "instructions"), GRADIENTS, ids=named)
def test_generic_gradients(arch, name, options, instructions):
    """Chains by fused products; their sums read eight at a time."""
    kernel, jobs = gradient_of((1, 9, 9, 9, 70), (3, 3, 3, 7, 40), groups=10, **options)
    assert kernel == "generic"
    for job, instruction in zip(jobs, instructions, strict=True):
        code = compiled(arch, job)
        assert code.counts[instruction] >= 1
        assert code.counts["CALL"] == 0
        assert code.registers <= 128


LAYER, LAYER_FIRST = ((64, 56, 56, 64), (3, 3, 64, 128)), ((64, 64, 56, 56), (128, 64, 3, 3))
DENSE_GRADIENTS = [
    ("3x3x64 last", LAYER, {"padding": "same"}),
    ("3x3x64 first", LAYER_FIRST, {"padding": "same", **FIRST}),
    ("7x7x3 stem", ((64, 224, 224, 3), (7, 7, 3, 64)), {"stride": 2, "padding": 3}),
    ("double", LAYER, {"x_dtype": "float64", "padding": "same"}),
]


@architectures
@pytest.mark.parametrize(("name", "shapes", "options"), DENSE_GRADIENTS, ids=named)
def test_dense_gradients(arch, name, shapes, options):
    """Most instructions of the main loop are products; both sides come in 16 bytes at a time, and go so."""
    from numconv.cuda.kernels.gradient_tile import Tile

    kernel, jobs = gradient_of(*shapes, **options)
    assert kernel == "dense"
    code = compiled(arch, jobs[0])
    compute, x_way, *_, BM, BN = jobs[0].parameters
    tile, product = Tile(BM, BN, np.dtype(compute).itemsize), "DFMA" if compute == "float64" else "FFMA"
    assert code.registers * tile.threads * tile.blocks <= REGISTERS
    assert code.counts["CALL"] == 0
    assert code.counts["STG.128"] == code.counts["STG"] == 64 // (16 // tile.item_bytes)
    main = code.main(product)
    assert main[product] == 64 * tile.depth
    assert main["LDS.128"] >= tile.depth * 16 // (16 // tile.item_bytes)
    assert main[product] > main["all"] * (0.6 if compute == "float64" else SHARES[x_way])


SHARES = {"quads": 0.8, "pixels": 0.75, "channels": 0.75}
"""Of products in the main loop, by how x is copied."""


@architectures
@pytest.mark.parametrize(("name", "shapes", "options"), DOUBLE, ids=named)
def test_double(arch, name, shapes, options):
    """Products are matrices, copies do not pass through registers; where they are not, most instructions are."""
    kernel, job = job_of(*shapes, padding="same", **{"x_dtype": "float64"} | options)
    assert kernel == "double"
    code = compiled(arch, job)
    assert code.counts["CALL"] == 0
    assert code.counts["LDGSTS"] > 8
    assert code.counts["LDS.128"] >= 8
    tile = methods.double.Tile(*job.parameters[8:])
    assert tile.size * 8 + tile.P * 8 <= 99 << 10  # of shared memory, which GPUs of all sizes have
    if not tile.tensor:
        assert code.counts["FFMA"] == 512
        assert code.share("FFMA") > 0.9
        return
    assert code.counts["DMMA"] == (8 if arch >= (9, 0) else 64)
    loop = max(code.loops, key=lambda loop: loop["DMMA"])
    assert loop["DMMA"] == code.counts["DMMA"]
    if "pad_mode" not in options:  # samples of the border take most, and are few
        assert loop["all"] - loop["DMMA"] <= (430 if tile.unit == 1 else 330)  # in 512 cycles of the tensor cores


THIN_GRADIENTS = [
    ("depthwise 3x3 last", ((64, 56, 56, 128), (3, 3, 1, 128)), {"groups": 128, "padding": 1}, 48 * 8),
    ("depthwise 3x3 first", ((64, 128, 56, 56), (128, 1, 3, 3)), {"groups": 128, "padding": 1, **FIRST}, 70 * 4),
    ("half last", ((64, 56, 56, 128), (5, 5, 128, 64)), {"padding": 2, "x_dtype": "float16"}, 120 * 4),
]


@architectures
@pytest.mark.parametrize(("name", "shapes", "options", "most"), THIN_GRADIENTS, ids=named)
def test_thin_gradients(arch, name, shapes, options, most):
    """Few instructions for the loads of a loop: eight or four columns, or what 32 lanes read of four chains."""
    kernel, jobs = gradient_of(*shapes, **options)
    assert kernel == "thin"
    code = compiled(arch, jobs[0])
    assert code.counts["CALL"] == 0
    assert code.registers * (128 * 4 if jobs[0].parameters[4] == 4 else 32 * 16) <= REGISTERS
    loop = max(code.loops, key=lambda loop: loop["LDG"])
    assert loop["LDG"] >= 16
    assert loop["all"] <= most
