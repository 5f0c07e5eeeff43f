"""Every --json output against its published schema."""
import json
import pathlib

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "Docs/schemas").glob("*.json")}


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def check(text, schema):
    document = json.loads(text, parse_constant=no_constant)
    jsonschema.validate(document, SCHEMAS[schema], cls=jsonschema.Draft202012Validator)
    return document


@pytest.mark.parametrize("model", ["linear", "stacked", "seqlen", "encoder"])
@pytest.mark.parametrize("dtype", ["fp16", "tf32", "fp32"])
def test_plan(headroom, model, dtype):
    document = check(headroom("plan", model, "--gpu", "rtx-pro-6000,h200,l40s", "--batch", "1,256", "--dtype", dtype, "--json"), "plan")
    assert [plan["gpu"] for plan in document["plans"]] == ["RTX PRO 6000 Blackwell WS", "H200 SXM", "L40S"]
    for plan in document["plans"]:
        for batch in plan["batches"]:
            total = sum(launch["predictedMicroseconds"] for launch in batch["launches"])
            assert abs(total - batch["totals"]["predictedMicroseconds"]) < 1e-6 * total


def test_plan_of_an_export_for_three_gpus(headroom):
    model = ROOT / "Tests/Data/onnx/encoder-dynamo-18.onnx"
    document = check(headroom("plan", model, "--gpu", "a100,h100,b200", "--batch", "1,8", "--json"), "plan")
    assert len(document["plans"]) == 3


def test_gemm_list(headroom, tmp_path):
    shapes = tmp_path / "shapes.csv"
    shapes.write_text("batch,m,n,k,dtype\n1,256,1024,1024,bf16\n5,256,1024,1024,fp16\n")
    document = check(headroom("plan", "--gemm-file", shapes, "--gpu", "a40", "--json"), "gemms")
    assert [row["batch"] for row in document["predictions"]] == [1, 5]


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["plan", "nonsense", "--gpu", "h200"], "no model is called"),
        (["plan", "linear", "--gpu", "h2oo"], "nearest"),
        (["plan", "linear", "--gpu", "h200", "--batch", "0"], "is not an integer from 1"),
        (["plan", "linear", "--gpu", "t4", "--dtype", "int3"], "int3"),
        (["plan", "linear", "--gpu", "h200", "--rewrite", "magic"], "known are stack-heads, sink-broadcast"),
        (["plan", "linear", "--gpu", "h200", "--json", "--csv"], "exclude"),
        (["calibrate"], "needed"),
    ],
)
def test_wrong_usage_exits_with_64_and_says_what_to_do(headroom, arguments, expected):
    assert expected in headroom(*arguments, status=64)


def test_missing_files_exit_with_1_and_are_named(headroom):
    assert "no/such.onnx: cannot open the file: No such file or directory" in headroom("plan", "no/such.onnx", "--gpu", "h200", status=1)


def test_calibration_round_trip(headroom, tmp_path):
    shapes = headroom("calibrate", "--print-shapes").split()
    assert len(shapes) == 25
    lines = [shapes[0] + ",median_us"]
    for shape in shapes[1:]:
        m, n, k = map(int, shape.split(","))
        lines.append(f"{shape},{3 + 2 * m * n * k / 1e8 + (m * k + n * k + m * n) * 2 / 2e5}")
    measured = tmp_path / "measured.csv"
    measured.write_text("\n".join(lines) + "\n")
    constants = tmp_path / "l4.json"
    headroom("calibrate", "--gpu", "l4", "--gpu-measurements", measured, "-o", constants)
    before = json.loads(headroom("plan", "linear", "--gpu", "l4", "--json"))
    after = json.loads(headroom("plan", "linear", "--gpu", "l4", "--constants", constants, "--json"))
    assert not before["plans"][0]["calibrated"] and after["plans"][0]["calibrated"]
    assert before["plans"][0]["batches"] != after["plans"][0]["batches"]


def test_the_sweep_draws_an_svg(headroom, tmp_path):
    import xml.etree.ElementTree

    path = tmp_path / "sweep.svg"
    headroom("plan", "linear", "--gpu", "h200", "--sweep-batch", "1:512", "--svg", path)
    xml.etree.ElementTree.parse(path)
    assert "SMs with a resident block" in headroom("plan", "linear", "--gpu", "h200", "--sweep-batch", "1:64")


def test_a_plan_file_plans_as_its_model(headroom, tmp_path):
    path = tmp_path / "head.plan"
    direct = json.loads(headroom("plan", "seqlen", "--hidden", "64", "--gpu", "h200", "--batch", "8", "--save-plan", path, "--json"))
    loaded = check(headroom("plan", path, "--batch", "8", "--json"), "plan")
    assert loaded["plans"] == direct["plans"]
    path.write_bytes(path.read_bytes()[:-1])
    assert "truncated" in headroom("plan", path, status=1)
