"""What show_config tells."""

import numpy as np
import pytest

import numconv
from numconv._config import show_config
from numconv.cpu import machine
from numconv.cuda import extra


def test_dicts():
    sections = show_config(mode="dicts")
    assert list(sections) == ["versions", "cpu", "tiles", "threads", "cache", "gpu"]
    assert sections["versions"]["numpy"] == np.__version__
    assert sections["cpu"]["name"] == machine.machine().name
    assert sections["tiles"] and all(isinstance(text, str) for text in sections["tiles"].values())
    assert sections["threads"]["used"] >= 1
    assert ("cuda:0" in sections["gpu"]) == (numconv.cuda.is_available() and not extra.simulated())
    assert set(sections["cache"]) == {"directory", "entries", "bytes"}


def test_printed(capsys):
    assert show_config() is None
    printed = capsys.readouterr().out
    for title, entries in show_config(mode="dicts").items():
        assert f"{title}:\n" in printed
        assert all(f"  {name} " in printed for name in entries)


def test_bad_mode():
    with pytest.raises(ValueError, match="mode must be 'stdout' or 'dicts', got 'json'"):
        show_config(mode="json")
