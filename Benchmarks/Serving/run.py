#!/usr/bin/env python3
"""The limits of the serving path, measured beside their peers: `headroom serve` against nginx's `return 200`, and against Triton.

    Benchmarks/Serving/run.py [--seconds 10] [--rounds 3] [--only identity,grpc,...] [--with-triton] [--output FOLDER]

Needs wrk, h2load (nghttp2-client) and nginx from Debian. --with-triton installs tritonserver 2.51 with its Python back end
(Scripts/test-peers prepare) and runs the same requests against it in turn. Prints a Markdown table; FOLDER gets it and a JSON file.

Server CPU is user + system time of the process (/proc/PID/stat) over requests. Foreign is what others used of the machine meanwhile, in
percent of one core: above 12 a row is contended and not to be quoted. Servers take turns, and the spread is (largest - smallest) / median.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "Tests/peers"))
os.environ.setdefault("HEADROOM_BINARY", str(ROOT / ".build/release/headroom"))
import loading  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
DOCUMENT = """dynamic_batching {
  preferred_batch_size: [128, 256]
  max_queue_delay_microseconds: 10000
  preserve_ordering: true
  default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 120000000 max_queue_size: 20480 }
}
"""


def tensor(name, size):
    return f'{{ name: "{name}" data_type: TYPE_FP32 dims: [{size}] }}'


def identity(name, rows, batching=""):
    return (f'name: "{name}"\nbackend: "identity"\nmax_batch_size: {rows}\ninput [ {tensor("input", 16)} ]\n'
            f'output [ {tensor("output", 16)} ]\ninstance_group [ {{ count: 1 kind: KIND_CPU }} ]\n{batching}')


# name: (model, input, elements)
MODELS = {"identity": ("input", 16), "identity_document": ("input", 16), "linear": ("x", 1024)}
CASES = {
    "identity": "identity FP32[16], HTTP binary, 64 connections",
    "grpc": "identity FP32[16], gRPC, 64 connections",
    "document-closed": "identity, the case study's batching, 1000 connections",
    "document-open": "identity, the case study's batching, open loop at 15,000/s",
    "linear": "LinearHead, the case study's batching, 1000 connections",
}


def repository(folder):
    """Three models. LinearHead is exported by the program itself; its input is named by the file."""
    for name, configuration in {
        "identity": identity("identity", 8), "identity_document": identity("identity_document", 256, DOCUMENT),
        "linear": 'name: "linear"\nbackend: "onnxruntime"\nmax_batch_size: 256\n'
                  'instance_group [ { count: 1 kind: KIND_CPU } ]\n' + DOCUMENT,
    }.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(configuration)
    binary = os.environ.get("HEADROOM_REAL_BINARY", os.environ["HEADROOM_BINARY"])
    subprocess.run([binary, "export", "linear", "-o", str(folder / "linear/1/model.onnx")], check=True, capture_output=True)


def grpc_body(model, name, size):
    """ModelInferRequest by hand, in a gRPC frame: no package needed."""

    def field(number, payload):
        length, coded = len(payload), b""
        while length > 127:
            coded += bytes([length & 127 | 128])
            length >>= 7
        return bytes([number << 3 | 2]) + coded + bytes([length]) + payload

    shape = b"\x01" + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7]))
    given = field(1, name.encode()) + field(2, b"FP32") + field(3, shape)
    message = field(1, model.encode()) + field(5, given) + field(7, struct.pack(f"<{size}f", *range(size)))
    return b"\0" + struct.pack(">I", len(message)) + message


class Target:
    """A server to be measured: addresses, and the processes whose CPU counts."""

    def __init__(self, name, http, grpc, pids):
        self.name, self.http, self.grpc, self.pids = name, http, grpc, pids

    def cpu(self):
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
        return total / TICKS


def family(pid):
    """A process and its descendants."""
    found, index = [pid], 0
    while index < len(found):
        for path in pathlib.Path(f"/proc/{found[index]}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in path.read_text().split()]
        index += 1
    return found


def machine_cpu():
    """Seconds all cores were busy."""
    fields = list(map(int, pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
    return (sum(fields) - fields[3] - fields[4]) / TICKS


def own_cpu():
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def measured(target, client):
    """What the client says, with the CPU of the server and of strangers."""
    machine, server, own, start = machine_cpu(), target.cpu(), own_cpu(), time.monotonic()
    result = client()
    wall = time.monotonic() - start
    server, own = target.cpu() - server, own_cpu() - own
    result["foreignPercent"] = 100 * (machine_cpu() - machine - server - own) / wall
    result["serverMicroseconds"] = 1e6 * server / max(result["requests"], 1)
    result["clientMicroseconds"] = 1e6 * own / max(result["requests"], 1)
    result["requestsPerSecond"] = result["requests"] / result["seconds"]
    return result


def wrk(target, model, connections, seconds, folder):
    name, size = MODELS[model]
    head, body = loading.infer_request(name, size)
    (folder / "body").write_bytes(body)
    if target.name != "nginx":
        check(target, model, head, body)
    environment = {**os.environ, "KSERVE_BODY": str(folder / "body"), "KSERVE_HEAD": str(len(head))}
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency", "-s", str(HERE / "kserve.lua"),
               f"http://{target.http}/v2/models/{model}/infer"]
    text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    result = json.loads(re.search(r"^RESULT (.*)$", text, re.M).group(1))
    return {key: value / 1000 if key in ("mean", "p50", "p95", "p99") else value for key, value in result.items()}


def check(target, model, head, body):
    """One request by hand: a fast wrong answer is not measured."""
    host, port = target.http.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 20) as connection, connection.makefile("rb") as stream:
        connection.sendall(http_request(model, head, body))
        status = stream.readline()
        assert b" 200 " in status, status + stream.read(2000)


def http_request(model, head, body):
    return (f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
            f"Inference-Header-Content-Length: {len(head)}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def h2load(target, model, connections, seconds, folder):
    name, size = MODELS[model]
    (folder / "grpc").write_bytes(grpc_body(model, name, size))
    before = successes(target, model)
    text = subprocess.run(
        ["h2load", "-t1", f"-c{connections}", "-m1", "-D", str(seconds), "-d", str(folder / "grpc"),
         "-H", "content-type: application/grpc", "-H", "te: trailers", f"http://{target.grpc}/inference.GRPCInferenceService/ModelInfer"],
        capture_output=True, text=True, check=True).stdout
    rate = float(re.search(r"finished in [^,]+, ([\d.]+) req/s", text).group(1))
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", text)
    times = re.search(r"time for request: +(\S+) +(\S+) +(\S+)", text)
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", times.group(3)).groups()
    # A gRPC error is HTTP 200: the server's own count tells.
    time.sleep(0.5)
    counted = successes(target, model) - before
    succeeded = int(counts.group(1))
    assert counted >= succeeded * 0.99, f"{succeeded} answers, {counted} successes: {text}"
    return {"requests": succeeded, "seconds": succeeded / rate, "mean": float(value) * units[unit], "p50": None, "p95": None,
            "p99": None, "failed": int(counts.group(2)) + int(counts.group(3))}


def successes(target, model):
    from urllib.request import urlopen

    with urlopen(f"http://{target.http}/v2/models/{model}/stats", timeout=10) as answer:
        return int(json.load(answer)["model_stats"][0]["inference_stats"]["success"]["count"])


def open_loop(target, model, rate, seconds, connections=1000):
    """Requests at even intervals, whatever the answers do; latency counts from when a request was due, so a stall is not forgiven.

    One thread over epoll with bytes made beforehand. A request that finds no free connection waits for one, and its wait counts. A
    generator that could not keep its own times says so (`behind`), and its latencies are upper bounds.
    """
    name, size = MODELS[model]
    head, body = loading.infer_request(name, size)
    data = http_request(model, head, body)
    host, port = target.http.rsplit(":", 1)
    poll, free, due, need = select.epoll(), [], {}, {}
    sockets = {}
    for _ in range(connections):
        connection = socket.create_connection((host, int(port)), 20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The first answer tells how long each is.
        connection.sendall(data)
        answer = connection.recv(65536)
        assert b" 200 " in answer[:20], answer[:300]
        length = int(re.search(rb"(?i)content-length: (\d+)", answer).group(1))
        whole = answer.index(b"\r\n\r\n") + 4 + length
        while len(answer) < whole:
            answer += connection.recv(65536)
        connection.setblocking(False)
        poll.register(connection.fileno(), select.EPOLLIN)
        sockets[connection.fileno()] = connection
        free.append(connection.fileno())
    # Headers may differ by a digit of an id or a date; bodies do not: an answer has ended once that many bytes came.
    size_of_answer = whole
    latencies, failed, sent, late = [], 0, 0, 0.0
    start = time.perf_counter()
    total = int(rate * seconds)
    while len(latencies) + failed < total:
        now = time.perf_counter() - start
        while sent < total and free and sent / rate <= now:
            number = free.pop()
            due[number], need[number] = sent / rate, size_of_answer
            late = max(late, now - sent / rate)
            sockets[number].send(data)
            sent += 1
        if now > seconds + 15:
            failed += total - len(latencies) - failed
            break
        wait = max(sent / rate - (time.perf_counter() - start), 0) if free and sent < total else 0.05
        for number, _ in poll.poll(wait):
            received = sockets[number].recv(65536)
            if not received:
                failed += 1
                poll.unregister(number)
                continue
            if need[number] == size_of_answer and received[9:12] != b"200":
                failed += 1
            need[number] -= len(received)
            if need[number] <= 0:
                latencies.append(time.perf_counter() - start - due[number])
                free.append(number)
    elapsed = time.perf_counter() - start
    for connection in sockets.values():
        connection.close()
    latencies.sort()
    pick = lambda share: 1000 * latencies[min(int(share * len(latencies)), len(latencies) - 1)]  # noqa: E731
    return {"requests": len(latencies), "seconds": elapsed, "mean": 1000 * statistics.fmean(latencies), "p50": pick(0.5), "p95": pick(0.95),
            "p99": pick(0.99), "failed": failed, "behind": late > 0.02 or elapsed > seconds * 1.05}


@contextlib.contextmanager
def headroom(models, arguments):
    from serving import Server

    server = Server(models, *arguments)
    try:
        yield Target("headroom", server.http, server.grpc, lambda: family(server.process.pid))
    finally:
        server.terminate()


@contextlib.contextmanager
def triton(models):
    import tritonserver

    if tritonserver.files() is None:
        subprocess.run([str(ROOT / "Scripts/test-peers"), "prepare"], check=True)
    process, ports, folder = tritonserver.start(models)
    try:
        yield Target("triton (Python back end)", f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}", lambda: family(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def nginx(folder):
    with loading.nginx(folder / "nginx") as (address, process):
        yield Target("nginx", address, None, lambda: family(process.pid))


def client(case, target, seconds, folder):
    if case == "identity":
        return lambda: wrk(target, "identity", 64, seconds, folder)
    if case == "grpc":
        return lambda: h2load(target, "identity", 64, seconds, folder)
    if case == "document-closed":
        return lambda: wrk(target, "identity_document", 1000, seconds, folder)
    if case == "document-open":
        return lambda: open_loop(target, "identity_document", 15_000, seconds)
    return lambda: wrk(target, "linear", 1000, seconds, folder)


def summary(runs):
    """Medians of the runs, the spread of the rate, and the best of the foreign shares' worst."""
    result = {}
    for key in ("requestsPerSecond", "mean", "p50", "p95", "p99", "serverMicroseconds", "clientMicroseconds"):
        values = [run[key] for run in runs if run[key] is not None]
        result[key] = statistics.median(values) if values else None
    rates = [run["requestsPerSecond"] for run in runs]
    result["spread"] = (max(rates) - min(rates)) / statistics.median(rates)
    result["foreignPercent"] = max(run["foreignPercent"] for run in runs)
    result["failed"] = sum(run["failed"] for run in runs)
    result["behind"] = any(run.get("behind") for run in runs)
    return result


