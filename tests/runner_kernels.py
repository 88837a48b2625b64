"""Kernels that check how they are run: counted jobs, a workspace that nobody else may touch, long jobs, bad symbols."""

import math

import numpy as np

from numconv.cpu.kernels.intrinsics import call_record, fetch_add, fma, pointer

FIELDS = "count busy clash n"


def count():
    """Each job once: counts itself, and finds any other worker in its workspace. Plan: addresses of int64 arrays, n."""

    def kernel(plan, call, slot, job):
        fields, record = pointer(plan, "i8"), call_record(call)
        counts, busy, clash, n = fields[0], fields[1], fields[2], fields[3]
        if fetch_add(busy + slot * 64, 1) != 0:
            fetch_add(clash, 1)
        work = pointer(record.workspace + slot * record.slot_bytes, "i8")
        for i in range(n):
            work[i] = job + i
        total = 0
        for i in range(n):
            total += work[i]
        if total != n * job + n * (n - 1) // 2:
            fetch_add(clash, 1)
        fetch_add(counts + job * 8, 1)
        fetch_add(busy + slot * 64, -1)

    return kernel


def spin():
    """`plan` dependent multiply-adds a job (about 1 ns each); each job counts itself in ``out``."""

    def kernel(plan, call, slot, job):
        record = call_record(call)
        x = np.float64(job)
        for _ in range(plan):
            x = fma(x, 0.5, 1.0)
        pointer(record.workspace, "f8")[slot] = x
        fetch_add(record.out + job * 8, 1)

    return kernel


def empty():
    """Nothing."""

    def kernel(plan, call, slot, job):
        pass

    return kernel


def sine():
    """Needs libm."""

    def kernel(plan, call, slot, job):
        record = call_record(call)
        pointer(record.workspace, "f8")[slot] = math.sin(job)

    return kernel


def scale(factor, negative):
    """``out[job] = factor * job``, or its negative."""

    def kernel(plan, call, slot, job):
        pointer(call_record(call).out, "i8")[job] = -factor * job if negative else factor * job

    return kernel


def idle():
    """No work at all: what a wrong entry of the cache is in the tests of proofs."""

    def kernel(plan, call, slot, job):
        pass

    return kernel


def idle_worker():
    """The same for a worker."""

    def kernel(call, slot):
        pass

    return kernel
