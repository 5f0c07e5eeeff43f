"""headroom check: exit codes, places, JSON; and fields without effect, which clients read back over HTTP and gRPC."""

import json
import subprocess

import pytest
from serving import BINARY, serve
from test_schemas import check as check_schema

IMAGE = """max_batch_size: 4 backend: "identity"
input [ { name: "x" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 3, 4, 4 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 3, 4, 4 ] } ]
metric_tags { key: "team" value: "ranking" }
optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }
"""
BAD = 'max_batch_size: 4\ninput { name: "x" data_type: TYPE_FP32 dims: 2\n  reshape { shape: 4 } }\n'


def add(repository, name, text):
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(text)


def run(*arguments):
    return subprocess.run([BINARY, "check", *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_exit_codes_and_places(tmp_path):
    add(tmp_path, "image", IMAGE)
    result = run(tmp_path)
    assert result.returncode == 0, result.stdout
    assert f"{tmp_path}/image/config.pbtxt:2:42: ignored: 'format' of ModelInput is ignored" in result.stdout
    add(tmp_path, "bad", BAD)
    result = run(tmp_path)
    assert result.returncode == 1
    assert f"{tmp_path}/bad/config.pbtxt:3:3: refused: model input 'x' has different size for dims and reshape for bad" in result.stdout
    assert result.stdout.splitlines()[-1] == "2 configurations: 1 accepted (1 with parts that are ignored), 1 refused"
    assert run(tmp_path / "none").returncode == 64
    assert run().returncode == 64
    assert all(len(line) <= 80 for line in run("--help").stdout.splitlines())


def test_quiet_keeps_what_was_not_checked(tmp_path):
    add(tmp_path, "absent", 'max_batch_size: 4\n')
    (tmp_path / "clean").mkdir()
    add(tmp_path, "right", 'backend: "identity" input { name: "x" data_type: TYPE_FP32 dims: 2 } output { name: "y" data_type: TYPE_FP32 dims: 2 }')
    result = run(tmp_path, "--quiet")
    assert result.returncode == 0
    assert "absent/1 has none of model.onnx, model.plan (it is empty): `headroom serve` refuses it" in result.stdout
    assert "right" not in result.stdout
    assert result.stdout.splitlines()[-1] == "3 configurations: 3 accepted (2 without their model's file), 0 refused"
    assert check_schema(run(tmp_path, "--json").stdout, "check")["withoutModelFile"] == 2
    wrong = run(tmp_path / "none")
    assert wrong.returncode == 64 and "See 'headroom check --help'" in wrong.stderr


def test_json(tmp_path):
    add(tmp_path, "image", IMAGE)
    add(tmp_path, "bad", BAD)
    document = check_schema(run(tmp_path, "--json").stdout, "check")
    bad, image = document["configurations"]
    assert (bad["verdict"], image["verdict"]) == ("refused", "accepted")
    assert [(remark["kind"], remark["line"], remark["column"]) for remark in bad["remarks"]] == [("refused", 3, 3)]
    assert image["configuration"]["input"][0]["format"] == "FORMAT_NCHW"


def test_what_has_no_effect_is_given_back(tmp_path):
    grpc = pytest.importorskip("tritonclient.grpc")
    add(tmp_path, "image", IMAGE)
    with serve(tmp_path) as server:
        config = json.loads(server.get("/v2/models/image/config").body)
        assert config["input"][0]["format"] == "FORMAT_NCHW"
        assert config["metric_tags"] == {"team": "ranking"}
        assert config["optimization"]["execution_accelerators"]["cpu_execution_accelerator"][0]["name"] == "openvino"
        client = grpc.InferenceServerClient(server.grpc)
        message = client.get_model_config("image").config
        assert message.input[0].format == message.input[0].Format.Value("FORMAT_NCHW")
        assert dict(message.metric_tags) == {"team": "ranking"}
        assert message.optimization.execution_accelerators.cpu_execution_accelerator[0].name == "openvino"
