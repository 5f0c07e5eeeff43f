"""The ten lines of `headroom explain --url`: our server and the real tritonserver under the same load, word for word, figures masked.

The load is a closed loop of 64 users on one instance whose batches of eight take 40 ms: the instance is always busy and its batches are full,
however busy the machine is.
"""
import contextlib
import json
import re
import subprocess
import time
import urllib.request

import pytest
import tritonserver
from serving import BINARY, ROOT, TRITON, add, identity, serve, skip_loudly
from test_schemas import check

BATCHING = "dynamic_batching { }\n"


def masked(text):
    """The answer with each figure as "#": one line per entry, spaces as one."""
    lines = []
    for line in text.splitlines():
        if line.startswith(" "):
            lines[-1] += " " + line
        else:
            lines.append(line)
    # "p99" is a word of the answer; every other figure is the run's, and so is the unit it is printed in.
    number = re.compile(r"(?<![\w.])\d(?:[\d,.]*\d)?( (us|ms|s)\b)?")
    return [number.sub(lambda m: "# time" if m[1] else "#", re.sub(r"\s+", " ", line)) for line in lines]


@contextlib.contextmanager
def load(port, model, seconds):
    """64 users from before the answer to after it."""
    process = subprocess.Popen(
        [BINARY, "load", "--url", f"127.0.0.1:{port}", "--model", model, "--users", "64", "--warmup", "0.5", "--duration", str(seconds), "--quiet"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/v2/models/{model}/stats"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if json.load(answer)["model_stats"][0]["inference_count"] > 64:
                    break
        yield
    finally:
        process.terminate()
        process.wait()


def answers(headroom, http, metrics):
    arguments = ["explain", "--url", f"http://127.0.0.1:{http}", "--metrics", f"http://127.0.0.1:{metrics}/metrics", "--for", "2s", "--quiet"]
    with load(http, "busy", 30):
        text = headroom(*arguments)
        document = check(headroom(*arguments, "--json"), "explain")
    assert all(len(line) <= 80 for line in text.splitlines()), text
    return masked(text), document["servers"][0]


def golden():
    return (ROOT / "Tests/Data/answers/explain-url.txt").read_text().splitlines()


@pytest.mark.skipif(TRITON, reason="explains our own server")
def test_the_ten_lines_of_our_server(headroom, tmp_path):
    add(tmp_path, "busy", identity("busy", [16], 8, batching=BATCHING, delay_ms=40))
    with serve(tmp_path) as running:
        lines, server = answers(headroom, running.http_port, running.metrics_port)
    assert lines == golden(), "\n".join(lines)
    assert server["bottleneck"] == "instanceBound" and server["instanceBusyShare"] > 0.9 and 6 <= server["rowsPerBatch"] <= 8


def test_the_ten_lines_of_tritonserver(headroom, tmp_path):
    if tritonserver.files() is None:
        skip_loudly(f"no tritonserver in {tritonserver.VENV}: Scripts/test-peers prepare installs it")
    add(tmp_path, "busy", identity("busy", [16], 8, batching=BATCHING, delay_ms=40))
    process, ports, _ = tritonserver.start(tmp_path)
    try:
        lines, server = answers(headroom, ports[0], ports[2])
    finally:
        process.terminate()
        process.wait()
    assert lines == golden(), "\n".join(lines)
    assert server["bottleneck"] == "instanceBound" and server["instanceBusyShare"] > 0.9 and 6 <= server["rowsPerBatch"] <= 8
