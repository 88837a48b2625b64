"""Every runner: each job exactly once, no shared slots, whoever calls at the same time, forks or presses Ctrl-C."""

import itertools
import signal
import threading
from array import array

import pytest

from numconv import _threads
from numconv.cpu import cache, layer, pool, runner
from tests.running import CountingCall, SpinningCall, run_script

linux = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signals and fork")

# What a runner needs to be chosen: Numba imported or not, and its threading layer.
RUNNERS = {
    "pool": ("", "default"),
    "workqueue": ("import numba", "workqueue"),
    "numba": ("import numba", "default"),
}


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory):
    """A cache with the kernels of these tests in it, so that scripts need no Numba to run them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMCONV_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("NUMCONV_CACHE", raising=False)
        patch.setattr(cache, "_ADDRESSES", {})
        for factory in ("worker.worker", "tests.runner_kernels:count", "tests.runner_kernels:spin"):
            cache.address(factory)
        yield


@pytest.mark.parametrize("jobs", [0, 1, 2, 3, 100])
@pytest.mark.parametrize("workers", [1, 2, 3, 16])
@pytest.mark.parametrize("seconds", [0.0, 1e-3, 1.0, 100.0])
def test_every_job_runs_once(jobs, workers, seconds, monkeypatch):
    monkeypatch.setattr(layer, "parallel", lambda: None)
    call = CountingCall(jobs, workers, 16)
    runner.run(call.record, call.address, jobs, workers, seconds)
    assert call.is_right()
    assert not runner._running


@pytest.mark.parametrize("workers", [1, 2])
def test_long_calls_look_at_the_keyboard_in_the_main_thread_only(workers, monkeypatch):
    counts = []
    address, work, held = runner._worker()

    def counted(call_address, slot):
        if threading.current_thread().name != "numconv":
            counts.append(slot >> 32)
        work(call_address, slot)

    monkeypatch.setattr(layer, "parallel", lambda: None)
    monkeypatch.setattr(runner, "_worker", lambda: (address, counted, held))
    call = CountingCall(2000, workers, 16)
    runner.run(call.record, call.address, 2000, workers, 2.0)
    assert counts[0] == 2  # an eighth of 0.02 s by the estimate, then up to twice as many each time
    assert all(a <= b <= 2 * a for a, b in itertools.pairwise(counts[:3]))
    counts.clear()
    thread = threading.Thread(target=runner.run, args=(call.record, call.address, 2000, workers, 2.0))
    thread.start()
    thread.join()
    assert counts == [0]
    assert (call.counts == 2).all()


def test_without_new_threads_the_caller_does_the_work(monkeypatch):
    def no_thread(*args, **options):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(layer, "parallel", lambda: None)
    monkeypatch.setattr(pool, "_size", 0)
    monkeypatch.setattr(pool, "_tasks", pool.SimpleQueue())
    monkeypatch.setattr(pool.threading, "Thread", no_thread)
    call = CountingCall(50, 4, 16)
    runner.run(call.record, call.address, 50, 4, 1e-2)
    assert call.is_right()


def test_running_calls_share_the_threads(monkeypatch):
    monkeypatch.setattr(_threads, "_everywhere", 8)
    assert runner.default_workers() == 8
    monkeypatch.setattr(runner, "_running", {-1, -2, -3})
    assert runner.default_workers() == 2
    monkeypatch.setattr(runner, "_running", set(range(-20, 0)))
    assert runner.default_workers() == 1


@linux
def test_a_call_inside_a_call_is_serial(monkeypatch):
    monkeypatch.setattr(layer, "parallel", lambda: None)
    outer, inner, nested = SpinningCall(40, 2, 5), CountingCall(30, 4, 16), []

    def handler(*_):
        nested.append(threading.get_ident() in runner._running)
        runner.run(inner.record, inner.address, 30, 4, 1e-3)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        runner.run(outer.record, outer.address, 40, 2, 0.2)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert nested == [True]
    assert inner.is_right() and not (inner.busy[8:]).any()
    assert (outer.counts == 1).all()


@pytest.mark.parametrize("name", RUNNERS)
def test_concurrent_calls(name):
    """Four threads, random calls, also more workers than CPUs."""
    numba, wanted = RUNNERS[name]
    printed = run_script(
        f"""
        import random, sys, threading
        {numba}
        from numconv.cpu import layer, runner
        from tests.running import CountingCall

        def loop(seed):
            choose = random.Random(seed)
            for _ in range(100):
                jobs, workers = choose.randrange(200), choose.choice([1, 2, 3, 4, 16])
                call = CountingCall(jobs, workers, choose.choice([4, 64, 512]))
                runner.run(call.record, call.address, jobs, workers, choose.choice([0.0, 1e-3, 0.3]))
                wrong[seed] += not call.is_right()

        wrong = [0] * 4
        threads = [threading.Thread(target=loop, args=(seed,)) for seed in range(1, 4)]
        for thread in threads: thread.start()
        loop(0)
        for thread in threads: thread.join()
        print(sum(wrong), layer.name(), "numba" in sys.modules, bool({numba!r}) and layer._predict())
        """,
        NUMBA_THREADING_LAYER=wanted,
    )
    wrong, started, has_numba, predicted = printed.split()
    assert wrong == "0"
    assert has_numba == str(name != "pool")
    assert started == ("omp" if predicted == "omp" else "None")
    assert name == "numba" or predicted == {"pool": "False", "workqueue": "workqueue"}[name]


@linux
@pytest.mark.parametrize("name", ["serial", *RUNNERS])
@pytest.mark.parametrize("presses", [1, 3])
def test_interrupts(name, presses):
    """Ctrl-C, also again while workers are waited for: it comes through soon, then nothing runs any more."""
    numba, wanted = RUNNERS.get(name, ("", "default"))
    run_script(
        f"""
        import signal, time
        {numba}
        from numconv.cpu import runner
        from tests.running import SpinningCall

        def press(_, frame):
            # In the call alone: on a busy machine the next one may come when it has just been left.
            global presses
            presses -= 1
            if presses == 0:
                signal.setitimer(signal.ITIMER_REAL, 0)
            while frame and frame.f_code is not runner.run.__code__:
                frame = frame.f_back
            if frame:
                raise KeyboardInterrupt

        workers = {1 if name == "serial" else 2}
        signal.signal(signal.SIGALRM, press)
        call, latencies = SpinningCall(4, workers, 1), []
        runner.run(call.record, call.address, 4, workers, 1e-3)
        for _ in range(3):
            call, presses = SpinningCall(1000, workers, 10), {presses}
            start = time.perf_counter()
            signal.setitimer(signal.ITIMER_REAL, 0.1, 0.004)
            try:
                runner.run(call.record, call.address, call.jobs, workers, call.seconds)
                raise SystemExit("not interrupted")
            except KeyboardInterrupt:
                signal.setitimer(signal.ITIMER_REAL, 0)
            taken, before = time.perf_counter() - start - 0.1, call.counts.copy()
            time.sleep(0.05)
            assert (call.counts == before).all(), "a worker is left"
            assert call.counts.max() <= 1 and 0 < call.counts.sum() < 1000
            latencies.append(taken)
            assert not runner._running
        assert sorted(latencies)[1] < 0.2 and max(latencies) < 0.5, latencies
        call = SpinningCall(20, workers, 1)
        runner.run(call.record, call.address, 20, workers, 0.02)
        assert (call.counts == 1).all()
        """,
        NUMBA_THREADING_LAYER=wanted,
    )


@linux
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RUNNERS)
def test_forks_in_mid_use(name):
    """Children of a process whose threads are inside calls: they run in parallel too, and so do their children."""
    numba, wanted = RUNNERS[name]
    run_script(
        f"""
        import os, threading, warnings
        {numba}
        from numconv.cpu import runner
        from tests.running import CountingCall

        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads: what this is about

        def calls(times):
            for _ in range(times):
                call = CountingCall(50, 2, 64)
                runner.run(call.record, call.address, 50, 2, 1e-3)
                assert call.is_right()

        def child(depth):
            threads = [threading.Thread(target=calls, args=(5,)) for _ in range(2)]
            for thread in threads: thread.start()
            calls(5)
            for thread in threads: thread.join()
            if depth:
                fork_and_wait(depth - 1)

        def fork_and_wait(depth):
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    child(depth)
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitpid(pid, 0)[1] == 0

        def keep_busy():
            while not done: calls(1)

        calls(2)
        done = []
        threads = [threading.Thread(target=keep_busy) for _ in range(2)]
        for thread in threads: thread.start()
        for depth in [0, 1, 2, 0, 0]: fork_and_wait(depth)
        done.append(True)
        for thread in threads: thread.join()
        calls(5)
        """,
        NUMBA_THREADING_LAYER=wanted,
    )


def test_serial_calls_start_no_threading_layer():
    run_script(
        """
        import numba, threading
        from numconv.cpu import layer, runner
        from tests.running import CountingCall

        call = CountingCall(100, 1, 16)
        runner.run(call.record, call.address, 100, 1, 0.3)
        runner.run(call.record, call.address, 100, 2, 1e-6)
        assert (call.counts == 2).all()
        assert layer.name() is None
        assert threading.active_count() == 1
        """
    )


def test_what_belongs_to_the_user_is_left_alone():
    """Numba's thread mask, and the choice of multiprocessing's start method, which Numba's layer takes away."""
    run_script(
        """
        import multiprocessing
        import numba
        from numconv.cpu import layer, runner
        from tests.running import CountingCall

        if layer.parallel() is not None:
            call = CountingCall(100, 2, 16)
            runner.run(call.record, call.address, 100, 2, 1e-3)
            assert call.is_right()
            assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS
            numba.set_num_threads(1)
            runner.run(call.record, call.address, 100, 2, 1e-3)
            assert numba.get_num_threads() == 1
        multiprocessing.set_start_method("spawn")
        """,
        NUMBA_NUM_THREADS="3",
    )


