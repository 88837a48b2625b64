"""Layers with Keras's names, arguments, defaults and shapes, on numconv's convolutions: models that predict and learn.

>>> import numpy as np
>>> from numconv.layers import Conv1D, Sequential
>>> model = Sequential()
>>> model.add(Conv1D(1, 3, input_shape=(8, 1)))
>>> model.set_weights([np.array([[[0]], [[1]], [[0]]]), np.array([0.0])])
>>> model.predict(np.array([0, 0, 0, 1, 1, 0, 0, 0]).reshape(1, 8, 1))[0, :, 0].tolist()
[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
"""

from ._convolution import Conv1D, Conv2D, Conv3D
from ._convolution_kinds import Conv2DTranspose, DepthwiseConv2D
from ._dense import Dense, Flatten
from ._files import load_model
from ._keras import from_keras
from ._layer import Input, Layer
from ._losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from ._optimizers import SGD, Adam, RMSprop
from ._pointwise import Activation, Dropout, ReLU, Softmax
from ._pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from ._random import set_random_seed
from ._sequential import Sequential
from ._training import History

__all__ = [
    "SGD",
    "Activation",
    "Adam",
    "AveragePooling1D",
    "AveragePooling2D",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "History",
    "Input",
    "Layer",
    "MaxPooling1D",
    "MaxPooling2D",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "RMSprop",
    "ReLU",
    "Sequential",
    "Softmax",
    "SparseCategoricalCrossentropy",
    "from_keras",
    "load_model",
    "set_random_seed",
]
