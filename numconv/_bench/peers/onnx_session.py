"""ONNX Runtime: a model of one node, its weights a constant that the session packs, input and output bound before."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from ..contender import Contender
from ..workload import Workload

onnx = import_module("onnx")
onnxruntime = import_module("onnxruntime")

OPSET, IR = 13, 8
"""Old enough for every ONNX Runtime of the last years."""
MOST_FLOPS = 2e11
"""Of a bank, above which it is left out, as PyTorch is: it takes seconds a call."""


def version() -> str:
    """As installed."""
    return onnxruntime.__version__


def contenders(workload: Workload, x: np.ndarray, w: np.ndarray, threads: int) -> list[Contender]:
    """float32, and 8-bit integers with int32 results: it has no other types."""
    integers = x.dtype.itemsize == w.dtype.itemsize == 1 and x.dtype.kind in "iu" and workload.dtype == "int32"
    if (x.dtype != np.float32 and not integers) or (workload.bank and workload.flops > MOST_FLOPS):
        return []
    data, weights = workload.first(x, w)
    session = _session(_model(workload, data, weights, "ConvInteger" if integers else "Conv"), threads)
    shape = (workload.n, workload.filters, *workload.out_spatial)
    result = onnxruntime.OrtValue.ortvalue_from_numpy(np.empty(shape, np.int32 if integers else np.float32))
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(data))
    binding.bind_ortvalue_output("y", result)

    def run() -> Any:
        session.run_with_iobinding(binding)
        return result

    return [Contender("onnxruntime", run, lambda y: workload.own(y.numpy()))]


def _model(workload: Workload, data: np.ndarray, weights: np.ndarray, operator: str) -> bytes:
    helper = onnx.helper
    kinds = [helper.np_dtype_to_tensor_dtype(dtype) for dtype in (data.dtype, np.dtype(workload.dtype or data.dtype))]
    ndim = workload.ndim
    node = helper.make_node(
        operator,
        ["x", "w"],
        ["y"],
        pads=[workload.padding] * (2 * ndim),
        strides=[workload.stride] * ndim,
        dilations=[workload.dilation] * ndim,
        group=workload.groups,
    )
    graph = helper.make_graph(
        [node],
        "convolution",
        [helper.make_tensor_value_info("x", kinds[0], data.shape)],
        [helper.make_tensor_value_info("y", kinds[1], None)],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(weights), "w")],
    )
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=IR).SerializeToString()


def _session(model: bytes, threads: int) -> Any:
    """All optimisations; its threads may spin within a run, and stop at its end, in the turn of the next contender."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
