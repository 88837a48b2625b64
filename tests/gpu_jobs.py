"""What tests of compiled kernels share: the launches of a call, and their code. Skips where nothing compiles."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from numconv._arguments import conv_problem
from numconv._frames import ConvFrame
from numconv._types import operand_types
from numconv._views import canonical
from numconv.cuda import extra, methods
from numconv.cuda.arrays import Given, contiguous
from numconv.cuda.places import Place

missing = extra._missing() or ("" if importlib.util.find_spec("cuda.pathfinder") else "cuda-pathfinder is missing")
if missing:
    pytest.skip(f'kernels are compiled with pip install "numconv[cuda-test]": {missing}', allow_module_level=True)

REGISTERS = 65536
ARCHITECTURES = ((8, 0), (9, 0))
FIRST = {"data_format": "channels_first"}
BYTES = {"result": "uint8", "overflow": "saturate"}


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
    method = methods.considered(problem)[name]
    places |= {key: place(table.shape, table.dtype) for key, table in method.tables(problem, places).items()}
    return name, method.launches(problem, places)


architectures = pytest.mark.parametrize("arch", ARCHITECTURES, ids=lambda arch: f"sm_{arch[0]}{arch[1]}")


def named(value):
    return value if isinstance(value, str) else ""


def compiled(arch, job):
    from .gpu_code import code_of

    code = code_of(arch, job.factory, *job.parameters)
    assert code.spilled == code.stack == 0
    assert not code.counts["LDL"] + code.counts["STL"]
    return code