@pytest.mark.parametrize("setting", ["tbb", "safe", "forksafe", "nonsense"])
def test_layers_that_cannot_be_had(setting):
    """A threading layer that is not installed or does not exist costs nothing but the layer."""
    run_script(
        """
        import numba
        from numconv.cpu import layer, runner
        from tests.running import CountingCall

        call = CountingCall(100, 2, 16)
        runner.run(call.record, call.address, 100, 2, 1e-3)
        assert call.is_right()
        assert layer.name() is None
        """,
        NUMBA_THREADING_LAYER=setting,
    )


def test_tbb_is_not_started():
    """Where Numba would take TBB (here: a module that looks like it), the pool does the work."""
    run_script(
        """
        import sys, types
        import numba
        import numba.np.ufunc.parallel as numba_parallel
        from numconv.cpu import layer, runner
        from tests.running import CountingCall

        sys.modules["numba.np.ufunc.tbbpool"] = types.ModuleType("tbbpool")
        numba_parallel._check_tbb_version_compatible = lambda: None
        assert layer._predict() == "tbb"
        call = CountingCall(100, 2, 16)
        runner.run(call.record, call.address, 100, 2, 1e-3)
        assert call.is_right() and layer.parallel() is None and layer.name() is None
        """,
        NUMBA_THREADING_LAYER="tbb",
    )


