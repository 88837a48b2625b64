"""What tests of the benchmark share: workloads and settings of no size, and the command."""

from dataclasses import replace

import pytest

from numconv.__main__ import main
from numconv._bench import scaling
from numconv._bench.settings import Settings
from numconv._bench.suites import SUITES, Group
from numconv._bench.workload import Workload

LAYER = Workload("tiny.layer", (9, 9), (3, 3), n=2, channels=3, filters=10, padding=1)
BANK = Workload("tiny.bank", (12, 14), (3, 3), filters=2, padding=1, bank=True, yardsticks=("copy",))
SETTINGS = Settings(threads=1, rounds=2, shortest=1e-5, copy_bytes=1 << 12)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Settings and workloads of no size; nothing that a command sets stays."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    monkeypatch.setattr(Settings, "quick", lambda self: replace(SETTINGS, only=self.only))
    group = Group("tiny layers", (LAYER, BANK), {"of roofline": 0.5, "best peer": 1.05})
    monkeypatch.setitem(SUITES, "layers", (group,))
    monkeypatch.setattr(scaling, "WORKLOADS", (LAYER,))


def bench(capsys, *arguments):
    assert main(["bench", "--quick", "--threads", "1", *map(str, arguments)]) == 0
    return capsys.readouterr().out
