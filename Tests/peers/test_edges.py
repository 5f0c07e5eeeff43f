"""Slips of a first hour: each is one sentence that names what was wrong and what to type instead."""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.request

import numpy
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from serving import BINARY, add, identity, serve


def run(*arguments, timeout=120):
    result = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    # The name of a call that failed, or of a type, is the program's business.
    assert not re.search(r"\w+\(\w+:.*\)|IOError|errno|Optional\(|NIO", result.stderr), result.stderr
    return result


@contextlib.contextmanager
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def dynamic_model(path):
    weights = numpy_helper.from_array(numpy.zeros((64, 64), numpy.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "dynamic",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "sequence", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "sequence", 64])], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize("option", ["--http-port", "--grpc-port", "--metrics-port"])
def test_a_port_in_use(option):
    ports = {"--http-port": "0", "--grpc-port": "0", "--metrics-port": "0"}
    with taken_port() as port:
        ports[option] = str(port)
        result = run("serve", "--model", "a=builtin:linear", *[word for pair in ports.items() for word in pair])
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == f"port {port} is in use by another process; choose another with {option} (0: any that is free)"


def test_a_port_of_ones_own_and_addresses_that_are_not_there():
    result = run("serve", "--model", "a=builtin:linear", "--http-port", "19871", "--grpc-port", "19871")
    assert result.returncode == 1 and "port 19871 is in use by this server's HTTP; choose another with --grpc-port" in result.stderr
    result = run("serve", "--model", "a=builtin:linear", "--http-address", "no-such-host.invalid")
    assert result.returncode == 1 and "cannot listen on no-such-host.invalid: no such host or address" in result.stderr


@pytest.mark.parametrize("model, reason", [
    ("foo=missing.onnx", "there is no such file"), ("foo=builtin:linaer", "did you mean 'builtin:linear'?"),
    ("foo=builtin:resnet", "there are linear, stacked, seqlen, encoder"), ("foo=.", "that is a folder"),
])
def test_a_model_that_is_not_there_is_said_before_ports_are_bound(model, reason):
    with taken_port() as port:
        result = run("serve", "--model", model, "--http-port", port)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith(f"--model {model}: ") and reason in result.stderr


def test_a_model_given_as_an_experiment(tmp_path):
    path = dynamic_model(tmp_path / "m.onnx")
    result = run("bench", path)
    assert result.returncode == 64 and f"{path} is a model, not an experiment: headroom bench --model {path}" in result.stderr
    common = ["--no-files", "--no-gains", "--quiet", "--seconds", "1", "--repetitions", "1", "--json"]
    result = run("bench", "--model", path, "--dimension", "sequence=8", "--users", "4", "--device", "sim:l40s", *common)
    assert result.returncode in (0, 3), result.stderr
    report = json.loads(result.stdout)
    assert [variant["name"] for variant in report["variants"]] == ["m"]
    # An open loop of the rate that was asked for.
    result = run("bench", "--model", path, "--dimension", "sequence=8", "--rate", "200", "--device", "sim:l40s", *common)
    assert result.returncode in (0, 3), result.stderr


def test_an_axis_without_a_size_names_both_ways(tmp_path):
    dynamic_model(tmp_path / "m.onnx")
    experiment = tmp_path / "q.yaml"
    text = "device: sim:h100\nworkload: {users: 4, warmUpSeconds: 0.1, seconds: 1}\nserving: {maxBatchSize: 8}\nvariants:\n  - {name: q, model: m.onnx%s}\n"
    common = ["--no-files", "--no-gains", "--quiet"]
    experiment.write_text(text % "")
    result = run("bench", experiment, *common)
    assert result.returncode == 1 and "--dimension sequence=SIZE" in result.stderr and "dimensions: {NAME: SIZE}" in result.stderr
    assert run("bench", experiment, *common, "--dimension", "sequence=16").returncode in (0, 3)
    experiment.write_text(text % ', dimensions: {"x:1": 16}')
    assert run("bench", experiment, *common).returncode in (0, 3)
    experiment.write_text(text % ", dimensions: {sequ: 16}")
    result = run("bench", experiment, *common)
    assert result.returncode == 1 and 'dimension "sequ": no input has such a dynamic axis; there are batch, sequence' in result.stderr
    experiment.write_text(text % ", dimensions: {sequence: 0}")
    assert "q.yaml:5: variants[0].dimensions.sequence" in run("bench", experiment, *common).stderr


