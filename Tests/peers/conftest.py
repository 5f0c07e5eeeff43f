import os
import pathlib
import subprocess

import pytest
import quiet
from serving import BINARY

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "alone(quiet=True): loads the machine, so that it runs with no other test beside it; with quiet it measures times too, and is "
        "skipped as busy where other programs disturb it")
    config.addinivalue_line("markers", "long: takes minutes; `make test-long` runs it")


# Over fifteen seconds on two cores, the longest first.
LONGEST_FIRST = [
    "test_cuda_faults", "test_load", "answers of situations", "test_live", "test_robustness", "pages of experiments", "test_front_ends",
    "test_perf_analyzer", "the case study's experiment", "test_isolation", "test_bench", "test_gpu_bring_up", "a window without an answer", "test_cuda",
    "test_explain", "test_edges", "flipped verdicts", "test_explain_server",
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests of one module go to one worker, which starts the module's server once; a module's own xdist_group marks divide it. Groups that take
    long begin first, so that none is left alone at the end."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))
    rank = {name: index for index, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.get_closest_marker("xdist_group").args[0], len(rank)))


# Tests that measure times. A machine that others keep busy is waited for, and then the test is skipped, and counted, as busy; so is one that
# failed while others were at work. A failure on a quiet machine is a failure.

WATCH = pytest.StashKey()
PATIENCE = [20.0]
excused = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    mark = item.get_closest_marker("alone")
    if mark and mark.kwargs.get("quiet", True):
        if reason := quiet.wait(PATIENCE[0]):
            # Whoever keeps it busy will not be gone a moment later.
            PATIENCE[0] = 1.0
            pytest.skip(f"busy: {reason}")
        item.stash[WATCH] = quiet.Watch()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and report.when != "teardown" and (watch := item.stash.get(WATCH, None)):
        # The error of a fixture is raised again for each test that asks for it.
        known = any(call.excinfo.value is error for error in excused)
        reason = watch.busy()
        if reason or known:
            excused.append(call.excinfo.value)
            text = str(call.excinfo.value).strip().splitlines() or [type(call.excinfo.value).__name__]
            report.outcome = "skipped"
            report.longrepr = (str(item.path), item.location[1], f"Skipped: busy: {reason or 'when it was prepared'}; it had failed: {text[0][:200]}")


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    busy = [report for report in skipped if isinstance(report.longrepr, tuple) and report.longrepr[2].startswith("Skipped: busy")]
    if busy:
        terminalreporter.write_line(f"skipped: busy: {len(busy)} tests of times, because the machine was not quiet", yellow=True)
        for report in busy:
            terminalreporter.write_line(f"  {report.nodeid.split('/')[-1]}: {report.longrepr[2].removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def headroom():
    """Runs the program: headroom("plan", ...) gives its standard output, or what it says of a failure that was expected. Several statuses
    may be right; standard output is given then."""
    def run(*arguments, status=0):
        result = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=300)
        assert result.returncode in (status if isinstance(status, tuple) else (status,)), result.stderr
        return result.stderr if isinstance(status, int) and status != 0 else result.stdout

    return run


@pytest.fixture(scope="session")
def evaluate():
    """Our Double evaluator on seeded inputs: evaluate(model, rows, seed) gives {"inputs": ..., "outputs": ...}."""
    import json

    binary = os.environ.get("REFERENCE_EVALUATE", str(pathlib.Path(BINARY).parent / "reference-evaluate"))

    def run(model, rows, seed):
        result = subprocess.run([binary, str(model), str(rows), str(seed)], capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run
