"""Ctrl-C anywhere, no memory, and sizes beyond 32 and 63 bits: right or refused, and usable afterwards."""

from __future__ import annotations

import sys
from statistics import median

import numpy as np
import pytest

import numconv
from tests.problems import same_bits
from tests.running import run_script

linux = pytest.mark.skipif(sys.platform != "linux", reason="signals, and limits of memory, as on Linux")


def repeated(shape, dtype="float32"):
    """One value under so many places."""
    return np.broadcast_to(np.ones((1,) * len(shape), dtype), shape)


# What happens where SIGALRM comes as Ctrl-C does, after so many seconds; then the same calls again.
INTERRUPTED = """
    import signal, sys, time
    import numpy as np, numconv
    {setup}

    def press(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, press)
    for after in {after}:
        signal.setitimer(signal.ITIMER_REAL, after)
        start = time.perf_counter()
        try:
            while True:
                {call}
        except KeyboardInterrupt:
            taken = time.perf_counter() - start - after
        {check}
        print(taken)
    """


def interrupted(setup, call, after, check, **environment):
    """Seconds from the key to the exception, for each of `after`, when the key is pressed."""
    code = INTERRUPTED.format(setup=setup, call=call, after=after, check=check)
    return [float(line) for line in run_script(code, timeout=120, **environment).split()]


SMALL = "x, w = np.ones((1, 8, 8, 16), 'f4'), np.arange(3 * 3 * 16 * 32, dtype='f4').reshape(3, 3, 16, 32) % 7"
SMALL_CHECK = "assert np.array_equal(numconv.conv2d(x, w), numconv.conv2d(x, w, method='reference'))"


def is_soon(taken):
    """Ctrl-C within 0.2 s on an idle machine: tests share it with others."""
    return median(taken) < 0.2 and max(taken) < 1.0


@linux
def test_interrupts_of_a_first_call(tmp_path):
    """While Numba is imported, while it compiles, while LLVM does.

    50 at random moments took 0.035 s (median), at most 0.19 s.
    """
    taken = []
    for after in (0.05, 0.2, 0.4, 0.7, 1.0):
        directory = str(tmp_path / f"cache{after}")
        taken += interrupted(SMALL, "numconv.conv2d(x, w)", [after], SMALL_CHECK, NUMCONV_CACHE_DIR=directory)
    assert is_soon(taken), taken


@linux
def test_an_interrupt_in_the_midst_of_numba(tmp_path):
    """Half of Numba cannot be imported again: the next call finds all of it."""
    run_script(
        """
        import os, signal, sys, time, warnings
        import numpy as np, numconv

        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells take from what they start with "&"

        class Key:
            pressed = False

            def find_spec(self, name, path=None, target=None):
                if name == "numba.core.registry" and not self.pressed:
                    self.pressed = True
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(0.05)

        key = Key()
        sys.meta_path.insert(0, key)
        w = np.ones((3, 3, 2, 2), "f4")
        try:
            numconv.conv2d(np.ones((8, 8, 2), "f4"), w)
        except KeyboardInterrupt:
            assert key.pressed
        else:
            raise SystemExit("not interrupted")
        if os.fork() == 0:
            os._exit(0 if (numconv.conv2d(np.ones((8, 8, 2), "f4"), w) == 18).all() else 1)
        assert os.wait()[1] == 0
        assert (numconv.conv2d(np.ones((8, 8, 2), "f4"), w) == 18).all()
        """,
        NUMCONV_CACHE_DIR=str(tmp_path / "cache"),
    )


@linux
def test_an_interrupted_compilation_goes_on_alone():
    """Inside llvmlite, Ctrl-C made LLVM free memory twice (2 of 70 compilations): it comes to a thread that waits."""
    run_script(
        """
        import os, signal, threading, time
        from numconv.cpu import cache

        def load(factory, params):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
            return 7

        signal.signal(signal.SIGINT, signal.default_int_handler)
        cache._load = load
        try:
            cache.address("worker.worker")
        except KeyboardInterrupt:
            assert not cache._ADDRESSES, "Ctrl-C came too late"
        else:
            raise SystemExit("not interrupted")
        cache._load = None  # the first one is waited for
        assert cache.address("worker.worker") == 7
        assert threading.active_count() == 1
        """
    )


