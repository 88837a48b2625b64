"""Training: a step of networks, forward, backward and Adam, beside PyTorch in the same rounds."""

from importlib import import_module

import numconv
from numconv._bench.settings import Settings

try:
    from numconv._bench import training
except ImportError:  # a commit without layers
    training = None  # type: ignore[assignment]

NETWORKS = ["digits, 8x8x1", "vgg block, 32x32x3"]


class Training:
    params, param_names = NETWORKS, ["network"]
    version = "1"
    timeout = 300

    def setup_cache(self):
        """Figures by network."""
        if training is None:
            return {}
        import_module("numba")
        settings = Settings(numconv.get_num_threads(), rounds=7)
        return {
            network.name: training.measure(network, settings, range(settings.rounds)) for network in training.NETWORKS
        }

    def setup(self, figures, name):
        if name not in figures:
            raise NotImplementedError(f"this commit does not train {name}")

    def track_step_seconds(self, figures, name):
        return figures[name].seconds["numconv"] / figures[name].steps

    track_step_seconds.unit = "seconds"

    def track_over_best_peer(self, figures, name):
        """NaN where PyTorch is not installed."""
        return round(1 / (figures[name].gain or float("nan")), 4)

    track_over_best_peer.unit = "times the best library's time"
