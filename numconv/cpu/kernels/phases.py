"""Several calls as one: the phases of a stride, which read the same samples and write between each other's results."""

from __future__ import annotations

from .intrinsics import call, pointer

HEAD, ROW = 3, 4
"""Numbers at the head of the table, and of each call in it."""


def job():
    """``plan`` is a table: how many calls, most jobs of one, calls a job does; kernel, plan, call, jobs of each.

    A job is the same one of some neighbouring calls, which find in cache what the others read and wrote there.
    """

    def kernel(table_address, _, slot, job_number):
        table = pointer(table_address, "i8")
        number, first = job_number % table[1], job_number // table[1] * table[2]
        for which in range(first, min(first + table[2], table[0])):
            row = HEAD + ROW * which
            if number < table[row + 3]:
                call(table[row], (table[row + 1], table[row + 2], slot, number))

    return kernel
