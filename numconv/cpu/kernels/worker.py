"""One worker of a call: draws jobs until there are none."""

from __future__ import annotations

from ..records import CALL_SLOT
from .intrinsics import call, call_record, fetch_add

_NEXT_BYTES = 8 * CALL_SLOT["next"]


def worker():
    """``worker(call, slot)``: run the jobs ``next`` to ``last`` of a call record together with the other workers.

    Jobs are drawn one by one (an atomic add costs nothing beside a job), and `last` is read again for each: Python
    stops all workers by writing 0 to it. The upper half of `slot` is the number of jobs after which to return; 0: all.
    """

    def work(call_address, slot):
        record = call_record(call_address)
        left, slot = slot >> 32, slot & 0xFFFFFFFF
        while True:
            job = fetch_add(call_address + _NEXT_BYTES, 1)
            if job >= record.last:
                return
            call(record.kernel, (record.plan, call_address, slot, job))
            left -= 1
            if left == 0:
                return

    return work
