"""Compiled code. These modules import Numba, and are themselves imported only where something has to be compiled."""
