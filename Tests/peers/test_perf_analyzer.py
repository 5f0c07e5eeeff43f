"""The real perf_analyzer (of tritonclient 2.50.0) measures our server: it reads metadata, configuration and statistics, and adds up."""
import csv
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import pytest
from serving import add, identity, serve, skip_loudly

BATCHING = "dynamic_batching { preferred_batch_size: [4, 8] max_queue_delay_microseconds: 500 }\n"


def library_path():
    """Folders of the libraries it needs: libcudart.so.12 comes with nvidia-cuda-runtime-cu12, for a GPU that need not be there."""
    site = pathlib.Path(sysconfig.get_paths()["purelib"])
    folders = [str(path) for path in site.glob("nvidia/*/lib")]
    return os.pathsep.join(folders + [folder for folder in [os.environ.get("LD_LIBRARY_PATH")] if folder])


@pytest.fixture(scope="module")
def perf_analyzer():
    site = pathlib.Path(sysconfig.get_paths()["purelib"])
    places = [pathlib.Path(sys.executable).parent / "perf_analyzer", *site.glob("tritonclient/**/perf_analyzer")]
    binary = next((str(place) for place in places if place.exists()), None) or shutil.which("perf_analyzer")
    if binary is None:
        skip_loudly("perf_analyzer is not in tritonclient's wheel")
    environment = {**os.environ, "LD_LIBRARY_PATH": library_path()}
    result = subprocess.run([binary, "--help"], capture_output=True, text=True, env=environment, timeout=60)
    if "error while loading shared libraries" in result.stderr:
        skip_loudly(f"perf_analyzer does not start: {result.stderr.strip()} (Scripts/install-packages brings libb64-0d)")

    def run(folder, *arguments):
        report = folder / "report.csv"
        command = [binary, *map(str, arguments), "-f", str(report), "--measurement-interval", "1000", "-s", "999", "-r", "3"]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180)
        assert result.returncode == 0, result.stdout + result.stderr
        assert report.exists(), result.stdout + result.stderr
        with report.open() as file:
            return result.stdout, [row for row in csv.DictReader(file)]

    return run


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    repository = tmp_path_factory.mktemp("perf_analyzer")
    add(repository, "small8", identity("small8", [16], 8, BATCHING))
    add(repository, "texts", identity("texts", [4], 8, data_type="TYPE_STRING"))
    with serve(repository, "--allow-client-shm", "true") as server:
        yield server


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_concurrency(perf_analyzer, server, tmp_path, protocol):
    address = server.http if protocol == "http" else server.grpc
    said, rows = perf_analyzer(
        tmp_path, "-m", "small8", "-i", protocol, "-u", address, "--concurrency-range", "1:4:3", "-b", "1")
    assert [int(row["Concurrency"]) for row in rows if row] == [1, 4]
    for row in rows:
        assert float(row["Inferences/Second"]) > 50
        # Its own figures of the server's side: they come from our statistics and must not be negative or nothing at all.
        parts = [float(row[name]) for name in ("Network+Server Send/Recv", "Server Queue", "Server Compute Input", "Server Compute Infer",
                                               "Server Compute Output")]
        assert all(part >= 0 for part in parts), row
        assert sum(parts[1:]) > 0
    assert "Request count" in said and "Failed" not in said


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_asynchronous_with_batches(perf_analyzer, server, tmp_path, protocol):
    address = server.http if protocol == "http" else server.grpc
    _, rows = perf_analyzer(
        tmp_path, "-m", "small8", "-i", protocol, "-u", address, "--concurrency-range", "8", "-b", "2", "--async")
    assert float(rows[0]["Inferences/Second"]) > 50


def test_streaming(perf_analyzer, server, tmp_path):
    _, rows = perf_analyzer(
        tmp_path, "-m", "small8", "-i", "grpc", "-u", server.grpc, "--concurrency-range", "4", "--streaming", "--async")
    assert float(rows[0]["Inferences/Second"]) > 50


@pytest.mark.alone
def test_request_rate(perf_analyzer, server, tmp_path):
    _, rows = perf_analyzer(tmp_path, "-m", "small8", "-i", "http", "-u", server.http, "--request-rate-range", "200")
    assert 150 < float(rows[0]["Inferences/Second"]) < 250


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_system_shared_memory(perf_analyzer, server, tmp_path, protocol):
    address = server.http if protocol == "http" else server.grpc
    _, rows = perf_analyzer(
        tmp_path, "-m", "small8", "-i", protocol, "-u", address, "--concurrency-range", "2", "--shared-memory", "system",
        "--output-shared-memory-size", "1024")
    assert float(rows[0]["Inferences/Second"]) > 50


def test_strings(perf_analyzer, server, tmp_path):
    _, rows = perf_analyzer(
        tmp_path, "-m", "texts", "-i", "http", "-u", server.http, "--concurrency-range", "2", "--string-length", "40")
    assert float(rows[0]["Inferences/Second"]) > 50


def test_metrics_are_collected(perf_analyzer, server, tmp_path):
    """It scrapes nv_gpu_* from the metrics port; without a GPU it must go on."""
    _, rows = perf_analyzer(
        tmp_path, "-m", "small8", "-i", "http", "-u", server.http, "--concurrency-range", "2", "--collect-metrics", "--metrics-url",
        f"{server.host}:{server.metrics_port}/metrics")
    assert float(rows[0]["Inferences/Second"]) > 50
