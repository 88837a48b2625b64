"""All layers by the names of their classes."""

from __future__ import annotations

from ._convolution import Conv1D, Conv2D, Conv3D
from ._convolution_kinds import Conv2DTranspose, DepthwiseConv2D
from ._dense import Dense, Flatten
from ._layer import Layer
from ._pointwise import Activation, Dropout, ReLU, Softmax
from ._pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    MaxPooling1D,
    MaxPooling2D,
)

LAYERS: dict[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        Conv1D, Conv2D, Conv3D, DepthwiseConv2D, Conv2DTranspose, Dense, Flatten, MaxPooling1D, MaxPooling2D,
        AveragePooling1D, AveragePooling2D, GlobalAveragePooling1D, GlobalAveragePooling2D, Activation, ReLU, Softmax,
        Dropout,
    )
}  # fmt: skip
