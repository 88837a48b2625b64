"""Code of kernels for GPUs that are not here: compiled, disassembled, counted. Needs numba-cuda, and no driver."""

import re
import subprocess
import tempfile
from collections import Counter
from typing import NamedTuple

from numba.cuda import dispatcher

from numconv.cuda import compile as compiler


class Code(NamedTuple):
    """Instructions by name ("LDS.128" counts as "LDS" too), and the compiler's figures."""

    registers: int
    spilled: int
    stack: int
    counts: Counter
    loops: list
    around: list
    warnings: list

    def share(self, *names):
        """The largest share of the named instructions in a loop without loops inside, of those that have most."""
        return max((sum(loop[name] for name in names) / loop["all"] for loop in self.loops), default=0.0)

    def main(self, product):
        """The largest loop with one inside, which takes the rest of its steps one by one and is not counted."""
        loop, rest = (max(loops, key=lambda loop: loop[product]) for loops in (self.around, self.loops))
        return Counter({name: n - rest[name] for name, n in loop.items()})


class _Device:
    compute_capability = (9, 0)


dispatcher.get_current_device = lambda: _Device  # device functions ask it only which architecture to assume


def code_of(arch, factory, *parameters):
    """The code of a kernel for an architecture."""
    text = compiler.ptx(arch, compiler.make(factory, *parameters))
    binary, log = compiler.linked(arch, text)
    found = {name: int(n) for n, name in re.findall(r"(\d+) bytes (stack frame|spill stores|spill loads)", log)}
    registers = int(re.search(r"Used (\d+) registers", log)[1])
    spilled = found["spill stores"] + found["spill loads"]
    warnings = re.findall(r"\(C\d+\).*", log)
    return Code(registers, spilled, found["stack frame"], *_counted(_disassembled(binary)), warnings)


def _disassembled(binary):
    from cuda.pathfinder import find_nvidia_binary_utility

    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        command = [find_nvidia_binary_utility("nvdisasm"), "-c", file.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _counted(text):
    """(instructions of all, of each innermost loop, of each other one)."""
    labels, names, targets = {}, [], []
    for line in text.splitlines():
        if label := re.match(r"\s*(\.L_x?_?\d+):", line):
            labels[label[1]] = len(names)
        elif instruction := re.search(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)(.*?);", line):
            names.append(instruction[1])
            target = re.search(r"(\.L_x?_?\d+)", instruction[2])
            if instruction[1].startswith("CALL") and target:  # how loops that end early come together again
                names[-1] = "JUMP"
            if "_warpsync" in instruction[2]:  # what the barrier of a warp is on some architectures
                names[-1] = "WARPSYNC"
            targets.append(target[1] if target and instruction[1].startswith("BRA") else None)
    spans = [(labels[t], i + 1) for i, t in enumerate(targets) if t in labels and labels[t] < i]
    inner = [(a, b) for a, b in spans if not any(a <= c and d <= b and (a, b) != (c, d) for c, d in spans)]
    outer = [span for span in spans if span not in inner]
    return _tally(names), *([_tally(names[a:b]) for a, b in found] for found in (inner, outer))


def _tally(names):
    counts = Counter()
    for name in names:
        parts = name.split(".")
        counts.update({parts[0], name, f"{parts[0]}.128"} if "128" in parts[1:] else {parts[0], name})
    counts["all"] = len(names)
    return counts
