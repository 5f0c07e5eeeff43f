"""A server for the peers' tests: a repository in a temporary folder, the program, its ports; ended by SIGTERM with exit code 0 demanded."""
import contextlib
import functools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("HEADROOM_BINARY", str(ROOT / ".build/debug/headroom"))
# The tests themselves checked against the real thing (tritonserver.py): what differs on purpose is expected as Triton has it.
TRITON = pathlib.Path(BINARY).name == "tritonserver.py"
HEADS = {
    "linear": ["linear", "--layers", "4", "--hidden", "32"],
    "stacked": ["stacked", "--layers", "3", "--hidden", "32", "--heads", "5"],
    "seqlen": ["seqlen", "--layers", "5", "--hidden", "32", "--sequence", "8"],
    "encoder": ["encoder", "--layers", "2", "--hidden", "32", "--heads", "2", "--sequence", "16"],
}
# The case study's own block (seed.txt).
DOCUMENT_BATCHING = """dynamic_batching {
  preferred_batch_size: [128, 256]
  max_queue_delay_microseconds: 10000
  preserve_ordering: true
  default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 120000000 max_queue_size: 20480 }
}
"""


def skip_loudly(why):
    """A skip that is a failure where the peers are required."""
    if os.environ.get("HEADROOM_REQUIRE_PEERS") == "1":
        pytest.fail(f"{why}, and HEADROOM_REQUIRE_PEERS=1 requires it", pytrace=False)
    pytest.skip(f"################ SKIPPED: {why} ################")


@functools.cache
def has_serve():
    try:
        result = subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True, timeout=60)
    except OSError:
        return False
    return result.returncode == 0 and "--model-repository" in result.stdout


def tensor(name, data_type, dims):
    return f'{{ name: "{name}" data_type: {data_type} dims: [{", ".join(map(str, dims))}] }}'


def identity(name, dims, max_batch_size, batching="", delay_ms=0, data_type="TYPE_FP32", labels=""):
    """A configuration of the identity backend, as triton-inference-server/identity_backend takes it."""
    delay = f'parameters {{ key: "execute_delay_ms" value {{ string_value: "{delay_ms}" }} }}\n' if delay_ms else ""
    return (
        f'name: "{name}"\nbackend: "identity"\nmax_batch_size: {max_batch_size}\n'
        f"input [ {tensor('input', data_type, dims)} ]\noutput [ {tensor('output', data_type, dims)} ]\n"
        f"instance_group [ {{ count: 1 kind: KIND_CPU }} ]\n{batching}{delay}"
    )


def add(repository, name, configuration, version="1", model=None):
    """MODEL/config.pbtxt and MODEL/VERSION/, with model.onnx where there is one."""
    folder = pathlib.Path(repository) / name / version
    folder.mkdir(parents=True, exist_ok=True)
    if configuration is not None:
        (folder.parent / "config.pbtxt").write_text(configuration)
    if model is not None:
        (folder / "model.onnx").write_bytes(pathlib.Path(model).read_bytes())
    return folder


def slow_batching(timeout_us=0, action="REJECT", size=0, override=False):
    policy = f"timeout_action: {action} default_timeout_microseconds: {timeout_us} max_queue_size: {size}"
    return f"dynamic_batching {{ default_queue_policy {{ {policy} allow_timeout_override: {str(override).lower()} }} }}\n"


def oracle_repository(repository):
    """The models of triton-oracle.md."""
    batching = "dynamic_batching { preferred_batch_size: [4, 8] max_queue_delay_microseconds: 10000 preserve_ordering: true }\n"
    add(repository, "small8", identity("small8", [16], 8, batching))
    add(repository, "nobatch", identity("nobatch", [2, 8], 0))
    add(repository, "slow_full", identity("slow_full", [16], 1, slow_batching(size=2), delay_ms=1000))
    add(repository, "slow_reject", identity("slow_reject", [16], 1, slow_batching(200_000, override=True), delay_ms=1000))
    add(repository, "slow_delay", identity("slow_delay", [16], 1, slow_batching(200_000, "DELAY"), delay_ms=1000))


