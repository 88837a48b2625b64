"""The workloads: layers of real networks, filters on images and signals, in groups that belong together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from .backward import InputGradient, Transposed, WeightGradient
from .workload import Workload


@dataclass(frozen=True)
class Group:
    """Workloads that share a table, and a geometric mean.

    `aims` holds what that mean ought to reach on an idle machine, by the headings of its columns.
    """

    title: str
    workloads: tuple[Workload, ...]
    aims: dict[str, float] = field(default_factory=dict)


def _layer(name: str, size: int, channels: int, filters: int, k: int, stride: int = 1, **more: Any) -> Workload:
    """Square, padded to keep the size (divided by the stride)."""
    padding = more.pop("padding", (k - 1) // 2)
    more |= {"channels": channels, "filters": filters, "stride": stride, "padding": padding}
    return Workload(name, (size, size), (k, k), **more)


def _depthwise(name: str, size: int, channels: int, k: int, stride: int = 1) -> Workload:
    return _layer(name, size, channels, channels, k, stride, groups=channels)


def _bank(name: str, size: tuple[int, ...], filters: int, k: int, padded: bool = True, **more: Any) -> Workload:
    padding = (k - 1) // 2 if padded else 0
    return Workload(name, size, (k,) * len(size), filters=filters, padding=padding, bank=True, **more)


def _first(workloads: Iterable[Workload]) -> tuple[Workload, ...]:
    return tuple(replace(workload, channels_last=False) for workload in workloads)


def _typed(workloads: Iterable[Workload], dtype: str, **more: Any) -> tuple[Workload, ...]:
    return tuple(replace(workload, x_dtype=dtype, **more) for workload in workloads)


DENSE = (
    _layer("vgg16.conv1_2", 224, 64, 64, 3),
    _layer("vgg16.conv2_2", 112, 128, 128, 3),
    _layer("vgg16.conv3_2", 56, 256, 256, 3, n=4),
    _layer("vgg16.conv4_2", 28, 512, 512, 3),
    _layer("vgg16.conv5_1", 14, 512, 512, 3, n=8),
    _layer("resnet50.stem", 224, 3, 64, 7, 2, padding=3, n=4),
    _layer("resnet50.2_3x3", 56, 64, 64, 3, n=8),
    _layer("resnet50.3_3x3", 28, 128, 128, 3),
    _layer("resnet50.4_3x3", 14, 256, 256, 3),
    _layer("resnet50.5_3x3", 7, 512, 512, 3, n=8),
    _layer("resnet50.4_1x1_down", 14, 1024, 256, 1, n=8),
    _layer("resnet50.5_1x1_up", 7, 512, 2048, 1, n=8),
    _layer("unet.down3", 64, 256, 256, 3, n=2),
    _layer("unet.up", 128, 64, 32, 3),
    _layer("alexnet.conv1", 227, 3, 96, 11, 4, padding=0),
    _layer("inception.5x5", 28, 32, 96, 5),
    _layer("deeplab.atrous", 33, 256, 256, 3, dilation=6, padding=6),
)
"""60 floating-point operations a byte and more, in float32: multiply-adds bind."""

THIN = (
    _layer("vgg16.conv1_1", 224, 3, 64, 3),
    _layer("resnet50.2_1x1_up", 56, 64, 256, 1),
    _layer("resnet50.2_1x1_down", 56, 256, 64, 1),
    _layer("resnet50.3_down", 56, 256, 512, 1, 2),
    _layer("resnet50.5_3x3.n1", 7, 512, 512, 3),
    _layer("mobilenet.pw", 56, 64, 128, 1),
)
"""Fewer: memory has a say."""

DEPTHWISE = (
    _depthwise("mobilenet.dw1", 112, 32, 3),
    _depthwise("mobilenet.dw2", 112, 64, 3, 2),
    _depthwise("mobilenet.dw7", 14, 512, 3),
    _depthwise("efficientnet.dw5", 28, 240, 5),
    _depthwise("efficientnet.dw5_s2", 56, 144, 5, 2),
    _depthwise("convnext.dw7", 56, 96, 7),
    _depthwise("convnext.dw7_s2", 56, 96, 7, 2),
)
GROUPED = (
    _layer("resnext50.2_3x3", 56, 128, 128, 3, groups=32),
    _layer("resnext50.3_3x3", 28, 256, 256, 3, groups=64),
    _layer("resnext50.3_3x3_s2", 56, 256, 256, 3, 2, groups=64),
)
"""Four channels a group."""

IMAGE = tuple(_bank(f"image.{k}x{k}", (2048, 2048), 1, k, yardsticks=("copy",)) for k in (3, 5, 7, 9, 11))
PRODUCTS = tuple(
    _bank(f"image.{k}x{k}", (2048, 2048), 1, k, separable=True, yardsticks=("copy",))
    for k in (3, 5, 7, 11, 15, 31, 63, 101)
)
"""One column and one row each."""
BANKS = tuple(_bank(f"bank.{f}x{k}x{k}", (1024, 1024), f, k) for f in (8, 32) for k in (7, 15))

_SIGNAL: dict[str, Any] = {"channels": 64, "filters": 64}
LONG = (
    Workload("signal.c64_k9", (16384,), (9,), padding=4, **_SIGNAL),
    Workload("signal.dilated8", (16384,), (9,), padding=32, dilation=8, **_SIGNAL),
    Workload("signal.depthwise_k33", (16384,), (33,), padding=16, groups=64, **_SIGNAL),
)
SIGNAL_BANK = (_bank("signal.32_k64", (1 << 20,), 32, 64, padded=False),)

KERNELS = tuple(
    Workload(
        f"series.dilated{d}", (512,), (9,), 128, filters=1250, dilation=d, padding=4 * d, reduce=("ppv", "max"),
        channels_last=False,
    )
    for d in (1, 2, 4, 8, 16, 32, 48, 63)
)  # fmt: skip
"""10,000 kernels of length 9 on 128 series of 512 samples, as the features of ROCKET are made."""

LARGE = tuple(_bank(f"image.{k}x{k}", (2048, 2048), 1, k) for k in (15, 31, 63, 101))
LARGE_BANKS = tuple(_bank(f"bank.{f}x{k}x{k}", (1024, 1024), f, k) for f in (16, 64) for k in (15, 31, 63))
FILTERS = tuple(
    _bank(f"signal.{f}_k{k}", (1 << 20,), f, k, padded=False) for f in (1, 32) for k in (64, 256, 1024, 4096, 16384)
)

COMPLEX = (
    _layer("layer.56x64", 56, 64, 64, 3, yardsticks=("4 real",)),
    _layer("layer.14x256", 14, 256, 256, 3, yardsticks=("4 real",)),
    _bank("image.7x7", (512, 512), 1, 7, yardsticks=("4 real",)),
    _bank("signal.8_k33", (1 << 17,), 8, 33, yardsticks=("4 real",)),
)

_EXACT: dict[str, Any] = {"dtype": "int32", "yardsticks": ("float32",)}
BYTES = (
    _layer("layer.56x64", 56, 64, 64, 3, **_EXACT),
    _layer("layer.stem", 224, 3, 64, 7, 2, **_EXACT),
    _bank("image.3x3", (2048, 2048), 1, 3, **_EXACT),
    _bank("image.7x7", (2048, 2048), 1, 7, **_EXACT),
    _bank("bank.8x5x5", (1024, 1024), 8, 5, **_EXACT),
)
SHORTS = (
    _bank("image.3x3", (2048, 2048), 1, 3, **_EXACT, w_dtype="int8"),
    _bank("image.5x5", (2048, 2048), 1, 5, **_EXACT, w_dtype="int8"),
    _bank("bank.8x5x5", (1024, 1024), 8, 5, **_EXACT, w_dtype="int8"),
)


def _up(name: str, size: int, channels: int, filters: int, k: int, stride: int = 2, **more: Any) -> Transposed:
    """Square; by default padded so that the size is multiplied by the stride."""
    padding = more.pop("padding", (k - stride) // 2)
    more |= {"channels": channels, "filters": filters, "stride": stride, "padding": padding}
    return Transposed(name, (size, size), (k, k), **more)


UPWARD = (
    _up("unet.up1", 28, 1024, 512, 2),
    _up("unet.up2", 56, 512, 256, 2),
    _up("unet.up3", 112, 256, 128, 2),
    _up("unet.up4", 196, 128, 64, 2),
    _up("dcgan.1", 4, 1024, 512, 4, n=8),
    _up("dcgan.2", 8, 512, 256, 4, n=8),
    _up("dcgan.3", 16, 256, 128, 4, n=8),
    _up("pix2pix.up", 64, 256, 64, 4),
    _up("decoder.3x3", 56, 128, 64, 3, padding=1),
    _up("decoder.3x3_s1", 56, 64, 64, 3, 1),
)
"""Up-convolutions of networks that draw."""


def _gradients(workloads: Iterable[Workload]) -> tuple[InputGradient, ...]:
    """With respect to the inputs; those of a network's first layer are seldom asked for."""
    return tuple(
        InputGradient(**vars(workload) | {"name": f"{workload.name}.dx"})
        for workload in workloads
        if workload.channels > 3
    )


