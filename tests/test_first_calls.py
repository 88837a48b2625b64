"""First calls that a fork or the end of Python comes into."""

import pytest

from tests.running import run_script


@pytest.mark.parametrize("seconds", [0, 0.03, 0.1])
def test_forks_during_a_first_call(seconds):
    """While another thread imports what the call needs, asks LLVM, or loads kernels."""
    run_script(
        f"""
        import os, signal, threading, time
        import numpy as np, numconv
        x, w = np.ones((1, 8, 8, 16), "f4"), np.ones((3, 3, 16, 32), "f4")
        thread = threading.Thread(target=lambda: numconv.conv2d(x, w))
        thread.start()
        time.sleep({seconds})
        pid = os.fork()
        if pid == 0:
            signal.alarm(40)
            os._exit(0 if (numconv.conv2d(x, w) == 144).all() else 1)
        assert os.waitpid(pid, 0)[1] == 0
        thread.join()
        """
    )


def test_first_calls_while_python_ends():
    """In a function of `atexit`, in a thread that outlives the main one."""
    printed = run_script(
        """
        import atexit, threading, time
        import numpy as np, numconv
        x, w = np.ones((1, 8, 8, 16), "f4"), np.ones((3, 3, 16, 32), "f4")
        atexit.register(lambda: print((numconv.conv1d(x[0], w[0]) == 48).all()))
        threading.Thread(target=lambda: (time.sleep(0.1), print((numconv.conv2d(x, w) == 144).all()))).start()
        """
    )
    assert printed.split() == ["True", "True"]
