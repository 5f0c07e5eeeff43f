"""`headroom profile --cuda` and `headroom top` on the stand-ins for NVIDIA's libraries: our own server under load, explained; conflicts; signals."""
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import time
import urllib.request

import numpy
import pytest

import serving
from test_schemas import check

triton = pytest.importorskip("tritonclient.http")

FOLDER = pathlib.Path(serving.BINARY).parent
STANDIN = FOLDER / "libheadroom-cuda-standin.so"
PROBE = FOLDER / "cuda-probe"
ENVIRONMENT = {**os.environ, "HEADROOM_CUDA_PATH": str(STANDIN)}


@pytest.fixture(autouse=True)
def built():
    for file in (STANDIN, PROBE, FOLDER / "libheadroom-cuda-injection.so"):
        if not file.exists():
            serving.skip_loudly(f"{file.name} is not beside the program")


def profile(*arguments, command, **environment):
    return subprocess.run(
        [serving.BINARY, "profile", *map(str, arguments), "--", *map(str, command)], capture_output=True, text=True, timeout=120,
        env={**ENVIRONMENT, **environment})


def rows(trace, query):
    with sqlite3.connect(trace) as database:
        return database.execute(query).fetchall()


def test_the_whole_chain_to_an_explanation(tmp_path):
    trace = tmp_path / "run.sqlite"
    result = profile("--cuda", "--os", "--json", "-o", trace, command=[PROBE, "graph", "20"])
    assert result.returncode == 0, result.stderr
    document = check(result.stdout, "profile")
    assert document["cuda"]["kernels"] == 60 and document["cuda"]["droppedRecords"] == 0 and not any(document["cuda"]["badTimes"].values())
    assert [process["status"] for process in document["cuda"]["processes"]] == ["finished"]
    # The join of Nsight's tables: kernels with the launch of their graph.
    joined = rows(trace, """select count(*), min(k.start - r.start) from CUPTI_ACTIVITY_KIND_KERNEL k
      join CUPTI_ACTIVITY_KIND_RUNTIME r using (correlationId) join StringIds s on s.id = r.nameId where s.value = 'cuGraphLaunch'""")
    assert joined[0][0] == 60 and joined[0][1] >= 0
    assert rows(trace, "select count(*) from OSRT_API")[0][0] == document["recordedCalls"]
    assert rows(trace, "select name, smCount from TARGET_INFO_GPU") == [("stand-in GPU", 8)]
    explained = subprocess.run([serving.BINARY, "explain", "--json", trace], capture_output=True, text=True, timeout=120)
    assert explained.returncode in (0, 3), explained.stderr
    check(explained.stdout, "explain")


def test_our_server_is_recorded_with_its_batches_named(tmp_path):
    serving.require_serve()
    trace = tmp_path / "run.sqlite"
    wrapper = tmp_path / "recorded"
    wrapper.write_text(f'#!/bin/sh\nexec "{serving.BINARY}" profile --cuda --json -o "{trace}" -- "{serving.BINARY}" "$@" > "{tmp_path}/profile.json"\n')
    wrapper.chmod(0o755)
    serving.add(tmp_path / "models", "linear", 'name: "linear"\nbackend: "onnxruntime"\nmax_batch_size: 8\ndynamic_batching { }\n',
                model=serving.export("linear", tmp_path / "model.onnx"))
    binary, serving.BINARY = serving.BINARY, str(wrapper)
    try:
        server = serving.Server(tmp_path / "models", "--device", "cuda:0", "--cuda-path", str(STANDIN), environment=ENVIRONMENT)
    finally:
        serving.BINARY = binary
    client = triton.InferenceServerClient(server.http)
    (given,) = client.get_model_metadata("linear")["inputs"]
    shape = [4] + given["shape"][1:]
    tensor = triton.InferInput(given["name"], shape, "FP32")
    tensor.set_data_from_numpy(numpy.zeros(shape, numpy.float32))
    for _ in range(6):
        client.infer("linear", [tensor])
    server.terminate()
    document = check((tmp_path / "profile.json").read_text(), "profile")
    assert document["exitCode"] == 0 and document["processes"] is None and document["cuda"]["kernels"] > 0
    ranges = [text for text, in rows(trace, "select value from NVTX_EVENTS join StringIds on id = textId")]
    assert sum(text.startswith("linear: batch") and "4 rows" in text for text in ranges) >= 6, ranges