@pytest.mark.parametrize("words, advice", [
    (["chekc", "models"], "no command is called 'chekc'; did you mean 'check'?"), (["explian"], "did you mean 'explain'?"),
    (["m.onnx"], "that is a model: headroom plan m.onnx --gpu h200"), (["frobnicate"], "there are bench, calibrate, check"),
])
def test_a_command_that_is_not_there(words, advice):
    result = run(*words)
    assert result.returncode == 64 and advice in result.stderr


@pytest.mark.parametrize("words, sentence", [
    (["load", "--model", "m", "--seconds", "5"], "load has no option --seconds; here it is --duration"),
    (["load", "--model", "m", "--usres", "5"], "load has no option --usres; did you mean --users?"),
    (["plan", "linear", "--device", "h200"], "plan has no option --device; here it is --gpu NAME"),
    (["serve", "--model", "a=builtin:linear", "--gpu-file", "g.json"], "serve has no option --gpu-file"),
    (["bench", "--frobnicate=3"], "bench has no option --frobnicate"),
    (["serve", "--model", "model.onnx"], "write NAME=FILE, as in model=model.onnx"),
])
def test_an_option_that_is_not_there_is_named_before_what_follows_from_it(words, sentence):
    result = run(*words)
    assert result.returncode == 64 and sentence in result.stderr, result.stderr
    assert len(result.stderr.strip().splitlines()) <= 3, result.stderr


def test_what_stands_behind_two_dashes_is_the_commands_own(tmp_path):
    result = run("profile", "--os", "-o", tmp_path / "t.sqlite", "--", "/bin/echo", "--frobnicate")
    assert result.returncode == 0 and "--frobnicate" in result.stdout, result.stderr


def test_an_option_is_named_only_where_it_exists():
    for command in (["serve", "--model", "a=builtin:linear", "--device", "sim:h1000"], ["bench", "--device", "sim:h1000"],
                    ["plan", "linear", "--gpu", "h1000"]):
        result = run(*command)
        assert result.returncode != 0 and 'no GPU is called "h1000"' in result.stderr, command
        has = "--gpu-file" in subprocess.run([BINARY, command[0], "--help"], capture_output=True, text=True, timeout=60).stdout
        assert ("--gpu-file" in result.stderr) <= has, result.stderr


def test_plans_fit_80_columns():
    for command in (["encoder", "--gpu", "h200,l40s,h100,rtx-pro-6000", "--batch", "1,64"], ["stacked", "--gpu", "a100", "--all-layers"],
                    ["seqlen", "--gpu", "rtx-pro-6000", "--batch", "256"]):
        lines = run("plan", *command).stdout.splitlines()
        assert max(map(len, lines)) <= 80, max(lines, key=len)
        wide = run("plan", *command, "--wide").stdout.splitlines()
        assert any("other tiles" in line for line in wide) and max(map(len, wide)) > 80


def test_no_share_of_a_roof_is_above_one(tmp_path):
    path = tmp_path / "e.onnx"
    assert run("export", "encoder", "--layers", "1", "--hidden", "256", "--heads", "4", "--sequence", "128", "-o", path).returncode == 0
    for gpu in ("l40s", "h100", "rtx-pro-6000", "a100"):
        document = json.loads(run("plan", path, "--gpu", gpu, "--batch", "1,4,32", "--json").stdout)
        for batch in document["plans"][0]["batches"]:
            assert 0 < batch["totals"]["rooflineShare"] <= 1


def test_the_page_is_among_the_first_lines(tmp_path):
    add(tmp_path, "m", identity("m", [4], 8))
    process = subprocess.Popen(
        [BINARY, "serve", "--model-repository", str(tmp_path), "--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"],
        stderr=subprocess.PIPE, text=True)
    try:
        first, second = process.stderr.readline(), process.stderr.readline()
        port = re.fullmatch(r"HTTP on 127.0.0.1:(\d+)\n", first)[1]
        assert second == f"live diagnosis: http://127.0.0.1:{port}/headroom\n"
        with urllib.request.urlopen(second.split(": ", 1)[1].strip(), timeout=30) as page:
            assert b"<html" in page.read()
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_a_log_of_json_is_json_from_the_first_line(tmp_path):
    add(tmp_path, "m", identity("m", [4], 8))
    process = subprocess.Popen(
        [BINARY, "serve", "--model-repository", str(tmp_path), "--http-port", "0", "--grpc-port", "0", "--metrics-port", "0", "--log-format",
         "json", "--log-verbose", "1"], stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if '"ready"' in line:
            break
    process.terminate()
    lines += process.stderr.readlines()
    assert process.wait(60) == 0
    records = [json.loads(line) for line in lines]
    assert all(set(record) == {"time", "severity", "process", "source", "message"} for record in records)
    assert all(record["severity"] in {"info", "warning", "error"} and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["time"]) for record in records)
    assert {"ready", "ended after signal 15"} <= {record["message"] for record in records}


