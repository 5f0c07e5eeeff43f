"""A wall clock that jumps by hours changes nothing: delays, deadlines and statistics are kept by a clock that cannot be set."""
import json
import pathlib
import shutil
import subprocess
import time

import pytest
from serving import add, identity, serve, skip_loudly, slow_batching, until


@pytest.fixture(scope="module")
def stepping(tmp_path_factory):
    compiler = shutil.which("clang") or shutil.which("cc")
    if not compiler:
        skip_loudly("no C compiler")
    library = tmp_path_factory.mktemp("clock") / "clock_step.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(pathlib.Path(__file__).with_name("clock_step.c"))], check=True)
    return {"LD_PRELOAD": str(library)}


def test_the_clock_does_step(stepping):
    """The tool itself: without this the tests below could not fail."""
    import os
    import sys

    code = "import time\nseen = set()\nend = time.monotonic() + 1.2\nwhile time.monotonic() < end: seen.add(round(time.time() / 3600))\nprint(len(seen))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **stepping}, check=True).stdout
    assert int(output) >= 2


def test_delays_deadlines_and_statistics(stepping, tmp_path):
    batching = "dynamic_batching { preferred_batch_size: [8] max_queue_delay_microseconds: 300000 }\n"
    add(tmp_path, "small8", identity("small8", [16], 8, batching))
    add(tmp_path, "rejecting", identity("rejecting", [16], 1, slow_batching(300_000), delay_ms=2500))
    with serve(tmp_path, "--model-control-mode", "poll", "--repository-poll-secs", "1", environment=stepping) as server:
        # One request waits for its batch's delay, not for an hour and not for nothing: for each of six jumps.
        for _ in range(6):
            start = time.monotonic()
            answer = server.infer()
            assert answer.status == "200 OK", answer
            assert 0.29 <= time.monotonic() - start < 30
        # The second waits behind the first and is refused at its deadline.
        import threading

        first = threading.Thread(target=lambda: server.infer("rejecting"))
        first.start()
        assert server.is_at_work("rejecting")
        start = time.monotonic()
        refused = server.infer("rejecting")
        assert refused.status.startswith("503") and 0.25 <= time.monotonic() - start < 2, refused
        first.join()
        # Nothing in the statistics lasted an hour, or less than nothing.
        statistics = json.loads(server.get("/v2/models/small8/stats").body)["model_stats"][0]["inference_stats"]
        assert statistics["success"]["count"] == 6
        assert 6 * 290e6 <= statistics["success"]["ns"] <= 6 * 30e9
        live = json.loads(server.get("/v2/headroom").body)
        assert live is not None
        # The repository is still looked at.
        add(tmp_path, "late", identity("late", [16], 8))
        assert until(lambda: server.get("/v2/models/late/ready").status == "200 OK", 30)
        assert server.infer("late").status == "200 OK"
