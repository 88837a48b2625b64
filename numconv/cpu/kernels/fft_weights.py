"""Spectra of weights, one filter and channel a job, scaled by 1 / (LD * LH * LW).

What is transformed is the kernel reversed, so that products of spectra correlate. The CALL record describes the weights
by bytes between filters, taps and channels in place of a sample's.
"""

from __future__ import annotations

from .intrinsics import SIZES, call, call_record, fft_record, plan_record, pointer
from .runs import fill_run


def weights(scalar, lanes):
    """From weights of the computing type."""
    size = SIZES[scalar]
    vector = lanes * size

    def kernel(plan_address, call_address, slot_number, job):
        plan, call_ = plan_record(plan_address), call_record(call_address)
        fft = fft_record(plan.fft)
        tile = call_.workspace + slot_number * call_.slot_bytes
        unit, c = job // plan.group_channels, job % plan.group_channels
        source = call_.x + unit // fft.o_parts * call_.x_n + unit % fft.o_parts * size + c * call_.x_c
        fill_run(tile, size, scalar, 0.0, fft.LD * fft.plane_bytes // size)
        parts = 2 if fft.w_parts == 2 and fft.o_parts == 1 else 1
        for k in range(plan.KD * plan.KH):
            kd, kh = k // plan.KH, k % plan.KH
            d, h = (fft.LD - kd * plan.dd) % fft.LD, (fft.LH - kh * plan.dh) % fft.LH
            row, taps = tile + d * fft.plane_bytes, source + kd * call_.x_d + kh * call_.x_h
            w = 0
            for kw in range(plan.KW):
                to = pointer(row + h * fft.row_bytes + w // lanes * 2 * vector, scalar)
                value = pointer(taps + kw * call_.x_w, scalar)
                for part in range(parts):
                    to[w % lanes + part * lanes] = value[part]
                w -= plan.dw
                while w < 0:
                    w += fft.LW
                    if fft.flat != 0:
                        h = h - 1 if h > 0 else fft.LH - 1
        target = call_.out + job * fft.spectrum_bytes
        call(fft.spectrum, (plan_address, tile, target, 0))
        values, count = pointer(target, scalar), fft.spectrum_bytes // size
        scale = pointer(plan.slope, scalar)[1]
        for i in range(count):
            values[i] *= scale

    return kernel
