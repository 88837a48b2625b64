"""The same networks in PyTorch, in both memory formats, with the same weights to begin with."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from ...layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D, Sequential

torch = import_module("torch")


def ways(network: Any, x: np.ndarray, y: np.ndarray, threads: int, learning_rate: float) -> dict[str, Callable]:
    """Functions that train for one epoch and return its loss, by the memory format."""
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    return {f"torch {name}": _way(network, x, y, threads, learning_rate, layout) for name, layout in formats.items()}


def _way(network: Any, x: np.ndarray, y: np.ndarray, threads: int, learning_rate: float, layout: Any) -> Callable:
    module = twin(network.make(0)).to(memory_format=layout)
    data = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1))).contiguous(memory_format=layout)
    labels = torch.from_numpy(y)
    optimizer = torch.optim.Adam(module.parameters(), learning_rate, eps=1e-7)
    criterion = torch.nn.CrossEntropyLoss()

    def run() -> float:
        torch.set_num_threads(threads)
        total, order = 0.0, torch.randperm(len(data))
        for start in range(0, len(data), network.batch):
            batch = order[start : start + network.batch]
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(module(data[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        return total / len(data)

    return run


def twin(model: Sequential) -> Any:
    """The same layers, without the last softmax, which the criterion has."""
    parts, shape = [], model.input_shape[1:]
    flat = None  # the shape that was flattened: PyTorch's maps come channels first
    for layer, after in zip(model.layers, model.shapes, strict=True):
        if isinstance(layer, Conv2D):
            parts.append(_convolution(layer, shape[-1]))
        elif isinstance(layer, Dense):
            parts.append(_dense(layer, flat))
            flat = None
        elif isinstance(layer, MaxPooling2D):
            parts.append(torch.nn.MaxPool2d(layer.pool_size, layer.strides))
        elif isinstance(layer, Dropout):
            parts.append(torch.nn.Dropout(layer.rate))
        elif isinstance(layer, Flatten):
            parts.append(torch.nn.Flatten())
            flat = shape
        if getattr(layer, "activation", None) == "relu":
            parts.append(torch.nn.ReLU(inplace=True))
        shape = after
    return torch.nn.Sequential(*parts)


def _convolution(layer: Conv2D, channels: int) -> Any:
    made = torch.nn.Conv2d(channels, layer.filters, layer.kernel_size, layer.strides, layer.padding)
    kernel, bias = layer.get_weights()
    return _set(made, kernel.transpose(3, 2, 0, 1), bias)


def _dense(layer: Dense, flat: tuple | None) -> Any:
    kernel, bias = layer.get_weights()
    if flat is not None:  # rows were (H, W, C), and are (C, H, W)
        kernel = np.moveaxis(kernel.reshape(*flat, -1), 2, 0).reshape(kernel.shape)
    return _set(torch.nn.Linear(*kernel.shape), kernel.T, bias)


def _set(module: Any, weight: np.ndarray, bias: np.ndarray) -> Any:
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        module.bias.copy_(torch.from_numpy(bias))
    return module
