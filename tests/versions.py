"""The oldest and newest Numba and NumPy that the metadata allow, each in an environment of its own.

    python -m tests.versions [PYTEST ARGUMENTS]

Makes virtual environments in a temporary directory and runs the tests of bits, of types, of the cache and of proofs
in each, with a cache of kernels of its own; prints a line for each, and exits with 1 if one fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ["test_direct.py", "test_types.py", "test_values.py", "test_cache.py", "test_proof.py", "test_runner.py"]


def bounds() -> dict[str, str]:
    """Lowest version of each dependency."""
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return dict(re.fullmatch(r"(\w+)>=([\d.]+)", line).groups() for line in required)  # type: ignore[union-attr, misc]


def environments() -> dict[str, list[str]]:
    """What to install: the oldest together, each oldest with the newest of the other, the newest together."""
    numba, numpy = (f"{name}=={version}.*" for name, version in bounds().items())
    return {
        "oldest": [numba, numpy],
        "oldest Numba": [numba, "numpy"],
        "newest": ["numba", "numpy"],
    }


def run(name: str, packages: list[str], arguments: list[str], directory: Path) -> bool:
    """Test in one environment."""
    venv.create(directory, with_pip=True, clear=True)
    python = str(directory / ("Scripts" if os.name == "nt" else "bin") / "python")
    extras = ["pytest>=8", "hypothesis>=6.100"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages, *extras], check=True)
    command = "import numba, numpy; print(numba.__version__, numpy.__version__)"
    found = subprocess.run([python, "-c", command], check=True, capture_output=True, text=True).stdout.split()
    print(f"{name}: Numba {found[0]}, NumPy {found[1]}", flush=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NUMCONV_CACHE_DIR": str(directory / "kernels")}
    tests = arguments or [str(ROOT / "tests" / test) for test in TESTS]
    result = subprocess.run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], cwd=ROOT, env=environment)
    print(f"{name}: {'passed' if result.returncode == 0 else 'FAILED'}", flush=True)
    return result.returncode == 0


def main(arguments: list[str]) -> int:
    """Test in all of them."""
    with tempfile.TemporaryDirectory() as directory:
        results = [run(name, packages, arguments, Path(directory)) for name, packages in environments().items()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
