"""A function in a process of its own, with a time limit: what it returns, or how the process died.

python -m tests.campaign.child module:function keywords.json result.json
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
"""Where the packages numconv and tests lie."""


class Outcome(NamedTuple):
    """`value` is what the function returned; `died` is empty, or says how it did not return."""

    value: Any
    died: str
    output: str


def call(
    target: str,
    limit: float,
    environment: Mapping[str, str | None] | None = None,
    python: tuple[str, ...] = (),
    root: Path = ROOT,
    **keywords: Any,
) -> Outcome:
    """Run ``module:function(**keywords)``; `environment` is added to this process's own, None takes a name away."""
    changed = {"PYTHONPATH": str(root), **(environment or {})}
    own = {name: value for name, value in (os.environ | changed).items() if value is not None}
    with tempfile.TemporaryDirectory() as directory:
        given, result = Path(directory, "keywords.json"), Path(directory, "result.json")
        given.write_text(json.dumps(keywords))
        own["CAMPAIGN_LIMIT"] = str(limit)
        command = [sys.executable, *python, "-m", f"{__package__}.child", target, str(given), str(result)]
        output, died = _finish(command, own, root, limit)
        if not died and not result.exists():
            died = "ended without a result"
        return Outcome(None if died else json.loads(result.read_text()), died, output)


def _finish(command: list[str], environment: dict, root: Path, limit: float) -> tuple[str, str]:
    """(output, how it died); after the limit the process and its children are killed."""
    with tempfile.TemporaryFile() as log:  # not a pipe: a grandchild that is left over would keep it open
        process = subprocess.Popen(command, env=environment, cwd=root, stdout=log, stderr=log, start_new_session=True)
        try:
            status = process.wait(limit)
            died = "" if status == 0 else _name(status)
        except subprocess.TimeoutExpired:
            died = f"hung for {limit:.0f} s"
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # also what a dead process left behind
            process.wait()
        log.seek(0)
        return log.read().decode(errors="replace"), died


def _name(status: int) -> str:
    return f"died of {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def calls(targets: list[dict], processes: int) -> list[Outcome]:
    """Several of `call`, so many at a time."""
    with ThreadPoolExecutor(processes) as pool:
        return list(pool.map(lambda keywords: call(**keywords), targets))


def watch() -> None:
    """Say where the threads of this process are when its time is nearly up."""
    faulthandler.dump_traceback_later(max(1.0, float(os.environ["CAMPAIGN_LIMIT"]) - 5))


def main(target: str, given: str, result: str) -> None:
    """In the child; shortly before its time is up it says where its threads are.

    Ctrl-C is heard there also where a shell, which started the campaign in the background, has it ignored.
    """
    watch()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module, _, function = target.partition(":")
    value = getattr(import_module(module), function)(**json.loads(Path(given).read_text()))
    partial = Path(result).with_suffix(".part")
    partial.write_text(json.dumps(value))
    partial.rename(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
