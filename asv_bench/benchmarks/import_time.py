"""What an import costs, in a process of its own."""

NUMPY_BEFORE = "import numpy"


class Import:
    def timeraw_numconv(self):
        return "import numconv", NUMPY_BEFORE

    def timeraw_first_names(self):
        return "from numconv import conv2d, filter_bank, plan_conv2d", NUMPY_BEFORE

    def timeraw_numpy(self):
        return "import numpy"
