import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def headroom():
    """Runs the release build: headroom("plan", ...) gives its standard output, or what it says of a failure that was expected. Several statuses
    may be right; standard output is given then."""
    binary = os.environ.get("HEADROOM_BINARY", str(ROOT / ".build/release/headroom"))

    def run(*arguments, status=0):
        result = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, timeout=300)
        assert result.returncode in (status if isinstance(status, tuple) else (status,)), result.stderr
        return result.stderr if isinstance(status, int) and status != 0 else result.stdout

    return run


@pytest.fixture(scope="session")
def evaluate():
    """Our Double evaluator on seeded inputs: evaluate(model, rows, seed) gives {"inputs": ..., "outputs": ...}."""
    import json

    binary = os.environ.get("REFERENCE_EVALUATE", str(ROOT / ".build/release/reference-evaluate"))

    def run(model, rows, seed):
        result = subprocess.run([binary, str(model), str(rows), str(seed)], capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run
