"""Passes over feature maps (N, H, W, C) that are no convolutions: what training does besides.

Maps are C-contiguous. A job is a block of pixels or a sample; which one never depends on the number of workers, and
each sum belongs to one job: the same bits for any of them. Innermost loops run over channels, which LLVM makes vectors.
"""

from __future__ import annotations

from .intrinsics import call_record, plan_record, pointer, size_of


def rectify_back(code):
    """``g = 0 where y <= 0``, in place, and the sums of g over the job's pixels, of each channel, in float64.

    `x` holds y, `out` g, `bias` the sums of all jobs. A NaN in y lets the gradient pass.
    """

    def kernel(plan_address, call_address, _, job):
        plan, call = plan_record(plan_address), call_record(call_address)
        C, block = plan.channels, call.sample_block
        sums = pointer(call.bias + job * C * 8, "f8")
        for c in range(C):
            sums[c] = 0.0
        for pixel in range(job * block, min((job + 1) * block, call.samples)):
            row = pixel * C * size_of(code)
            y, g = pointer(call.x + row, code), pointer(call.out + row, code)
            for c in range(C):
                value = 0.0 if y[c] <= 0 else g[c]
                g[c] = value
                sums[c] += value

    return kernel


def largest(code):
    """The largest of each window; NaN if one is. A job is a sample; `x` and `out` are maps, padding is never there."""

    def kernel(plan_address, call_address, _, job):
        plan, call = plan_record(plan_address), call_record(call_address)
        C = plan.channels
        pixel_bytes = C * size_of(code)
        x = call.x + job * plan.H * plan.W * pixel_bytes
        out = call.out + job * plan.OH * plan.OW * pixel_bytes
        for oh in range(plan.OH):
            for ow in range(plan.OW):
                y = pointer(out + (oh * plan.OW + ow) * pixel_bytes, code)
                first = 1
                for kh in range(plan.KH):
                    for kw in range(plan.KW):
                        h, w = oh * plan.sh + kh - plan.lo_h, ow * plan.sw + kw - plan.lo_w
                        if 0 <= h < plan.H and 0 <= w < plan.W:
                            v = pointer(x + (h * plan.W + w) * pixel_bytes, code)
                            if first == 1:
                                for c in range(C):
                                    y[c] = v[c]
                            else:
                                for c in range(C):
                                    y[c] = v[c] if v[c] > y[c] or v[c] != v[c] else y[c]
                            first = 0

    return kernel


def largest_back(code):
    """Gradients of windows to the first of their samples that is as large as the result.

    A job is a sample; `x` and `weights` hold x and y, `bias` the gradient of y, which is used up, `out` that of x.
    """

    def kernel(plan_address, call_address, _, job):
        plan, call = plan_record(plan_address), call_record(call_address)
        C = plan.channels
        pixel_bytes = C * size_of(code)
        inside, outside = job * plan.H * plan.W * pixel_bytes, job * plan.OH * plan.OW * pixel_bytes
        to = pointer(call.out + inside, code)
        for i in range(plan.H * plan.W * C):
            to[i] = 0
        for oh in range(plan.OH):
            for ow in range(plan.OW):
                at = outside + (oh * plan.OW + ow) * pixel_bytes
                y, g = pointer(call.weights + at, code), pointer(call.bias + at, code)
                for kh in range(plan.KH):
                    for kw in range(plan.KW):
                        h, w = oh * plan.sh + kh - plan.lo_h, ow * plan.sw + kw - plan.lo_w
                        if 0 <= h < plan.H and 0 <= w < plan.W:
                            here = inside + (h * plan.W + w) * pixel_bytes
                            v, t = pointer(call.x + here, code), pointer(call.out + here, code)
                            for c in range(C):
                                left, same = g[c], v[c] == y[c]
                                t[c] += left if same else 0.0
                                g[c] = 0.0 if same else left

    return kernel
