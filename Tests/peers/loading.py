"""What the load generator is tried on: a server in Python that notes what came and answers as told, nginx, wrk beside it, and stalls."""
import asyncio
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from serving import BINARY, ROOT, skip_loudly, until

# One prints what wrk prints, the other also what each answer took.
KSERVE_SCRIPT, ANSWERS_SCRIPT = ROOT / "Benchmarks/Serving/kserve.lua", ROOT / "Benchmarks/Load/answers.lua"


def need(*tools):
    """Skips where a Debian package is missing."""
    packages = {"nginx": "nginx-light", "taskset": "util-linux"}
    for tool in tools:
        if shutil.which(tool) is None:
            skip_loudly(f"{tool} is not there (apt-get install {packages.get(tool, tool)})")


# The generator.


def start(*arguments, before=(), **options):
    """`headroom load`, running."""
    command = [*before, BINARY, "load", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "SWIFT_BACKTRACE": "enable=no"}, **options)


class Ended:
    def __init__(self, process, timeout=120):
        try:
            self.out, self.error = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            process.communicate()
            raise
        self.code = process.returncode

    def __repr__(self):
        return f"exit code {self.code}\n{self.out}\n{self.error}"


def load(*arguments, **options):
    """`headroom load`, ended."""
    return Ended(start(*arguments, **options))


# A server in Python.


class Stub:
    """Answers every request with what `answer(number, path, body)` gives: a body, or (status, headers, body). Notes when each came."""

    def __init__(self, answer=lambda number, path, body: b"ok"):
        self.answer = answer
        self.arrivals, self.paths, self.connections = [], [], 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(self._loop.create_server(lambda: _StubConnection(self), "127.0.0.1", 0, backlog=4096))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.address}/"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


class _StubConnection(asyncio.Protocol):
    def __init__(self, stub):
        self.stub, self.pending = stub, b""

    def connection_made(self, transport):
        self.transport = transport
        self.stub.connections += 1
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        now = time.time()
        self.pending += data
        while (end := self.pending.find(b"\r\n\r\n")) >= 0:
            head = self.pending[:end]
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            whole = end + 4 + (int(length.group(1)) if length else 0)
            if len(self.pending) < whole:
                return
            body, self.pending = self.pending[end + 4:whole], self.pending[whole:]
            path = head.split(b" ", 2)[1].decode()
            number = len(self.stub.arrivals)
            self.stub.arrivals.append(now)
            self.stub.paths.append(path)
            result = self.stub.answer(number, path, body)
            status, headers, body = result if isinstance(result, tuple) else (200, {}, result)
            lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items())]
            self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


# nginx and wrk.


@contextlib.contextmanager
def nginx(folder, delay_ms=10):
    """nginx whose `/` is `return 200`, and whose `/slow` is the same after a delay: what it makes guessing passwords slow with, turned
    into a 200. Gives its address and process."""
    for left in reversed(range(5)):
        port = free_port()
        process = start_nginx(pathlib.Path(folder), port, delay_ms)
        # Another program may have taken the port meanwhile: this nginx ends then, without a file of its number.
        if until(lambda: process.poll() is not None or (pathlib.Path(folder) / "pid").exists() and listens(port)) and process.poll() is None:
            break
        process.kill()
        process.wait(10)
        assert left, f"nginx did not start: {(pathlib.Path(folder) / 'error.log').read_text()}"
    try:
        yield f"127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(10)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_nginx(place, port, delay_ms):
    place.mkdir(parents=True, exist_ok=True)
    temporary = " ".join(f"{name}_temp_path {place}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (place / "nginx.conf").write_text(f"""worker_processes 1;
daemon off;
pid {place}/pid;
error_log {place}/error.log crit;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  {temporary}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 "ok"; }}
    location /slow {{ auth_basic "-"; auth_basic_user_file /dev/null; auth_delay {delay_ms}ms; error_page 401 =200 @ok; }}
    location @ok {{ return 200 "ok"; }}
  }}
}}
""")
    return subprocess.Popen(["nginx", "-p", str(place), "-c", str(place / "nginx.conf")], stderr=subprocess.DEVNULL)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def infer_request(name, size):
    """A request of one row with one binary tensor, answered in binary: its JSON and the whole body."""
    head = json.dumps({
        "inputs": [{"name": name, "shape": [1, size], "datatype": "FP32", "parameters": {"binary_data_size": 4 * size}}],
        "parameters": {"binary_data_output": True}}, separators=(",", ":")).encode()
    return head, head + struct.pack(f"<{size}f", *[number / size for number in range(size)])


def start_wrk(url, connections, seconds, folder, name="input", size=16, threads=1, script=KSERVE_SCRIPT, before=(),
              environment=None):
    """wrk posting one KServe request over and over, running."""
    head, body = infer_request(name, size)
    path = pathlib.Path(folder) / "wrk-body"
    path.write_bytes(body)
    command = [*before, "wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script), url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "KSERVE_BODY": str(path), "KSERVE_HEAD": str(len(head)), **(environment or {})})


def wrk_result(process, timeout=120):
    """requests, seconds, and latencies in microseconds."""
    ended = Ended(process, timeout)
    assert ended.code == 0, ended
    return json.loads(re.search(r"^RESULT (.*)$", ended.out, re.M).group(1))


# Stalls.


def stall(process_id, seconds):
    """Stops a process for so long: the pause is what is tried, nothing is waited for."""
    os.kill(process_id, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(process_id, signal.SIGCONT)


def hinder(process, stopped, running):
    """Stops a process over and over until it has ended, as a machine does that gives it a part of a core."""
    with contextlib.suppress(ProcessLookupError):
        while process.poll() is None:
            stall(process.pid, stopped)
            time.sleep(running)