def test_counters_stand_beside_the_kernels(tmp_path):
    trace = tmp_path / "run.sqlite"
    result = profile("--cuda", "--metrics", "--metrics-interval", "0.05", "--json", "-o", trace, command=[PROBE, "straight", "30", "20"])
    assert result.returncode == 0, result.stderr
    metrics = check(result.stdout, "profile")["metrics"]
    assert metrics["failure"] is None and metrics["readings"] >= 5
    assert {mean["name"]: mean["mean"] for mean in metrics["gpus"][0]["means"]}["SM active"] == 21
    counters = rows(trace, """select value, count(*), min(deviceId) from HEADROOM_COUNTER c
      join (select id, value as name from StringIds) s on s.id = c.counterNameId where name like 'SMs Active%' group by value""")
    assert counters == [(21.0, metrics["readings"], 0)]
    explained = subprocess.run([serving.BINARY, "explain", "--verbose", trace], capture_output=True, text=True, timeout=120)
    assert "21" in explained.stdout and explained.returncode in (0, 3), explained.stdout
    nothing = profile("--metrics", "--json", "-o", trace, command=["/bin/true"], HEADROOM_CUDA_PATH="/nonexistent.so")
    document = check(nothing.stdout, "profile")
    assert nothing.returncode == 0 and document["metrics"]["failure"] and document["cuda"] is None and document["processes"] is None


def test_another_profiler_keeps_its_place(tmp_path):
    result = profile("--cuda", "-o", tmp_path / "run.sqlite", command=[PROBE, "straight", "2"], CUDA_INJECTION64_PATH="/opt/other.so")
    assert result.returncode == 0 and "/opt/other.so" in result.stdout
    result = profile("--cuda", "--os", "-o", tmp_path / "held.sqlite", command=[PROBE, "straight", "2", "5"], HEADROOM_STANDIN_ACTIVITY="held=1")
    assert result.returncode == 0 and "holds CUPTI" in result.stdout
    assert rows(tmp_path / "held.sqlite", "select count(*) from OSRT_API")[0][0] > 0


