"""The GPUs that are there, for `show_config`: or why there is none."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .extra import simulated, trouble

PACKAGES = ("numba-cuda", "cuda-core", "cuda-bindings", "nvidia-nvvm", "nvidia-nvjitlink")


def about() -> dict[str, Any]:
    """Devices, driver and packages by name."""
    if simulated():
        return {"devices": "none: Numba's simulator stands in for one"}
    if reason := trouble():
        return {"devices": f"none: {reason}"}
    return devices() | {"driver": _driver()} | packages()


def devices() -> dict[str, str]:
    """Of each its name, compute capability, multiprocessors and memory."""
    from cuda.bindings import driver

    attributes = driver.CUdevice_attribute
    found = {}
    for number in range(driver.cuDeviceGetCount()[1]):
        device = driver.cuDeviceGet(number)[1]
        name = driver.cuDeviceGetName(256, device)[1].split(b"\0")[0].decode()
        major, minor, count = (
            driver.cuDeviceGetAttribute(what, device)[1]
            for what in (
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                attributes.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
            )
        )
        size = driver.cuDeviceTotalMem(device)[1] / 2**30
        found[f"cuda:{number}"] = f"{name}, sm_{major}{minor}, {count} multiprocessors, {size:.0f} GiB"
    return found


def packages() -> dict[str, str]:
    """Versions; "" of what is not installed as a package."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def _driver() -> str:
    """The newest CUDA that it knows."""
    from cuda.bindings import driver

    number = driver.cuDriverGetVersion()[1]
    return f"for CUDA {number // 1000}.{number % 1000 // 10}"
