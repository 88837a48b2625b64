"""What goes wrong at the command line: one line for the user, exit status 2."""

from __future__ import annotations

import importlib
from types import ModuleType


class CommandError(Exception):
    """The user can mend it; the message is one line that says how."""

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


def extra(module: str, purpose: str) -> ModuleType:
    """Import a module that only the demo needs, or say what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn"}.get(
            module.split(".")[0], module.split(".")[0]
        )
        raise CommandError(f'{purpose} needs {package}: python -m pip install "numconv[demo]"') from error
