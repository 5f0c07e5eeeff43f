"""`headroom profile --os` on programs it does not know: our own server under load, Python with threads and children, a static binary."""
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

import serving
from test_schemas import check

LIBRARY = "libheadroom-os-interposer.so"


def profile(*arguments, command, environment=None, timeout=120):
    assert (pathlib.Path(serving.BINARY).parent / LIBRARY).exists(), f"{LIBRARY} is not beside the program; make build makes it"
    return subprocess.run(
        [serving.BINARY, "profile", "--os", *map(str, arguments), "--", *map(str, command)], capture_output=True, text=True, timeout=timeout,
        env={**os.environ, **(environment or {})})


def calls(trace, where="1"):
    with sqlite3.connect(trace) as database:
        return database.execute(
            "select value, start, end, globalTid, returnValue from OSRT_API join StringIds on id = nameId "
            f"where {where} order by start").fetchall()


PYTHON = """
import subprocess, sys, threading, time
event = threading.Event()
def wait():
    for _ in range(10): event.wait(0.02)
threads = [threading.Thread(target=wait) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
subprocess.run([sys.executable, "-c", "import time; time.sleep(0.05)"], env={}, check=True)
time.sleep(0.1)
print("done")
raise SystemExit(3)
"""


def test_python_with_threads_and_a_child(tmp_path):
    result = profile("--json", "-o", tmp_path / "run.sqlite", "--chrome", tmp_path / "run.json", command=[sys.executable, "-c", PYTHON])
    assert result.returncode == 3, result.stderr
    assert "done" in result.stderr, "the command's own output goes to standard error beside --json"
    document = check(result.stdout, "profile")
    assert document["exitCode"] == 3 and document["signal"] is None and document["droppedCalls"] == 0
    assert document["processes"] == 2 and not document["notSeen"]
    rows = calls(tmp_path / "run.sqlite")
    assert len(rows) == document["recordedCalls"]
    # CPython waits with sem_clockwait or a condition variable, as it was built.
    waits = [end - start for name, start, end, _, _ in rows if name in ("sem_clockwait", "sem_timedwait", "pthread_cond_timedwait")]
    # Waits until an instant: a thread that is kept from running before its wait begins waits less.
    assert sum(duration > 15_000_000 for duration in waits) >= 25 and len(waits) >= 30
    sleeps = [end - start for name, start, end, _, _ in rows if name in ("clock_nanosleep", "nanosleep", "select")]
    assert sorted(duration > 60_000_000 for duration in sleeps if duration > 20_000_000) == [False, True] or len(sleeps) >= 2
    assert len({thread for *_, thread, _ in rows}) >= 5
    # The summary is nsys's: sums, medians and sample deviations over the rows of the file.
    import statistics

    for row in document["osRuntime"]:
        durations = [end - start for name, start, end, _, _ in rows if name == row["name"]]
        assert row["count"] == len(durations) and row["totalNanoseconds"] == sum(durations)
        assert row["medianNanoseconds"] == statistics.median(durations)
        assert row["deviationNanoseconds"] == pytest.approx(statistics.stdev(durations) if len(durations) > 1 else 0)
    events = json.loads((tmp_path / "run.json").read_text())["traceEvents"]
    assert sum(event.get("cat") == "os_runtime" for event in events) == len(rows)


