"""`headroom calibrate --host` and `--processor`: this machine, measured; the files are what `bench` reads."""
import json

import pytest

from test_schemas import check


def test_host(headroom, tmp_path):
    document = check(headroom("calibrate", "--host", "--seconds", "3", "--json", "--name", "here", "-o", tmp_path / "host.json"), "calibrate-host")
    entries = {entry["cost"]: entry for entry in document["entries"]}
    measured = {cost for cost, entry in entries.items() if entry["source"] == "measured"}
    assert measured >= {"frontEndPerRequest", "responsePerRequest", "batchHandOff", "gatherPerBatch", "gatherPerByte", "eventWakeUp",
                        "networkLatency", "clientPerRequest", "frontEndCores", "responsePerBatch"}
    # What needs a GPU is not claimed.
    assert not measured & {"launch", "graphLaunch", "launchLatency", "copyLatency", "copyPerByte", "copyPerBytePageable"}
    for cost in measured:
        entry = entries[cost]
        assert entry["how"] and (entry["samples"] == 1 or entry["lowerQuartile"] <= entry["value"] * 1.0001 + 1e-4), entry
    # Sizes, not figures: a request costs microseconds, a byte less than ten nanoseconds.
    assert 1 < entries["frontEndPerRequest"]["value"] + entries["responsePerRequest"]["value"] < 1000
    assert 0.1 < entries["eventWakeUp"]["value"] < 5000 and entries["gatherPerByte"]["value"] < 10
    written = json.loads((tmp_path / "host.json").read_text())
    assert written == document["profile"] and written["name"] == "here"
    (tmp_path / "experiment.yaml").write_text("""
device: sim:rtx-pro-6000
host: host.json
repetitions: 1
workload: {users: 20, seconds: 2, warmUpSeconds: 1}
serving: {maxBatchSize: 16}
variants:
  - {name: a, model: linear, layers: 2, hidden: 64}
""")
    # What the verdict on this machine's costs is, is not asked: 3 says that it is inconclusive.
    assert "here" in headroom("bench", tmp_path / "experiment.yaml", "--no-gains", "--no-files", "--quiet", status=(0, 3))


def test_processor(headroom, tmp_path):
    output = headroom("calibrate", "--processor", "linear", "--layers", "2", "--hidden", "128", "--max-batch-size", "24", "--threads", "1",
                      "--seconds", "1", "--json", "-o", tmp_path / "times.json")
    document = check(output, "calibrate-processor")
    assert [point["rows"] for point in document["processor"]["points"]] == [1, 2, 4, 8, 16, 24]
    assert document["processor"]["threads"] == 1
    assert json.loads((tmp_path / "times.json").read_text()) == document["processor"]


@pytest.mark.parametrize("arguments, expected", [
    (["--host", "--processor", "linear"], "exclude"), (["--host", "--seconds", "0"], "--seconds"),
    (["--processor", "nonsense"], "no model is called"), (["--processor", "linear", "--max-batch-size", "0"], "--max-batch-size"),
])
def test_mistakes_are_named(headroom, arguments, expected):
    assert expected in headroom("calibrate", *arguments, status=64)
