"""The most memory that a process has while it convolves; to be read beside that of its arrays alone."""

import numpy as np

import numconv

SHAPES = {
    "layer, channels_last": ((4, 112, 112, 64), (3, 3, 64, 64), {"padding": 1}),
    "layer, channels_first": ((4, 64, 112, 112), (64, 64, 3, 3), {"padding": 1, "data_format": "channels_first"}),
    "image": ((1, 4096, 4096), (1, 1, 11, 11), {"padding": 5, "data_format": "channels_first"}),
}


class Peak:
    params, param_names = list(SHAPES), ["call"]

    def setup_cache(self):
        """Compile all kernels, in a process of asv's own: compiling takes more memory than convolving."""
        for name in SHAPES:
            self.setup(name)
            self.peakmem_function(name)

    def setup(self, name):
        x_shape, w_shape, self.options = SHAPES[name]
        self.x, self.w = np.ones(x_shape, np.float32), np.ones(w_shape, np.float32)
        first = "data_format" in self.options
        shape = (w_shape[0], *x_shape[-2:]) if first else (*x_shape[-3:-1], w_shape[-1])
        self.out = np.ones((*x_shape[:-3], *shape), np.float32)

    def peakmem_arrays_alone(self, name):
        pass

    def peakmem_function(self, name):
        numconv.conv2d(self.x, self.w, out=self.out, **self.options)

    def peakmem_plan(self, name):
        numconv.plan_conv2d(self.x.shape, self.w, **self.options)(self.x, out=self.out)
