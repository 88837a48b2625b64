"""Kernels as factories over what is known when they are compiled; they import `ops`, and so Numba."""
