"""Layers of real networks."""

from ._speed import _Speed, measured

WORKLOADS = [
    "vgg16.conv1_2 float32 channels_first",
    "vgg16.conv2_2 float32 channels_last",
    "resnet50.stem float32 channels_last",
    "resnet50.4_3x3 float32 channels_last",
    "resnet50.4_1x1_down float32 channels_last",
    "resnet50.4_1x1_down float32 channels_first",
    "resnet50.2_1x1_up float32 channels_last",
    "unet.up float32 channels_first",
    "deeplab.atrous float32 channels_last",
    "vgg16.conv2_2 float64 channels_last",
    "inception.5x5 float64 channels_first",
]


class Speed(_Speed):
    params, param_names = WORKLOADS, ["workload"]

    def setup_cache(self):
        return measured(WORKLOADS)