def _learned(workloads: Iterable[Workload]) -> tuple[WeightGradient, ...]:
    """With respect to weights."""
    return tuple(WeightGradient(**vars(workload) | {"name": f"{workload.name}.dw"}) for workload in workloads)


SUITES: dict[str, tuple[Group, ...]] = {
    "layers": (
        Group("float32, 60 flop/byte and more, channels_last", DENSE, {"of roofline": 0.92, "best peer": 1.05}),
        Group(
            "float32, 60 flop/byte and more, channels_first", _first(DENSE), {"of roofline": 0.88, "best peer": 1.05}
        ),
        Group("float32, fewer flop/byte, channels_last", THIN, {"of roofline": 0.8}),
        Group("float32, fewer flop/byte, channels_first", _first(THIN), {"of roofline": 0.8}),
    ),
    "float64": (
        Group("float64, channels_last", _typed(DENSE, "float64"), {"of peak": 0.88, "torch": 1.6}),
        Group("float64, channels_first", _typed(_first(DENSE), "float64"), {"of peak": 0.88, "torch": 1.6}),
    ),
    "transposed": (
        Group("transposed, float32, channels_last", UPWARD, {"of peak": 0.85, "torch": 1.1}),
        Group("transposed, float32, channels_first", _first(UPWARD), {"of peak": 0.8, "torch": 1.1}),
        Group("transposed, float64, channels_last", _typed(UPWARD, "float64"), {"of peak": 0.85, "torch": 1.6}),
    ),
    "gradients": (
        Group("input gradients, float32, channels_last", _gradients(DENSE + THIN), {"of peak": 0.8, "torch": 1.1}),
        Group(
            "input gradients, float32, channels_first", _gradients(_first(DENSE + THIN)), {"of peak": 0.8, "torch": 1.1}
        ),
        Group("input gradients, float64, channels_last", _gradients(_typed(DENSE + THIN, "float64")), {"torch": 1.8}),
        Group("weight gradients, float32, channels_last", _learned(DENSE + THIN), {"of peak": 0.8, "torch": 1.1}),
        Group(
            "weight gradients, float32, channels_first", _learned(_first(DENSE + THIN)), {"of peak": 0.8, "torch": 1.1}
        ),
        Group("weight gradients, float64, channels_last", _learned(_typed(DENSE + THIN, "float64")), {"torch": 1.8}),
        Group("weight gradients, depthwise and grouped, float32", _learned(DEPTHWISE + GROUPED), {"torch": 1.3}),
    ),
    "depthwise": (
        Group("depthwise and grouped, float32, channels_last", DEPTHWISE + GROUPED, {"best peer": 1.3}),
        Group("depthwise and grouped, float32, channels_first", _first(DEPTHWISE + GROUPED), {"best peer": 1.3}),
        Group("depthwise and grouped, float64", _typed(DEPTHWISE + GROUPED, "float64"), {"torch": 10}),
    ),
    "images": (
        Group("one filter, float32", IMAGE, {"opencv": 1.8}),
        Group("one filter, float64", _typed(IMAGE, "float64"), {"opencv": 1.8}),
    ),
    "separable": (
        Group("one separable filter, float32", PRODUCTS, {"opencv": 1.8, "sepFilter2D": 1.5}),
        Group("one separable filter, float64", _typed(PRODUCTS, "float64"), {"opencv": 1.8, "sepFilter2D": 1.5}),
    ),
    "banks": (Group("banks, float32", BANKS, {"of peak": 0.82, "torch": 3, "opencv": 3}),),
    "signals": (
        Group("signals, float32, channels_last", LONG + SIGNAL_BANK, {"best peer": 1.25}),
        Group("signals, float32, channels_first", _first(LONG), {"best peer": 1.25}),
    ),
    "reductions": (Group("10,000 dilated kernels, share of positive values and maximum", KERNELS, {"torch": 5}),),
    "long": (
        Group("long filters, float32", FILTERS, {"scipy": 2}),
        Group("long filters, float64", _typed(FILTERS, "float64"), {"scipy": 2}),
    ),
    "large": (
        Group("large kernels, one filter, float32", LARGE, {"opencv": 1.8}),
        Group("large kernels, one filter, float64", _typed(LARGE, "float64"), {"opencv": 1.8}),
        Group("banks of large kernels, float32", LARGE_BANKS, {"best peer": 3}),
    ),
    "complex": (
        Group("complex64", _typed(COMPLEX, "complex64"), {"4 real": 0.8}),
        Group("complex128", _typed(COMPLEX, "complex128"), {"4 real": 0.8}),
    ),
    "integers": (
        Group("uint8 by int8 to int32", _typed(BYTES, "uint8", w_dtype="int8"), {"float32": 0.8}),
        Group("int16 by int8 to int32", _typed(SHORTS, "int16"), {"float32": 0.8}),
    ),
}
"""Groups by the name of their suite."""
