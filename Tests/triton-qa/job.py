"""One job of cases.py: builds its repository, starts the server, runs the QA file's cases, ends the server, writes the result.

Started by run.py, in a network and mount namespace of its own where the system allows one: the QA files have the ports 8000 to 8002 and
the names of shared memory fixed, and several run at the same time.
"""

import argparse
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import cases

HERE = Path(__file__).resolve().parent


def prepare_namespace():
    """Loopback up, and a /dev/shm of its own: names of shared memory are the same in every file."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS
    ctypes.CDLL(None).mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"mode=1777")


class Server:
    def __init__(self, headroom, flags, log, environment):
        self.log = log
        with open(log, "wb") as file:
            self.process = subprocess.Popen([headroom, "serve", *flags], stdout=file, stderr=file, env=environment)

    def wait_until_ready(self, seconds=60):
        """Whether it came up; False when it ended or did not in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if urllib.request.urlopen("http://127.0.0.1:8000/v2/health/ready", timeout=2).status == 200:
                    return True
            except OSError:
                time.sleep(0.05)
        return False

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


def run(job, arguments):
    folder = Path(arguments.folder)
    place = folder / "qa" / job.file.split("/")[0]
    place.mkdir(parents=True)
    (folder / "qa" / "common").symlink_to(Path(arguments.triton) / "qa" / "common")
    name = job.file.split("/")[1]
    (place / name).symlink_to(Path(arguments.triton) / "qa" / job.file)
    environment = {
        **os.environ, **job.environment, "HEADROOM": arguments.headroom, "TRITON_SERVER_ESCAPE_LOG_MESSAGES": "1",
        "PATH": f"{HERE / 'shims'}:{os.environ['PATH']}"}
    repository = place / ("models" if job.own_server else "log_models")
    repository.mkdir()
    (job.repository or cases.r.only_simple)(repository)
    server = None
    try:
        if job.own_server:
            os.chdir(place)
            server = Server(arguments.headroom, [f"--model-repository={repository}", *job.flags], folder / "server.log", environment)
            ready = server.wait_until_ready()
            environment["SERVER_PID"] = str(server.process.pid)
            log = Path(server.log).read_text(errors="replace")
            if job.must_not_start:
                right = not ready and job.must_not_start in log
                reason = "" if right else ("it started" if ready else f"the log says: {last_line(log)}")
                return {f"start refused [{job.note}]": {"outcome": "passed" if right else "failed", "reason": reason, "seconds": 0}}
            if not ready:
                return {"start": {"outcome": "failed", "reason": f"the server did not become ready: {last_line(log)}", "seconds": 0}}
        return run_cases(job, place, name, folder, environment, server)
    finally:
        if server:
            server.end()


def run_cases(job, place, name, folder, environment, server):
    result = folder / "cases.json"
    command = [sys.executable, HERE / "one_file.py", place / name, result, *(["--pytest"] if job.pytest else [])]
    for patch in job.patches:
        command += ["--patch", patch]
    timed_out = False
    with open(folder / "client.log", "wb") as log:
        try:
            subprocess.run([*map(str, command), *job.tests], cwd=place, env=environment, stdout=log, stderr=log, timeout=job.timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
    found = json.loads(result.read_text()) if result.exists() else {}
    if not found:
        reason = f"no end after {job.timeout} s" if timed_out else last_line((folder / "client.log").read_text(errors="replace"))
        found = {test.split(".")[-1]: {"outcome": "failed", "reason": reason, "seconds": job.timeout} for test in job.tests or [name]}
    if server:
        died = server.process.poll()
        if died is not None:
            found["server"] = {"outcome": "failed", "reason": f"the server ended with {died}", "seconds": 0}
    return found


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("index", type=int)
    parser.add_argument("--triton", required=True)
    parser.add_argument("--headroom", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--namespace", action="store_true")
    arguments = parser.parse_args()
    if arguments.namespace:
        prepare_namespace()
    found = run(cases.jobs()[arguments.index], arguments)
    Path(arguments.folder, "result.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
