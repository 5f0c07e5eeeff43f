#!/usr/bin/env python3
"""`serve --device cuda:0` under load, as JSON lines, each as soon as it is known.

    Benchmarks/GPU/serving.py python     the linear head, and identity, beside python_server.py: requests/s at no larger p99
    Benchmarks/GPU/serving.py triton     the case study's block and users, as a real Triton was run on an H200: linear at 3,000 users, seqlen at 1,000

Every server is one that this starts, on ports of its own, and ends.
"""
import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BATCHING = """dynamic_batching {
  preferred_batch_size: [128, 256]
  max_queue_delay_microseconds: 10000
  preserve_ordering: true
  default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 120000000 max_queue_size: 20480 }
}
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A program that listens, from ready to ended."""

    def __init__(self, command, port, log):
        self.port, self.log = port, open(log, "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, cwd=ROOT)
        self.path = log

    def __enter__(self):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/health/ready", timeout=2) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                time.sleep(0.1)
        self.__exit__()
        raise RuntimeError(f"{self.process.args[0]} was not ready: {pathlib.Path(self.path).read_text(errors='replace')[-600:]}")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.log.close()


def say(**line):
    print(json.dumps(line), flush=True)


def load(options, port, model, users, seconds, *more):
    """One closed loop: requests/s and percentiles."""
    result = subprocess.run(
        [options.headroom, "load", "--url", f"http://127.0.0.1:{port}", "--model", model, "--users", str(users), "--duration", str(seconds), "--warmup", "1",
         "--json", "--quiet", *more], capture_output=True, text=True, timeout=seconds + 60)
    if result.returncode != 0:
        raise RuntimeError(f"headroom load: {result.stderr[-400:]}")
    document = json.loads(result.stdout)
    return {"users": users, "requestsPerSecond": document["requestsPerSecond"], "p99Milliseconds": document["latency"]["p99Microseconds"] / 1000,
            "generator": document["generator"]["verdict"]}


def repository(folder, options, name, instances=1):
    model = pathlib.Path(folder) / name
    (model / "1").mkdir(parents=True)
    if name == "identity":
        (model / "config.pbtxt").write_text(
            'name: "identity"\nbackend: "identity"\nmax_batch_size: 256\ninput [ { name: "x" data_type: TYPE_FP32 dims: [16] } ]\n'
            'output [ { name: "y" data_type: TYPE_FP32 dims: [16] } ]\n')
        return
    sizes = ["--sequence", str(options.sequence)] if name == "seqlen" else []
    subprocess.run([options.headroom, "export", name, "--layers", str(options.layers), "--hidden", str(options.hidden), *sizes,
                    "-o", str(model / "1" / "model.onnx")], check=True, capture_output=True)
    (model / "config.pbtxt").write_text(
        f'name: "{name}"\nbackend: "onnxruntime"\nmax_batch_size: 256\n{BATCHING}\ninstance_group [ {{ count: {instances} kind: KIND_GPU }} ]\n'
        "optimization { cuda { graphs: true } }\n")


def ours(options, folder, name, *more):
    port = free_port()
    command = [options.headroom, "serve", "--model-repository", str(folder), "--device", "cuda:0", "--precision", "fp16", "--http-port", str(port),
               "--allow-grpc", "false", "--allow-metrics", "false", *more]
    return Server(command, port, pathlib.Path(options.logs) / f"server-{name}.log")


def beside_python(options):
    port = free_port()
    theirs = Server([sys.executable, str(ROOT / "Benchmarks/GPU/python_server.py"), "--port", str(port), "--layers", str(options.layers), "--hidden",
                     str(options.hidden), "--engine", options.engine], port, pathlib.Path(options.logs) / "server-python.log")
    best, failure = None, None
    try:
        with theirs:
            # What it does best: with too many users its p99 grows and its rate does not.
            runs = [load(options, port, "linear", users, options.seconds) for users in (1, 8, 64)]
            best = max(runs, key=lambda run: run["requestsPerSecond"])
            say(kind="python", server=pathlib.Path(theirs.path).read_text(errors="replace").strip().split("\n")[0], engine=options.engine,
                runs=[{"users": run["users"], "requestsPerSecond": run["requestsPerSecond"], "p99Milliseconds": run["p99Milliseconds"]} for run in runs],
                requestsPerSecond=best["requestsPerSecond"], p99Milliseconds=best["p99Milliseconds"])
    except RuntimeError as error:
        # Ours is measured all the same: the other side may come from another run.
        failure = error
    for name in ("linear", "identity"):
        with tempfile.TemporaryDirectory() as folder:
            repository(folder, options, name)
            if name == "linear":
                # Without the case study's 10 ms: nobody there waits for a batch either.
                path = pathlib.Path(folder) / name / "config.pbtxt"
                path.write_text(path.read_text().replace("max_queue_delay_microseconds: 10000", "max_queue_delay_microseconds: 0"))
            with ours(options, folder, name) as server:
                kept = None
                for users in (64, 256, 1024):
                    run = load(options, server.port, name, users, options.seconds)
                    if (not best or run["p99Milliseconds"] <= best["p99Milliseconds"]) and (kept is None or run["requestsPerSecond"] > kept["requestsPerSecond"]):
                        kept = run
                    last = run
                say(kind="ours", model=name, users=(kept or last)["users"], generator=(kept or last)["generator"],
                    requestsPerSecond=(kept or last)["requestsPerSecond"], p99Milliseconds=(kept or last)["p99Milliseconds"])
    if failure:
        sys.exit(str(failure))


def as_triton(options):
    think = ["--think", "uniform:0.08,0.48"]
    for name, users in (("linear", options.users or 3000), ("seqlen", options.users and options.users // 2 or 1000)):
        with tempfile.TemporaryDirectory() as folder:
            repository(folder, options, name)
            with ours(options, folder, f"triton-{name}") as server:
                # Counters of the middle of the window.
                top = subprocess.Popen([options.headroom, "top", "--interval", str(max(1.0, options.seconds / 2)), "--count", "1", "--json"],
                                       stdout=subprocess.PIPE, text=True) if options.seconds >= 1 else None
                run = load(options, server.port, name, users, options.seconds, "--rows", str(options.rows), "--spawn-rate", str(users), *think)
                counters = {}
                if top:
                    try:
                        reading = json.loads(top.communicate(timeout=30)[0])["readings"][-1]["gpus"][0]
                        counters = {entry["name"]: entry["value"] for entry in reading["counters"] if entry["value"] is not None}
                    except (ValueError, KeyError, IndexError, subprocess.TimeoutExpired):
                        top.kill()
                statistics = json.load(urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v2/models/{name}/stats", timeout=10))
                say(kind="triton", model=name, users=users, rows=options.rows, requestsPerSecond=run["requestsPerSecond"], p99Milliseconds=run["p99Milliseconds"],
                    generator=run["generator"], counters=counters, statistics=statistics["model_stats"][0].get("inference_stats", {}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["python", "triton"])
    parser.add_argument("--headroom", default=str(ROOT / ".build/release/headroom"))
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--sequence", type=int, default=128)
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--users", type=int, default=0)
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--logs", default=".")
    options = parser.parse_args()
    os.makedirs(options.logs, exist_ok=True)
    options.headroom = str(pathlib.Path(options.headroom).resolve())
    (beside_python if options.what == "python" else as_triton)(options)


if __name__ == "__main__":
    main()
