"""Gradients of convolutions and of their transposes, by the names of `torch.nn.grad`."""

from __future__ import annotations

from ._inputs import conv1d_input, conv2d_input, conv3d_input
from ._transpose_inputs import conv_transpose1d_input, conv_transpose2d_input, conv_transpose3d_input
from ._transpose_weights import conv_transpose1d_weight, conv_transpose2d_weight, conv_transpose3d_weight
from ._weights import bias, conv1d_weight, conv2d_weight, conv3d_weight

__all__ = [
    "bias",
    "conv1d_input",
    "conv1d_weight",
    "conv2d_input",
    "conv2d_weight",
    "conv3d_input",
    "conv3d_weight",
    "conv_transpose1d_input",
    "conv_transpose1d_weight",
    "conv_transpose2d_input",
    "conv_transpose2d_weight",
    "conv_transpose3d_input",
    "conv_transpose3d_weight",
]