def test_a_signal_arms_and_the_next_one_ends(tmp_path):
    process = subprocess.Popen(
        [serving.BINARY, "profile", "--cuda", "--json", "--arm-signal", "USR2", "-o", tmp_path / "run.sqlite", "--", PROBE, "straight", "200", "10"],
        stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    for _ in range(2):
        time.sleep(0.5)
        process.send_signal(signal.SIGUSR2)
    output, _ = process.communicate(timeout=60)
    document = check(output, "profile")
    assert process.returncode == 0 and 0 < document["cuda"]["kernels"] < 150 and 0.2 < document["recordedSeconds"] < 1.5
    assert document["wallSeconds"] > 2


def test_top():
    result = subprocess.run(
        [serving.BINARY, "top", "--json", "--count", "2", "--interval", "0.1"], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert result.returncode == 0, result.stderr
    document = check(result.stdout, "top")
    assert len(document["readings"]) == 2
    for reading in document["readings"]:
        counters = {counter["name"]: counter for counter in reading["gpus"][0]["counters"]}
        assert counters["SM active"]["value"] == 21 and counters["SM active"]["source"] == "GPM"
    lines = subprocess.run([serving.BINARY, "top", "--count", "1", "--interval", "0.1"], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert lines.returncode == 0 and all(len(line) <= 80 for line in lines.stdout.splitlines()), lines.stdout
    missing = subprocess.run(
        [serving.BINARY, "top", "--count", "1", "--gpu", "7"], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert missing.returncode == 1 and "no GPU 7" in missing.stderr


def test_gpu_instances_have_counters_of_their_own(tmp_path):
    split = {"HEADROOM_STANDIN_MIG": "3"}
    result = subprocess.run([serving.BINARY, "top", "--json", "--count", "1", "--interval", "0.1"], capture_output=True, text=True, timeout=60,
                            env={**ENVIRONMENT, **split})
    (gpu,) = check(result.stdout, "top")["readings"][0]["gpus"]
    active = [{counter["name"]: counter["value"] for counter in part["counters"]}["SM active"] for part in gpu["gpuInstances"]]
    assert active == [22, 23, 24] and gpu["processes"][0]["gpuInstance"] == 1
    trace = tmp_path / "run.sqlite"
    recorded = profile("--cuda", "--metrics", "--metrics-interval", "0.05", "--json", "-o", trace, command=[PROBE, "straight", "20", "20"], **split)
    document = check(recorded.stdout, "profile")
    parts = document["metrics"]["gpus"][0]["gpuInstances"]
    assert [{mean["name"]: mean["mean"] for mean in part["means"]}["SM active"] for part in parts] == [22, 23, 24]
    # This program reads counters through the stand-in's one file, and is no target of its own recording.
    assert document["cuda"]["unrecorded"] == []
    names = [name for name, in rows(trace, "select distinct s.value from HEADROOM_COUNTER c join StringIds s on s.id = c.counterNameId")]
    assert {"SMs Active [Throughput %]", "GPU instance 2: SMs Active [Throughput %]"} <= set(names)


def test_windows_of_one_server_follow_each_other(tmp_path):
    serving.require_serve()
    serving.add(tmp_path / "models", "linear", 'name: "linear"\nbackend: "onnxruntime"\nmax_batch_size: 8\ndynamic_batching { }\n',
                model=serving.export("linear", tmp_path / "model.onnx"))
    server = serving.Server(tmp_path / "models", "--device", "cuda:0", "--cuda-path", str(STANDIN), "--profile-window", "5s", "--profile-folder",
                            str(tmp_path), environment=ENVIRONMENT)
    load = subprocess.Popen([serving.BINARY, "load", "--url", f"http://{server.http}", "--model", "linear", "--users", "2", "--think", "constant:0.01",
                             "--duration", "120", "--quiet"], stdout=subprocess.DEVNULL)
    try:
        # The load's process has to begin first.
        assert serving.until(lambda: server.gauges("linear", "nv_inference_request_success")[0] > 0, seconds=60)
        answers = []
        for _ in range(4):
            request = urllib.request.Request(f"http://{server.http}/v2/headroom/profile", data=b'{"seconds": 0.3}', method="POST")
            with urllib.request.urlopen(request, timeout=60) as answer:
                answers.append(json.load(answer))
    finally:
        load.kill()
        load.wait()
        server.terminate()
    ends = 0
    for answer in answers:
        assert answer["remarks"] == [] and answer["kernels"] > 0 and answer["batches"] > 0
        ((count, first, last),) = rows(answer["files"][0], "select count(*), min(start), max(end) from CUPTI_ACTIVITY_KIND_KERNEL")
        # None of an earlier window's, and each with the call that launched it.
        assert count == answer["kernels"] and first > ends and last - first < 3e9
        ((orphans,),) = rows(answer["files"][0], """select count(*) from CUPTI_ACTIVITY_KIND_KERNEL k
          where not exists (select 1 from CUPTI_ACTIVITY_KIND_RUNTIME r where r.correlationId = k.correlationId)""")
        assert orphans <= count / 10
        ends = last
    assert len({answer["files"][0] for answer in answers}) == 4


@pytest.mark.long
def test_millions_of_records_and_no_bad_time_unflagged(tmp_path):
    trace = tmp_path / "many.sqlite"
    result = profile("--cuda", "--cuda-calls", "none", "--cuda-limit-megabytes", "4096", "--json", "-o", trace, command=[PROBE, "small", "50000"],
                     HEADROOM_STANDIN_ACTIVITY="repeat=100,every=1000,zero=500,reverse=500,early=500,drop=700,late=3")
    cuda = check(result.stdout, "profile")["cuda"]
    bad = cuda["badTimes"]
    discarded = sum(process["discardedBuffers"] for process in cuda["processes"])
    if discarded == 0:
        # A record that was to be dropped is none that could have a bad time: 500 of each were written or dropped.
        assert cuda["kernels"] + sum(bad.values()) + cuda["droppedRecords"] == 5_000_000 and cuda["droppedRecords"] == 700
        assert all(0 < bad[kind] <= 500 for kind in ("withoutStart", "reversed", "acrossOthers"))
    ((wrong,),) = rows(trace, "select count(*) from CUPTI_ACTIVITY_KIND_KERNEL where start <= 0 or end < start")
    assert wrong == 0 and rows(trace, "select count(*) from CUPTI_ACTIVITY_KIND_KERNEL")[0][0] == cuda["kernels"]
