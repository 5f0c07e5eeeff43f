#!/usr/bin/env python3
"""The real tritonserver (2.51.0, of the wheel nvidia-pytriton==0.7.0) behind the arguments of `headroom serve`.

    Scripts/test-peers prepare
    HEADROOM_BINARY=Tests/peers/tritonserver.py .venv/bin/python -m pytest Tests/peers/test_oracle_http.py

runs our tests against Triton: what fails there is a test's mistake or a difference on purpose. The wheel has the Python back end only, so
models of the identity and onnxruntime back ends are translated. Benchmarks/Serving/run.py --with-triton measures against it.
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

VENV = pathlib.Path(os.environ.get("HEADROOM_TRITON_VENV", pathlib.Path(__file__).resolve().parents[2] / ".venv-triton"))

IDENTITY = '''import json, time
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        parameters = json.loads(args["model_config"]).get("parameters", {})
        self.delay = float(parameters.get("execute_delay_ms", {}).get("string_value", 0)) / 1000

    def execute(self, requests):
        if self.delay:
            time.sleep(self.delay)
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("output", pb_utils.get_input_tensor_by_name(r, "input").as_numpy())])
            for r in requests]
'''

ONNX = '''import json, pathlib
import numpy, onnxruntime
import triton_python_backend_utils as pb_utils

KINDS = {"tensor(float)": "TYPE_FP32", "tensor(int64)": "TYPE_INT64", "tensor(string)": "TYPE_STRING"}


def session(folder):
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        text = config.as_dict()
        here = session(pathlib.Path(__file__).parent)
        given = {"input": {i["name"] for i in text["input"]}, "output": {o["name"] for o in text["output"]}}
        for tensors, kind, add in ((here.get_inputs(), "input", config.add_input), (here.get_outputs(), "output", config.add_output)):
            for tensor in tensors:
                dims = [size if isinstance(size, int) else -1 for size in tensor.shape]
                if text["max_batch_size"] > 0:
                    dims = dims[1:]
                if tensor.name not in given[kind]:
                    add({"name": tensor.name, "data_type": KINDS[tensor.type], "dims": dims})
        return config

    def initialize(self, args):
        self.session = session(pathlib.Path(args["model_repository"]) / args["model_version"])
        self.inputs = [i.name for i in self.session.get_inputs()]
        self.outputs = [o.name for o in self.session.get_outputs()]

    def execute(self, requests):
        """As one batch: rows of all requests in one run."""
        parts = [{n: pb_utils.get_input_tensor_by_name(r, n).as_numpy() for n in self.inputs} for r in requests]
        results = self.session.run(None, {n: numpy.concatenate([p[n] for p in parts]) for n in self.inputs})
        answers, start = [], 0
        if len(parts) == 1:
            return [pb_utils.InferenceResponse([pb_utils.Tensor(n, v) for n, v in zip(self.outputs, results)])]
        for part in parts:
            end = start + len(part[self.inputs[0]])
            answers.append(pb_utils.InferenceResponse(
                [pb_utils.Tensor(n, numpy.ascontiguousarray(v[start:end])) for n, v in zip(self.outputs, results)]))
            start = end
        return answers
'''


def files():
    """tritonserver and its back ends in the wheel, or None."""
    found = sorted(VENV.glob("lib/python3.*/site-packages/pytriton/tritonserver"))
    return found[0] if found else None


def translate(source, target):
    """The repository with models of the Python back end. Returns the models' names."""
    names = []
    for model in sorted(pathlib.Path(source).iterdir()):
        configuration = model / "config.pbtxt"
        if not configuration.exists():
            continue
        names.append(model.name)
        text = configuration.read_text()
        body = IDENTITY if 'backend: "identity"' in text else ONNX
        text = re.sub(r'backend: "\w+"', 'backend: "python"', text)
        (target / model.name).mkdir(parents=True)
        (target / model.name / "config.pbtxt").write_text(text)
        for version in model.iterdir():
            if version.is_dir() and version.name.isdigit():
                shutil.copytree(version, target / model.name / version.name)
                (target / model.name / version.name / "model.py").write_text(body)
    return names


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(repository, ports, arguments=(), stubs=None):
    root = files()
    return [
        str(root / "bin/tritonserver"), "--model-repository", str(repository), "--backend-directory", str(stubs),
        "--http-address", "127.0.0.1", "--grpc-address", "127.0.0.1", "--metrics-address", "127.0.0.1", "--http-port", str(ports[0]),
        "--grpc-port", str(ports[1]), "--metrics-port", str(ports[2]), "--log-error", "true", "--log-info", "true",
        "--allow-gpu-metrics", "false", *arguments]


def backends(folder):
    """The Python back end beside the stub of the venv's own Python."""
    root = files()
    shutil.copytree(root / "backends", folder / "backends")
    version = root.parents[2].name.removeprefix("python")
    for stub in (root / "python_backend_stubs" / version).iterdir():
        shutil.copy2(stub, folder / "backends/python" / stub.name)
    return folder / "backends"


def environment():
    site = files().parents[1]
    libraries = [str(path) for path in (*site.glob("nvidia_pytriton.libs"), *site.glob("nvidia*/**/lib"), site / "pytriton/external_libs")]
    return {
        **os.environ, "PATH": f"{VENV}/bin:{os.environ['PATH']}", "VIRTUAL_ENV": str(VENV), "PYTHONPATH": str(site),
        "LD_LIBRARY_PATH": ":".join(libraries + [os.environ.get("LD_LIBRARY_PATH", "")]),
    }


def start(repository, arguments=()):
    """(process, ports, temporary folder): ready to serve."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="headroom-triton-"))
    (folder / "repository").mkdir()
    translate(repository, folder / "repository")
    ports = [free_port() for _ in range(3)]
    log = open(folder / "log", "w")
    process = subprocess.Popen(
        command(folder / "repository", ports, arguments, backends(folder)), env=environment(), stdout=log, stderr=log)
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError((folder / "log").read_text()[-4000:])
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/v2/health/ready", timeout=1)
            return process, ports, folder
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise RuntimeError("tritonserver does not become ready: " + (folder / "log").read_text()[-4000:])


def main():
    arguments = sys.argv[1:]
    if arguments[:1] != ["serve"]:
        # Everything but serving is headroom's own.
        binary = os.environ.get("HEADROOM_REAL_BINARY", str(pathlib.Path(__file__).resolve().parents[2] / ".build/release/headroom"))
        os.execv(binary, [binary, *arguments])
    if files() is None:
        sys.exit(f"no tritonserver in {VENV}; see this file's first lines")
    if "--help" in arguments:
        print("--model-repository")
        return
    repository, passed = None, []
    rest = iter(arguments[1:])
    for argument in rest:
        if argument == "--model-repository":
            repository = next(rest)
        elif argument in ("--http-port", "--grpc-port", "--metrics-port", "--http-address", "--grpc-address"):
            next(rest)
        elif argument in ("--model-control-mode", "--load-model", "--repository-poll-secs", "--exit-timeout-secs"):
            passed.append(f"{argument}={next(rest)}")
    process, ports, folder = start(repository, passed)
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM))
    for name, port in zip(("HTTP", "gRPC", "metrics"), ports):
        print(f"{name} on 127.0.0.1:{port}", file=sys.stderr)
    print("ready", file=sys.stderr, flush=True)
    code = process.wait()
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