def test_a_simulated_server_says_so_in_its_metrics():
    with subprocess.Popen([BINARY, "serve", "--model", "m=builtin:linear", "--device", "sim:l40s", "--http-port", "0", "--grpc-port", "0",
                           "--metrics-port", "0", "--ready-line"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            metrics = json.loads(process.stdout.readline())["metrics"]
            # A scrape never waits for a diagnosis: it has what the last one found, and asks for the next.
            deadline = time.monotonic() + 30
            text = ""
            while "headroom_verdict" not in text and time.monotonic() < deadline:
                with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=30) as page:
                    text = page.read().decode()
        finally:
            process.terminate()
    assert text.startswith("# SIMULATED: device sim:l40s ")
    assert re.search(r'^headroom_build_info\{version="[^"]+",device="sim:l40s",simulated="true"\} 1$', text, re.MULTILINE)
    assert 'headroom_idle_seconds_total{model="m",version="1",cause="no_requests"}' in text
    assert 'headroom_verdict{model="m",version="1",kind="no_requests"} 1' in text


def test_a_large_trace_is_cut_unless_all_is_asked_for(tmp_path):
    path = tmp_path / "t.json"
    common = ["bench", "--variant", "linear", "--seconds", "40", "--repetitions", "1", "--no-gains", "--no-files", "--quiet", "--chrome", path]
    # --quiet hides progress, not a cut: without it both are said.
    result = run(*[word for word in common if word != "--quiet"], timeout=500)
    assert result.returncode in (0, 3), result.stderr
    found = re.search(r"t\.json: the first (\S+) s of \S+ s, about (\d+\.?\d*) MB; all of it would be (\d+\.?\d*) MB: --all", result.stderr)
    assert found, result.stderr
    assert 60e6 < path.stat().st_size < 130e6
    cut = path.stat().st_size
    assert run(*common, "--all", timeout=500).returncode in (0, 3)
    assert path.stat().st_size > cut


def test_the_readmes_picture_is_the_programs_output():
    """What a newcomer sees first is what the program says, word for word."""
    readme = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
    shown = [line[4:] for line in readme.split("headroom explain --demo", 1)[1].splitlines()[2:] if line.startswith("    ")]
    output = run("explain", "--demo").stdout.rstrip().splitlines()
    assert shown[:len(output)] == output


def readme_commands():
    """The lines to copy under "Then your own", without their remarks."""
    readme = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
    block = readme.split("Then your own.", 1)[1].split("Words are explained", 1)[0]
    lines = [line.split(" # ")[0].split("  # ")[0].strip() for line in block.splitlines() if line.startswith("    ")]
    return re.findall(r"`(headroom export[^`]*)`", block) + [line for line in lines if line]


def test_the_readmes_commands_run_as_they_stand(tmp_path):
    commands = readme_commands()
    names = [command.split()[1] if command.startswith("headroom") else command.split()[0] for command in commands]
    assert names == ["export", "plan", "bench", "explain", "explain", "serve", "load", "curl"], commands
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "headroom").symlink_to(BINARY)
    path = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    # Without what changes would buy: most of its time.
    for command in commands[:2] + [commands[2] + " --no-gains --seconds 2 --quiet"]:
        result = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=path, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, command + result.stderr
    assert result.stdout.startswith("model  headroom "), result.stdout
    # The server's ports are those of the page: another server may have them, so that they are replaced.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = commands[5].rstrip("& ") + f" --http-port {port} --grpc-port 0 --metrics-port 0 --ready-line"
    server = subprocess.Popen(["bash", "-c", "exec " + serve], cwd=tmp_path, env=path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for line in server.stdout:
            if line.startswith("{"):
                break
        load = commands[6].replace("--duration 20", "--duration 4") + f" --url localhost:{port}"
        result = subprocess.run(["bash", "-c", load], cwd=tmp_path, env=path, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0 and "responses, 0 errors" in result.stdout, result.stdout + result.stderr
        result = subprocess.run(["bash", "-c", commands[7].replace("8000", str(port))], cwd=tmp_path, env=path, capture_output=True, text=True, timeout=60)
        assert result.stdout.startswith("mine  headroom "), result.stdout
    finally:
        server.terminate()
        server.wait(30)
