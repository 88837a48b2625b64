"""Transposed convolutions, and gradients of convolutions."""

from ._speed import _Speed, measured

WORKLOADS = [
    "unet.up2 float32 channels_last",
    "unet.up4 float32 channels_last",
    "unet.up3 float32 channels_first",
    "dcgan.2 float32 channels_last",
    "decoder.3x3 float32 channels_first",
    "vgg16.conv4_2.dx float32 channels_last",
    "resnet50.5_3x3.dx float32 channels_last",
    "resnet50.5_3x3.dx float32 channels_first",
    "resnet50.3_down.dx float32 channels_last",
    "resnet50.4_1x1_down.dx float64 channels_last",
    "vgg16.conv2_2.dw float32 channels_last",
    "resnet50.5_3x3.dw float32 channels_last",
    "resnet50.5_3x3.dw float32 channels_first",
    "resnet50.2_1x1_up.dw float32 channels_last",
    "mobilenet.dw1.dw float32 channels_last",
    "vgg16.conv4_2.dw float64 channels_last",
]


class Speed(_Speed):
    params, param_names = WORKLOADS, ["workload"]

    def setup_cache(self):
        return measured(WORKLOADS)