def test_a_layer_of_the_parent_is_not_used():
    """Numba's layer was started, and then the process forked, before numconv was imported."""
    run_script(
        """
        import multiprocessing, sys, warnings
        import numba

        warnings.simplefilter("ignore", DeprecationWarning)

        def child():
            from numconv.cpu import layer, runner
            from tests.running import CountingCall
            call = CountingCall(100, 2, 16)
            runner.run(call.record, call.address, 100, 2, 1e-3)
            assert call.is_right() and layer.parallel() is None

        if "fork" in multiprocessing.get_all_start_methods():
            numba.get_num_threads()
            assert "numconv" not in sys.modules
            process = multiprocessing.get_context("fork").Process(target=child)
            process.start()
            process.join(30)
            assert process.exitcode == 0, process.exitcode
        """
    )


def test_exit_in_mid_call():
    """A daemon thread inside a call does not keep the process, nor does the pool."""
    run_script(
        """
        import threading, time
        from numconv.cpu import runner
        from tests.running import SpinningCall

        call = SpinningCall(100, 2, 20)
        arguments = (call.record, call.address, call.jobs, 2, call.seconds)
        threading.Thread(target=runner.run, args=arguments, daemon=True).start()
        time.sleep(0.1)
        """,
        timeout=10,
    )


def test_any_int64_buffer_is_a_record():
    call = CountingCall(20, 2, 16)
    buffer = array("q", call.record.tolist())
    runner.run(buffer, buffer.buffer_info()[0], 20, 2, 1e-3)
    assert call.is_right()


def test_without_jit_the_pool_does_it():
    """NUMBA_DISABLE_JIT makes plain Python of the parallel function, but not of kernels."""
    run_script(
        """
        import numba
        from numconv.cpu import layer, runner
        from tests.running import CountingCall

        call = CountingCall(100, 2, 16)
        runner.run(call.record, call.address, 100, 2, 1e-3)
        assert call.is_right() and layer.name() is None
        """,
        NUMBA_DISABLE_JIT="1",
    )