def require_serve():
    if not has_serve():
        skip_loudly(f"{BINARY} has no `serve`")


def export(head, path):
    require_serve()
    result = subprocess.run([BINARY, "export", *HEADS[head], "-o", str(path)], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return path


def onnx_repository(repository, batching="", max_batch_size=16, heads=tuple(HEADS)):
    """The built-in heads as ONNX files; their configurations name no inputs: the model completes them."""
    for head in heads:
        # The stacked head's output is [heads, rows, 2]: its first dimension counts no rows, so nothing can be batched.
        head_batching, rows = ("", 0) if head == "stacked" else (batching, max_batch_size)
        folder = add(repository, head, f'name: "{head}"\nbackend: "onnxruntime"\nmax_batch_size: {rows}\n{head_batching}')
        export(head, folder / "model.onnx")


class Server:
    """`headroom serve`, started and ready. Ports are the system's choice."""

    LISTENERS = {"http": r"^HTTP on (\S+)$", "grpc": r"^gRPC on (\S+)$", "metrics": r"^metrics on (\S+)$"}

    def __init__(self, repository, *arguments, environment=None, ready=60):
        command = [BINARY, "serve", "--model-repository", str(repository), "--http-port", "0", "--grpc-port", "0", "--metrics-port", "0",
                   "--http-address", "127.0.0.1", "--grpc-address", "127.0.0.1"]
        self.repository = pathlib.Path(repository)
        # For trying tests against a half-built server: "--exit-on-error false --strict-readiness false".
        command += os.environ.get("HEADROOM_SERVE_ARGUMENTS", "").split()
        self.lines, self.addresses, self.said_ready = [], {}, False
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            env={**os.environ, "SWIFT_BACKTRACE": "enable=no", **(environment or {})})
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(ready) or not self.said_ready or len(self.addresses) < 3:
            self.process.kill()
            self._reader.join(5)
            raise AssertionError(f"the server did not become ready; it said:\n{self.log}")
        self.host, self.http_port = self._split("http")
        self.grpc_port, self.metrics_port = self._split("grpc")[1], self._split("metrics")[1]

    def _read(self):
        for line in self.process.stderr:
            line = line.rstrip("\n")
            self.lines.append(line)
            for name, pattern in self.LISTENERS.items():
                if match := re.match(pattern, line):
                    self.addresses[name] = match.group(1)
            if line == "ready":
                self.said_ready = True
                self._ready.set()
        self._ready.set()

    def _split(self, name):
        host, port = self.addresses[name].rsplit(":", 1)
        return host.strip("[]"), int(port)

    @property
    def log(self):
        return "\n".join(self.lines)

    @property
    def http(self):
        return f"{self.host}:{self.http_port}"

    @property
    def grpc(self):
        return f"{self.host}:{self.grpc_port}"

    def connect(self, port=None, timeout=20):
        connection = socket.create_connection((self.host, port or self.http_port), timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def status_kilobytes(self, field):
        """Of its memory. A process that has ended has none, and that it ended is the finding."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        found = [int(line.split()[1]) for line in lines if line.startswith(field + ":")]
        assert found, f"the server ended, with {self.process.poll()}; it said:\n{self.log}"
        return found[0]

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def get(self, path, port=None):
        return exchange(self, request("GET", path), port)

    def post(self, path, body=b"", headers=(), port=None):
        return exchange(self, request("POST", path, body, headers), port)

    def infer(self, model="small8", rows=1, **extra):
        return self.post(f"/v2/models/{model}/infer", infer_body(shape=[rows, 16], data=X * rows, **extra))

    def gauges(self, model, *names):
        """Series of the metrics page at one moment, each the sum over the model's versions."""
        page = self.get("/metrics", self.metrics_port).body.decode()
        return [sum(map(float, re.findall(rf'^{name}\{{[^}}]*model="{model}"[^}}]*\}} (\S+)$', page, re.MULTILINE))) for name in names]

    def is_at_work(self, model, queued=0):
        """Waits until all the model's instances are at work and so many requests wait; false if that does not come about."""
        if TRITON:
            # It tells neither: as long as a request may take to get there.
            time.sleep(0.1)
            return True
        return until(lambda: self.gauges(model, "headroom_saturation_ratio", "headroom_queued_requests") == [1, queued])

    def check_alive(self):
        """Still there and still right."""
        assert self.process.poll() is None, self.log
        assert self.get("/v2/health/ready").status == "200 OK"
        answer = self.infer()
        assert answer.status == "200 OK" and json.loads(answer.body)["outputs"][0]["data"] == X, answer

    def terminate(self, within=40, expected=0):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the server did not end within {within} s of SIGTERM; it said:\n{self.log}") from None
        self._reader.join(5)
        assert code == expected, f"exit code {code}; it said:\n{self.log}"


@contextlib.contextmanager
def serve(repository, *arguments, **options):
    require_serve()
    server = Server(repository, *arguments, **options)
    try:
        yield server
    except BaseException:
        if server.process.poll() is None:
            server.process.kill()
        print(f"---- the server said:\n{server.log}")
        raise
    server.terminate()


# Raw HTTP: what a client library would hide.

X = [float(number) for number in range(16)]


class Answer:
    def __init__(self, status="", headers=None, body=b"", version="", closed=False):
        self.status, self.headers, self.body, self.version, self.closed = status, headers or {}, body, version, closed

    def __repr__(self):
        return f"{self.version} {self.status} {self.headers} {self.body[:2000]!r}{' (connection closed)' if self.closed else ''}"


def request(method, path, body=b"", headers=(), version="HTTP/1.1", host=True):
    """A request as bytes. `headers` are pairs; Content-Length is added to a body unless given or chunked."""
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    elif isinstance(body, str):
        body = body.encode()
    lines = [f"{method} {path} {version}"] + (["Host: localhost"] if host else [])
    lines += [f"{name}: {value}" for name, value in headers]
    given = {name.lower() for name, _ in headers}
    if (body or method in ("POST", "PUT")) and not given & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def infer_body(name="input", shape=(1, 16), datatype="FP32", data=X, **extra):
    return {"inputs": [{"name": name, "shape": list(shape), "datatype": datatype, "data": data}], **extra}


def read_answer(stream):
    """One answer from a buffered socket file; an Answer marked closed where the peer hung up instead."""
    try:
        line = stream.readline()
    except (ConnectionResetError, BrokenPipeError):
        line = b""
    if not line:
        return Answer(closed=True)
    version, _, status = line.decode("latin-1").strip().partition(" ")
    headers = {}
    while (line := stream.readline().strip()):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while (size := int(stream.readline().split(b";")[0], 16)):
            body += stream.read(size)
            stream.readline()
        while stream.readline().strip():
            pass
    elif "content-length" in headers:
        body = stream.read(int(headers["content-length"]))
    elif status[:1] == "1" or status[:3] in ("204", "304"):
        body = b""
    else:
        body = stream.read()
    return Answer(status, headers, body, version)


def exchange(server, data, port=None, timeout=20):
    """One request on a connection of its own."""
    with server.connect(port, timeout) as connection, connection.makefile("rb") as stream:
        connection.sendall(data)
        return read_answer(stream)


def cpu_share(server, seconds):
    """Cores that the server uses in a stretch of so many seconds: the time is what is measured."""
    before, start = server.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (server.cpu_seconds() - before) / (time.monotonic() - start)


def until(condition, seconds=10, every=0.02):
    """Waits for a condition of the outside world."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(every)
    return condition()