def test_our_server_under_load(tmp_path):
    serving.require_serve()
    repository = tmp_path / "models"
    serving.add(repository, "small8", serving.identity("small8", [16], 8, serving.slow_batching()))
    wrapper = tmp_path / "recorded"
    wrapper.write_text(f'#!/bin/sh\nexec "{serving.BINARY}" profile --os --json -o "{tmp_path}/run.sqlite" -- "{serving.BINARY}" "$@" '
                       f'> "{tmp_path}/profile.json"\n')
    wrapper.chmod(0o755)
    binary, serving.BINARY = serving.BINARY, str(wrapper)
    try:
        server = serving.Server(repository)
    finally:
        serving.BINARY = binary
    before = time.monotonic_ns()
    answered = [0]

    def load():
        body = serving.request("POST", "/v2/models/small8/infer", serving.infer_body())
        with server.connect() as connection, connection.makefile("rb") as stream:
            for _ in range(200):
                connection.sendall(body)
                assert serving.read_answer(stream).status == "200 OK"
                answered[0] += 1

    threads = [threading.Thread(target=load) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    after = time.monotonic_ns()
    # SIGTERM is handed on, and the server's exit code is kept.
    server.terminate()
    document = check((tmp_path / "profile.json").read_text(), "profile")
    assert document["exitCode"] == 0 and document["droppedCalls"] == 0 and answered[0] == 800
    names = {row["name"] for row in document["osRuntime"]}
    assert "epoll_wait" in names and names & {"pthread_cond_wait", "pthread_cond_timedwait"}, names
    inside = calls(tmp_path / "run.sqlite", f"start > {before} and start < {after}")
    reads = sum(name in ("read", "recv", "readv", "recvmsg") for name, *_ in inside)
    writes = sum(name in ("write", "send", "writev", "sendmsg") for name, *_ in inside)
    # One clock: what the server did for these requests begins between the client's own times, a read and a write each. (The last write may
    # return after the client has its answer.)
    short = {row["name"]: row["calls"] for row in document["belowThreshold"]}
    assert reads + sum(short.get(name, 0) for name in ("read", "recv", "readv", "recvmsg")) >= 800
    assert writes + sum(short.get(name, 0) for name in ("write", "send", "writev", "sendmsg")) >= 800
    with sqlite3.connect(tmp_path / "run.sqlite") as database:
        threads = {row[0] for row in database.execute("select value from ThreadNames join StringIds on id = nameId")}
    assert any(name.startswith("NIO-ELT") for name in threads), threads


def test_killed_by_a_signal(tmp_path):
    # Long sleeps: the interpreter sleeps until an instant, and on a busy machine it may be descheduled before the call begins.
    killed = "import os, signal, time\nfor _ in range(5): time.sleep(0.1)\nos.kill(os.getpid(), signal.SIGKILL)"
    result = profile("--json", "-o", tmp_path / "run.sqlite", command=[sys.executable, "-c", killed])
    assert result.returncode == 128 + signal.SIGKILL
    assert json.loads(result.stdout)["signal"] == signal.SIGKILL
    assert sum(end - start > 20_000_000 for name, start, end, *_ in calls(tmp_path / "run.sqlite", "value like '%sleep' or value = 'select'")) == 5


def test_duration_ends_it(tmp_path):
    start = time.monotonic()
    result = profile("--duration", "0.5", "-o", tmp_path / "run.sqlite", command=["sleep", "60"])
    assert result.returncode == 0 and time.monotonic() - start < 30, result.stderr
    cut = [row for row in calls(tmp_path / "run.sqlite") if row[4] is None]
    assert [row[0] for row in cut] == ["clock_nanosleep"] or [row[0] for row in cut] == ["nanosleep"]
    assert 0.4e9 < cut[0][2] - cut[0][1] < 5e9
    assert "cut off" in result.stdout


def test_a_tiny_limit_drops_and_says_so(tmp_path):
    script = "import os\nfor _ in range(60000): os.sched_yield()"
    result = profile("--json", "-o", tmp_path / "run.sqlite", "--os-threshold-microseconds", "0", "--os-limit-megabytes", "1",
                     command=[sys.executable, "-c", script])
    document = json.loads(result.stdout)
    kept = sum(row["count"] for row in document["osRuntime"] if row["name"] == "sched_yield")
    dropped = sum(row["calls"] for row in document["dropped"] if row["name"] == "sched_yield")
    assert dropped > 1000 and kept + dropped == 60000
    with sqlite3.connect(tmp_path / "run.sqlite") as database:
        assert any("dropped" in row[0] for row in database.execute("select text from DIAGNOSTIC_EVENT"))


@pytest.mark.parametrize("arguments, status, text", [
    ([], 64, "a command is needed"), (["--", "no-such-program-4711"], 127, "no such program"), (["--", "/etc/passwd"], 126, "may not be run"),
    (["--duration", "0", "--", "true"], 64, "--duration"), (["--os-limit-megabytes", "0", "--", "true"], 64, "--os-limit"),
])
def test_mistakes_are_named(arguments, status, text):
    result = subprocess.run([serving.BINARY, "profile", "--os", *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode == status and text in result.stderr, result


def test_a_static_binary_is_refused(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        serving.skip_loudly("no C compiler for a static binary")
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    if subprocess.run([compiler, "-static", "-o", tmp_path / "static", tmp_path / "main.c"], capture_output=True).returncode:
        serving.skip_loudly("no static libc")
    result = profile("-o", tmp_path / "run.sqlite", command=[tmp_path / "static"])
    assert result.returncode == 126 and "static binary" in result.stderr
    assert not (tmp_path / "run.sqlite").exists()
    # Started by something that is seen, it is named.
    result = profile("--json", "-o", tmp_path / "run.sqlite", command=["sh", "-c", f"{tmp_path}/static; echo"])
    assert [program["path"] for program in json.loads(result.stdout)["notSeen"]] == [str(tmp_path / "static")]


def test_the_interposer_needs_libc_alone():
    path = pathlib.Path(serving.BINARY).parent / LIBRARY
    needed = [line.split("[")[1].rstrip("]\n") for line in subprocess.run(
        ["readelf", "-d", path], capture_output=True, text=True, check=True).stdout.splitlines() if "(NEEDED)" in line]
    assert needed == ["libc.so.6"]