@linux
@pytest.mark.parametrize(
    ("setup", "call"),
    [
        # 8 s of a long call, alone and with others; packing of 400 MB of weights; many samples cast one by one
        (
            "x, w = np.ones((64, 112, 112, 128), 'f4'), np.ones((3, 3, 128, 256), 'f4')",
            "numconv.conv2d(x, w, threads=1)",
        ),
        (
            "x, w = np.ones((64, 112, 112, 128), 'f4'), np.ones((3, 3, 128, 256), 'f4')",
            "numconv.conv2d(x, w, threads=2)",
        ),
        ("x, w = np.ones((1, 3, 3, 3456), 'f4'), np.ones((3, 3, 3456, 3456), 'f4')", "numconv.conv2d(x, w, threads=2)"),
        ("x, w = np.ones((4000, 64, 64, 8), '>f4'), np.ones((3, 3, 8, 64), 'f4')", "numconv.conv2d(x, w)"),
    ],
)
def test_interrupts_of_long_calls(setup, call):
    """With kernels that are compiled. 50 of each: 0.001 to 0.024 s (median), at most 0.09 s; weights once 0.5 s."""
    setup += "\n    numconv.conv2d(x[:1, :3, :3].copy(), w[..., :64].copy(), threads=1)\n    " + SMALL.replace(
        "x, w", "x_, w_"
    )
    taken = interrupted(setup, call, [0.02, 0.05, 0.1, 0.15, 0.2], SMALL_CHECK.replace("(x, w", "(x_, w_"))
    assert is_soon(taken), taken


LIMITED = """
    import pathlib, resource, threading, time
    import numpy as np, numconv

    def leave(megabytes):
        used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (megabytes << 20), resource.RLIM_INFINITY))

    def leave_all():
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)

    def refused(words, function, *arguments, **options):
        try:
            function(*arguments, **options)
        except MemoryError as error:
            assert all(word in str(error) for word in words), error
        else:
            raise SystemExit("enough memory?")
    """


@linux
def test_no_memory_is_said_before_anything_is_written():
    run_script(
        LIMITED
        + """
    w = np.ones((3, 3, 2, 2), "f4")
    x = np.broadcast_to(np.float32(1), (4, 3000, 3000, 2))
    swapped = np.broadcast_to(np.ones((1, 1, 1), ">f4"), (6000, 6000, 2))
    many = np.broadcast_to(np.float32(1), (3, 3, 2, 20_000_000))
    out = np.full((4, 4, 2), 7, "f4")
    for small, weights, stride in ((x[0, :8, :8], w, 1), (x[0, :300], w, 1), (swapped[:1600, :1600], w, 1500),
                                   (x[0, :3, :3], many[..., :20_000], 1)):
        numconv.conv2d(small, weights, stride=stride)  # compiled without a limit
    leave(64)
    refused(["conv2d: no memory for the result", "(4, 2998, 2998, 2)", "287616128 bytes"], numconv.conv2d, x, w)
    refused(["conv2d: no memory to work in", "(6000, 6000, 2)"], numconv.conv2d, swapped, w, stride=1500, out=out)
    assert (out == 7).all()
    refused(["conv2d: no memory for tables and packed weights", "f20000000"], numconv.conv2d, x[0, :3, :3], many)
    y = numconv.conv2d(np.ones((8, 8, 2), "f4"), w)
    assert (y == 18).all()
    """
    )


@linux
def test_no_memory_for_a_first_call(tmp_path):
    """LLVM, Numba and kernels that find no room: MemoryError in time, where they would end or spoil the process."""
    run_script(
        LIMITED
        + """
    x, w, out = np.ones((8, 8, 16), "f4"), np.ones((3, 3, 16, 32), "f4"), np.full((6, 6, 32), 7, "f4")
    leave(8)
    refused(["to load LLVM"], lambda: numconv.conv2d)
    for room, word in ((200, "import Numba"), (200, "import Numba"), (325, "compile"), (40, "compile")):
        leave(room)
        refused(["conv2d: no memory for tables and packed weights", f"MiB of address space to {word}"],
                numconv.conv2d, x, w, out=out)
        assert (out == 7).all()
    leave_all()
    assert (numconv.conv2d(x, w, out=out) == 144).all()
    """,
        NUMCONV_CACHE_DIR=str(tmp_path / "cache"),
    )


