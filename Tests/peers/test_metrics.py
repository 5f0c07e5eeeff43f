"""The metrics page: names, types and labels as Triton has them (core src/metrics.cc), ours clean by promtool, and counts that add up."""
import json
import re
import shutil
import subprocess
import threading

import pytest
from serving import add, identity, infer_body, oracle_repository, serve, skip_loudly, until

COUNTERS = {
    "nv_inference_request_success", "nv_inference_request_failure", "nv_inference_count", "nv_inference_exec_count",
    "nv_inference_request_duration_us", "nv_inference_queue_duration_us", "nv_inference_compute_input_duration_us",
    "nv_inference_compute_infer_duration_us", "nv_inference_compute_output_duration_us",
}
GAUGES = {"nv_inference_pending_request_count", "nv_model_load_duration_secs"}
HOST = {
    "nv_cpu_utilization", "nv_cpu_memory_total_bytes", "nv_cpu_memory_used_bytes", "nv_pinned_memory_pool_total_bytes",
    "nv_pinned_memory_pool_used_bytes",
}
# One histogram per phase, ours: Triton has counters of them.
HISTOGRAMS = {
    f"headroom_{phase}_seconds" for phase in ("request", "queue", "compute_input", "compute_infer", "compute_output")}
REASONS = {"REJECTED", "CANCELED", "BACKEND", "OTHER"}
LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")


class Page:
    def __init__(self, text):
        self.text, self.types, self.helped, self.samples = text, {}, set(), []
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                assert name not in self.types, f"{name} twice"
                self.types[name] = kind
            elif line.startswith("# HELP "):
                self.helped.add(line[7:].split(" ")[0])
            elif line:
                match = LINE.match(line)
                assert match, line
                labels = dict(re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', match.group(2) or ""))
                self.samples.append((match.group(1), labels, float(match.group(3))))

    def value(self, name, **labels):
        found = [value for sample, given, value in self.samples if sample == name and labels.items() <= given.items()]
        return sum(found)

    def labels(self, name):
        return [given for sample, given, _ in self.samples if sample == name]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    repository = tmp_path_factory.mktemp("metrics")
    oracle_repository(repository)
    add(repository, "big", identity("big", [16], 32, "dynamic_batching { max_queue_delay_microseconds: 2000 }\n"))
    with serve(repository) as server:
        yield server


def page(server):
    answer = server.get("/metrics", server.metrics_port)
    assert answer.status == "200 OK" and answer.headers["content-type"].startswith("text/plain; charset=utf-8")
    return Page(answer.body.decode())


def test_names_and_types(server):
    server.infer()
    found = page(server)
    for name in COUNTERS:
        assert found.types.get(name) == "counter", name
    for name in GAUGES:
        assert found.types.get(name) == "gauge", name
    for name in HOST:
        assert found.types.get(name) == "gauge", name
    for name in HISTOGRAMS:
        assert found.types.get(name) == "histogram", name
    assert set(found.types) <= found.helped


def test_nothing_is_called_like_tritons_that_is_not(server):
    known = COUNTERS | GAUGES | HOST | {
        "nv_gpu_utilization", "nv_gpu_memory_total_bytes", "nv_gpu_memory_used_bytes", "nv_gpu_power_usage", "nv_gpu_power_limit",
        "nv_energy_consumption", "nv_inference_first_response_histogram_ms"}
    ours = {name for name in page(server).types if name.startswith("nv_")}
    assert ours <= known, ours - known


def test_labels(server):
    server.infer()
    found = page(server)
    for name in COUNTERS | GAUGES:
        assert found.labels(name), name
        for labels in found.labels(name):
            allowed = {"model", "version"} | ({"reason"} if name == "nv_inference_request_failure" else set())
            assert set(labels) == allowed, (name, labels)
    assert {labels["reason"] for labels in found.labels("nv_inference_request_failure") if labels["model"] == "small8"} == REASONS
    assert {labels["version"] for labels in found.labels("nv_inference_count")} == {"1"}
    for name in HOST:
        assert found.labels(name) == [{}], name


def test_counts_add_up(server):
    before = page(server)
    sizes = [1, 2, 3, 8] * 5
    threads = [threading.Thread(target=server.infer, kwargs={"model": "big", "rows": rows}) for rows in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def difference(name, **labels):
        return page(server).value(name, model="big", **labels) - before.value(name, model="big", **labels)

    assert until(lambda: difference("nv_inference_request_success") == len(sizes))
    assert difference("nv_inference_count") == sum(sizes)
    assert 1 <= difference("nv_inference_exec_count") <= len(sizes)
    assert difference("nv_inference_request_failure") == 0
    assert page(server).value("nv_inference_pending_request_count", model="big") == 0
    parts = sum(difference(f"nv_inference_{part}_duration_us") for part in ("queue", "compute_input", "compute_infer", "compute_output"))
    total = difference("nv_inference_request_duration_us")
    # A microsecond lost to rounding each time.
    assert 0 < parts <= total + 4 * len(sizes)
    stats = json.loads(server.get("/v2/models/big/stats").body)["model_stats"][0]
    found = page(server)
    assert stats["inference_count"] == found.value("nv_inference_count", model="big")
    assert stats["execution_count"] == found.value("nv_inference_exec_count", model="big")
    assert stats["inference_stats"]["success"]["count"] == found.value("nv_inference_request_success", model="big")


def test_histograms_are_whole(server):
    server.infer()
    found = page(server)
    for name in HISTOGRAMS:
        buckets = [(float(labels["le"].replace("+Inf", "inf")), value) for sample, labels, value in found.samples
                   if sample == f"{name}_bucket" and labels["model"] == "small8"]
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), name
        counts = [count for _, count in buckets]
        assert counts == sorted(counts)
        assert counts[-1] == found.value(f"{name}_count", model="small8") == found.value("nv_inference_request_success", model="small8")


def test_failures_have_reasons(server):
    before = page(server)
    body = infer_body()
    threads = [threading.Thread(target=server.post, args=("/v2/models/slow_full/infer", body)) for _ in range(6)]
    for thread in threads:
        thread.start()
    assert until(lambda: page(server).value("nv_inference_pending_request_count", model="slow_full") == 2, 2)
    for thread in threads:
        thread.join()
    refused = page(server).value("nv_inference_request_failure", model="slow_full", reason="REJECTED") - before.value(
        "nv_inference_request_failure", model="slow_full", reason="REJECTED")
    assert refused == 3
    assert page(server).value("nv_inference_request_success", model="slow_full") - before.value(
        "nv_inference_request_success", model="slow_full") == 3


def test_ours_are_clean_by_promtool(server):
    promtool = shutil.which("promtool")
    if promtool is None:
        skip_loudly("promtool is missing (Scripts/install-packages brings Debian's prometheus)")
    server.infer()
    text = page(server).text
    ours = "".join(line + "\n" for line in text.splitlines() if re.match(r"(# (HELP|TYPE) )?headroom_", line))
    assert "headroom_" in ours
    result = subprocess.run([promtool, "check", "metrics"], input=ours, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and not result.stderr.strip(), result.stdout + result.stderr
    # Triton's names break promtool's taste (counters without _total); they must parse all the same.
    result = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert "error while linting" not in result.stderr and "parsing error" not in result.stderr, result.stderr