def table(rows):
    lines = ["| case | server | req/s | mean ms | p50 | p99 | server us/req | client us/req | spread | foreign % | failed |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]

    def number(value, digits=1):
        return "-" if value is None else f"{value:,.{digits}f}"

    for row in rows:
        remark = (" (contended)" if row["foreignPercent"] > 12 else "") + (" (generator behind)" if row["behind"] else "")
        lines.append(
            f"| {CASES[row['case']]} | {row['server']}{remark} | {number(row['requestsPerSecond'], 0)} | {number(row['mean'], 2)} | "
            f"{number(row['p50'], 2)} | {number(row['p99'], 2)} | {number(row['serverMicroseconds'])} | "
            f"{number(row['clientMicroseconds'])} | {100 * row['spread']:.0f} % | {number(row['foreignPercent'], 0)} | {row['failed']} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--with-triton", action="store_true")
    parser.add_argument("--without-headroom", action="store_true", help="the peers alone")
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("arguments", nargs="*", help="further arguments of `headroom serve`, after --")
    options = parser.parse_args()
    missing = [tool for tool in ("wrk", "h2load", "nginx") if shutil.which(tool) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; apt-get install wrk nghttp2-client nginx-light")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))
    cases = [case for case in options.only.split(",") if case]
    unknown = set(cases) - set(CASES)
    if unknown:
        sys.exit(f"unknown cases {sorted(unknown)}; there are {', '.join(CASES)}")
    runs = {}
    with tempfile.TemporaryDirectory(prefix="headroom-serving-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        (folder / "models").mkdir()
        repository(folder / "models")
        targets = [] if options.without_headroom else [stack.enter_context(headroom(folder / "models", options.arguments))]
        floor = stack.enter_context(nginx(folder))
        if options.with_triton:
            targets.append(stack.enter_context(triton(folder / "models")))
        for case in cases:
            beside = targets + ([floor] if case == "identity" else [])
            for target in beside:
                # Warm: first batches allocate.
                client(case, target, 1, folder)()
            for _ in range(options.rounds):
                for target in beside:
                    result = measured(target, client(case, target, options.seconds, folder))
                    runs.setdefault((case, target.name), []).append(result)
                    print(f"{case}, {target.name}: {result['requestsPerSecond']:,.0f}/s, {result['serverMicroseconds']:.1f} us, "
                          f"foreign {result['foreignPercent']:.0f} %", file=sys.stderr, flush=True)
    rows = [{"case": case, "server": server, **summary(found)} for (case, server), found in runs.items()]
    text = table(rows)
    print(text)
    floor = next((row for row in rows if row["server"] == "nginx"), None)
    ours = next((row for row in rows if row["server"] == "headroom" and row["case"] == "identity"), None)
    if floor and ours:
        share = ours["serverMicroseconds"] / floor["serverMicroseconds"]
        print(f"identity costs {share:.2f} times nginx's `return 200` in server CPU per request")
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "serving.md").write_text(text)
        document = {"schema": "headroom.benchmark-serving/1", "rows": rows, "runs": [
            {"case": case, "server": server, "runs": found} for (case, server), found in runs.items()]}
        (options.output / "serving.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