@linux
def test_no_memory_for_threads():
    """OpenMP ends the process where it gets no threads: the pool does the work, until there is room."""
    run_script(
        LIMITED
        + """
    import numba
    from numconv.cpu import layer

    x, w = np.ones((1, 128, 128, 32), "f4"), np.ones((3, 3, 32, 32), "f4")
    numconv.conv2d(x, w, method="direct", threads=1)
    right, go = [], [threading.Event(), threading.Event()]

    def call():
        for event in go:
            event.wait(30)
            right.append((numconv.conv2d(x, w, method="direct", threads=4) == 288).all())

    thread = threading.Thread(target=call)
    thread.start()
    leave(30)  # not enough to compile the parallel function
    assert (numconv.conv2d(x, w, method="direct", threads=4) == 288).all() and layer.name() is None
    leave_all()
    assert (numconv.conv2d(x, w, method="direct", threads=4) == 288).all() and layer.name() in ("omp", None)
    leave(12)  # not enough for four threads of a thread's own
    go[0].set()
    while not right:
        time.sleep(0.01)
    leave_all()
    go[1].set()
    thread.join()
    assert right == [True, True]
    """,
        NUMBA_NUM_THREADS="4",
    )


def test_more_than_32_bits():
    """2.5e9 elements, of which few are looked at; the first and the last pixel are right, whatever lies in lanes."""
    w = np.arange(9, dtype=np.float32).reshape(3, 3, 1, 1)
    x = repeated((50_000, 50_000, 1))
    assert (numconv.conv2d(x, w, stride=1000) == 36).all()
    assert (
        numconv.conv2d(x.transpose(2, 0, 1), w.transpose(3, 2, 0, 1), stride=1000, data_format="channels_first") == 36
    ).all()
    wide = repeated((50_000, 50_000, 16))
    many = np.ones((3, 3, 16, 33), np.float32)
    assert (numconv.conv2d(wide, many, stride=1000, padding=((0, 0), (1, 1)))[:, 1:] == 144).all()


@pytest.mark.parametrize("size", [2700, 3000, 10_000, 50_000])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_plans_of_large_images(size, data_format):
    """There are blocks for every size."""
    for channels, filters in ((1, 1), (2, 2), (3, 40)):
        if data_format == "channels_last":
            shapes = (size, size, channels), (3, 3, channels, filters)
        else:
            shapes = (channels, size, size), (filters, channels, 3, 3)
        plan = numconv.plan_conv2d(shapes[0], np.ones(shapes[1], "f4"), data_format=data_format)
        assert plan.method == "direct" and plan.workspace_bytes <= 8 << 20


@linux
def test_strides_of_more_than_32_bits():
    """Rows 4 GiB apart, in memory that is reserved but mostly never touched."""
    rows = np.empty((3, 1 << 30), np.float32)
    x = rows[:, :64].reshape(1, 3, 64)[..., None]
    x[...] = np.random.default_rng(0).standard_normal(x.shape)
    assert x.strides[1] == 1 << 32
    w = np.ones((2, 3, 1, 4), np.float32)
    got = numconv.conv2d(x, w)
    assert same_bits(got, numconv.conv2d(x.copy(), w, method="reference"))
    out = np.empty((2, 1 << 30), np.float32)[:, : 62 * 4].reshape(1, 2, 62, 4)
    assert same_bits(numconv.conv2d(x, w, out=out).copy(), got)


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options", "words"),
    [
        (
            (1 << 40, 5, 1),
            (3, 1, 1),
            {},
            "no memory for the result, float32 of shape .1099511627776, 3, 1.: 13194139533312 bytes",
        ),
        ((1 << 50, 1), (3, 1, 1), {}, "no memory for tables"),
        ((5, 1), (3, 1, 1 << 50), {}, "no memory for packed weights, float32 of shape .1, 1, 3, 1, 1125899906842624."),
        ((5, 1 << 50), (3, 1 << 50, 1), {}, "no memory for packed weights"),
        ((1 << 58, 5, 1), (3, 1, 4), {}, "no memory for the result, .*: 13835058055282163712 bytes"),
    ],
    ids=str,
)
def test_more_than_there_is(x_shape, w_shape, options, words):
    with pytest.raises(MemoryError, match=f"conv1d: {words}"):
        numconv.conv1d(repeated(x_shape), repeated(w_shape), **options)


@pytest.mark.parametrize("option", ["stride", "padding", "dilation", "groups"])
def test_options_beyond_32_bits(option):
    with pytest.raises(ValueError, match=f"conv1d: {option} is {1 << 40}, expected"):
        numconv.conv1d(np.ones((5, 1)), np.ones((3, 1, 1)), **{option: 1 << 40})
