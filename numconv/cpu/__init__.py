"""The CPU path: schedules, packing, compiled kernels and the runner. Private."""

import sys

from .memory import ask_for

if "llvmlite.binding" not in sys.modules:
    ask_for(192 << 20, "to load LLVM")  # which takes 162 MiB
