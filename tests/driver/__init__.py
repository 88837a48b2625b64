"""What runs on the stand-in for a driver, `driver.c`: `tests/test_cuda_driver.py` builds it and starts these modules.

All but the kernels is real: Numba, cuda-core, and the code of kernels. Kernels are launched, and do not run.
"""
