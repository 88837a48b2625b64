"""The first result of a process: with kernels compiled (cold) and loaded from the cache (warm)."""

CALL = """
import numconv
numconv.{call}
"""
CALLS = {
    "conv2d float32": "conv2d(np.ones((1, 64, 64, 16), 'f4'), np.ones((3, 3, 16, 32), 'f4'), padding='same')",
    "conv2d float64, first": "conv2d(np.ones((16, 64, 64)), np.ones((32, 16, 3, 3)), data_format='channels_first')",
    "filter_bank float32": "filter_bank(np.ones((64, 64), 'f4'), np.ones((4, 5, 5), 'f4'))",
}
EMPTY_CACHE = """
import atexit, os, shutil, tempfile
import numpy as np
directory = os.environ["NUMCONV_CACHE_DIR"] = tempfile.mkdtemp()
atexit.register(shutil.rmtree, directory)
"""


class FirstCall:
    params, param_names = list(CALLS), ["call"]
    number, repeat, warmup_time = 1, 3, 0

    def setup_cache(self):
        """Compile all kernels, in a process of asv's own."""
        for call in CALLS.values():
            exec("import numpy as np" + CALL.format(call=call), {})

    def setup(self, name):
        self.code = CALL.format(call=CALLS[name])

    def timeraw_cold(self, name):
        return self.code, EMPTY_CACHE

    def timeraw_warm(self, name):
        return self.code, "import numpy as np"
