"""What runs on a GPU or in Numba's simulator: `tests/test_cuda.py` starts these modules in processes of their own.

By hand: ``NUMBA_ENABLE_CUDASIM=1 python -m pytest -n 0 tests/cuda/generic.py``; on a GPU without the variable.
"""
