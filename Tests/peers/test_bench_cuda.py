"""`headroom bench --device cuda:0` on the stand-ins for NVIDIA's libraries: predicted first, run without a profiler and with one, everything beside everything."""
import hashlib
import json
import os
import pathlib
import subprocess

import pytest

import serving
from test_schemas import check

STANDIN = pathlib.Path(serving.BINARY).parent / "libheadroom-cuda-standin.so"
EXPERIMENT = """
name: reduced
question: Does it run from end to end?
repetitions: 1
device: sim:h200
host: h200-native
workload: {users: 16, spawnRate: 100, think: "uniform:0.08,0.48", rows: 5, warmUpSeconds: 1, seconds: 2}
serving: {maxBatchSize: 64, dynamicBatching: {preferredBatchSize: [32, 64], maxQueueDelayMicroseconds: 10000, preserveOrdering: true}}
variants:
  - {name: linear, model: linear, layers: 3, hidden: 64}
  - {name: seqlen, model: seqlen, layers: 3, hidden: 64, sequence: 4}
"""

pytestmark = pytest.mark.alone(quiet=False)


def bench(folder, *arguments, codes=(0,)):
    if not STANDIN.exists():
        serving.skip_loudly(f"{STANDIN.name} is not beside the program")
    result = subprocess.run(
        [serving.BINARY, "bench", "--device", "cuda:0", *map(str, arguments), "--json"], capture_output=True, text=True, timeout=200, cwd=folder,
        env={**os.environ, "HEADROOM_CUDA_PATH": str(STANDIN), "HEADROOM_CACHE": str(folder / "cache"), "TMPDIR": str(folder)})
    assert result.returncode in codes, result.stderr
    return result


def test_the_experiment_from_prediction_to_tables(tmp_path):
    (tmp_path / "reduced.yaml").write_text(EXPERIMENT)
    # 3: two seconds on a busy machine may well not be steady.
    result = bench(tmp_path, "reduced.yaml", "--device", "sim:h200", "--no-gains", "--out", "out", "--trace", "run.sqlite", codes=(0, 3))
    document = check(result.stdout, "bench-both")
    digest = hashlib.sha256((tmp_path / "out/prediction.json").read_bytes()).hexdigest()
    assert f"SHA-256 {digest}" in result.stderr
    (line,) = [json.loads(line) for line in (tmp_path / "validation.jsonl").read_text().splitlines()]
    check(json.dumps(line), "validation")
    assert digest in line["hostProfile"] and {"requests/s", "kernel time per batch"} <= {entry["quantity"] for entry in line["lines"]}
    for variant in document["measured"]["variants"]:
        seen = variant["onGPU"]
        assert seen["kernelTimePerBatch"]["value"] > 0 and 0 < seen["gpuBusy"]["value"] <= 1 and seen["profiledThroughput"]["value"] > 0
        assert {counter["name"]: counter["mean"]["value"] for counter in seen["counters"]}["SM active"] == pytest.approx(0.21)
        assert variant["summaries"]["cuda_api_sum"] and variant["summaries"]["cuda_gpu_kern_sum"]
    page = (tmp_path / "out/report.html").read_text()
    assert "Predicted before the run" in page and "Counters beside kernels" in page


@pytest.mark.parametrize("suite", ["batch", "graphs", "instances", "seq", "residency"])
def test_a_suite_is_a_question_and_its_answer(tmp_path, suite):
    document = check(
        bench(tmp_path, "--suite", suite, "--layers", 2, "--hidden", 16, "--max-rows", 16, "--seconds", 1, "--device", "sim:h200", "--no-files").stdout,
        "bench-suite")
    assert document["suite"] == suite and document["verdict"] and "stand-in" in document["device"]
    assert all(run["timePerBatch"]["value"] > 0 for run in document["runs"])
    if suite in ("batch", "graphs", "seq"):
        assert any(run["predictedTimePerBatch"] for run in document["runs"])
    if suite == "graphs":
        assert any(sentence.startswith("1 row:") for sentence in document["verdict"]) and "1 rows" not in " ".join(document["verdict"])


def test_stages_are_isolated_on_a_gpu_too(tmp_path):
    document = check(
        bench(tmp_path, "--suite", "isolate", "--layers", 2, "--hidden", 16, "--max-rows", 16, "--seconds", 1, "--no-files").stdout, "bench-suite")
    assert [run["stage"] for run in document["runs"]] == ["client", "front end", "batcher + device", "device", "all of it"]
    assert all(run["capacity"]["value"] > 0 for run in document["runs"]) and "stand-in" in document["device"]


def test_a_change_is_predicted_made_and_measured_in_pairs(tmp_path):
    (tmp_path / "reduced.yaml").write_text(EXPERIMENT)
    # 2: a miss, 3: undecided; the stand-in is a processor, and the plan is of a GPU.
    result = bench(tmp_path, "reduced.yaml", "--device", "sim:h200", "--variant", "linear", "--apply", "HR102", "--prove", "--pairs", 3, codes=(0, 2, 3))
    prediction, outcome = [json.loads(line) for line in (tmp_path / "validation.jsonl").read_text().splitlines()]
    assert prediction["schema"] == "headroom.proof-prediction/1" and outcome == json.loads(result.stdout)
    assert prediction["code"] == outcome["code"] == "HR102" and outcome["pairs"] == 3 and "stand-in" not in outcome["variant"]
    digest = hashlib.sha256(json.dumps(prediction, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
    assert len(outcome["predictionSHA256"]) == len(digest)
    assert outcome["outcome"] == {0: "hit", 2: "miss", 3: "undecided"}[result.returncode]
    for line in outcome["lines"]:
        assert line["outcome"] in ("hit", "miss", "undecided") and line["predicted"]["kind"] != "measured" and line["measured"]["kind"] == "measured"
    assert {"median latency"} <= {line["quantity"] for line in outcome["lines"]}


@pytest.mark.parametrize("code, said", [("HR301", "this run does not show it"), ("nonsense", "write a finding's code")])
def test_a_change_that_nothing_asks_for_is_refused(tmp_path, code, said):
    (tmp_path / "reduced.yaml").write_text(EXPERIMENT)
    result = bench(tmp_path, "reduced.yaml", "--device", "sim:h200", "--variant", "linear", "--apply", code, "--prove", codes=(1, 64))
    assert said in result.stderr and not (tmp_path / "validation.jsonl").exists()
