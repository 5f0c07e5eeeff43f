"""headroom explain and compare: traces, statistics and a server that this file makes."""

import http.server
import json
import os
import shutil
import threading
import time

import geometry
import pytest
from test_schemas import check


def kineto(steps, layers, every=20.0, kernel=5.0):
    """An eager framework: each kernel launched late, a synchronization behind each step. Microseconds."""
    events, time, correlation = [], 0.0, 1
    for _ in range(steps):
        for _ in range(layers):
            events.append(
                {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 1, "tid": 2, "ts": time, "dur": 6.0,
                 "args": {"correlation": correlation}})
            events.append(
                {"ph": "X", "cat": "kernel", "name": "nvjet_sm90_hsh_48x64_64x15_4x2_h_bz_bias_TNN", "pid": 0, "tid": 7, "ts": time + 8, "dur": kernel,
                 "args": {"device": 0, "context": 1, "stream": 7, "correlation": correlation, "grid": [8, 12, 1], "block": [384, 1, 1],
                          "registers per thread": 168, "shared memory": 231868}})
            correlation += 1
            time += every
        events.append(
            {"ph": "X", "cat": "cuda_runtime", "name": "cudaStreamSynchronize", "pid": 1, "tid": 2, "ts": time, "dur": 2.0,
             "args": {"correlation": correlation}})
        correlation += 1
        time += 10
    device = {"id": 0, "name": "NVIDIA H200", "totalGlobalMem": 150109880320, "computeMajor": 9, "computeMinor": 0, "numSms": 132}
    return {"schemaVersion": 1, "deviceProperties": [device], "traceEvents": events}


@pytest.fixture
def trace(tmp_path):
    def write(name, *arguments, **options):
        path = tmp_path / name
        path.write_text(json.dumps(kineto(*arguments, **options)))
        return path

    return write


def statistics(requests, executions, rows, queue_us, infer_us):
    def total(us):
        return {"count": requests, "ns": int(us * requests * 1000)}

    return {"model_stats": [{
        "name": "linear", "version": "1", "inference_count": rows, "execution_count": executions,
        "inference_stats": {"success": total(queue_us + infer_us + 200), "fail": {"count": 0, "ns": 0}, "queue": total(queue_us),
                            "compute_input": total(100), "compute_infer": total(infer_us), "compute_output": total(100)},
        "batch_stats": []}]}


def test_ten_lines_name_the_limit_and_what_a_graph_buys(headroom, trace):
    text = headroom("explain", trace("eager.json", 50, 20), "--rate", "2500/s")
    assert text.startswith("Bottleneck: launch-bound")
    assert "CUDA graph" in text and "[replayed]" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_json_follows_its_schema_and_every_gap_has_a_cause(headroom, trace):
    document = check(headroom("explain", trace("eager.json", 50, 20), "--json"), "explain")
    device = document["traces"][0]["devices"][0]
    assert device["kernels"] == 1000
    assert sum(entry["nanoseconds"] for entry in device["idle"]) == device["spanNanoseconds"] - device["deviceBusyNanoseconds"]


def test_a_page_and_a_chrome_trace_are_written(headroom, trace, tmp_path):
    headroom("explain", trace("eager.json", 5, 5), "--html", tmp_path / "page.html", "--chrome", tmp_path / "chrome.json", "--verbose")
    page = (tmp_path / "page.html").read_text()
    assert "Predicted counters" in page and "<script src" not in page
    assert json.loads((tmp_path / "chrome.json").read_text())["traceEvents"]


def test_summaries_as_csv(headroom, trace):
    text = headroom("explain", trace("eager.json", 5, 5), "--report", "cuda_gpu_kern_sum", "--format", "csv")
    assert text.splitlines()[1].startswith("100.0,125000,25,5000.0,5000.0,5000,5000,0.0,")


def test_a_range_or_a_window_cuts_the_verdict_and_the_ten_lines_say_so(headroom, tmp_path):
    document = kineto(50, 20)
    # Every second step of 410 us inside a range of its own number.
    document["traceEvents"] += [
        {"ph": "X", "cat": "user_annotation", "name": f"decode#{step}", "pid": 1, "tid": 2, "ts": step * 410.0, "dur": 400.0, "args": {}}
        for step in range(0, 50, 2)]
    path = tmp_path / "ranges.json"
    path.write_text(json.dumps(document))
    text = headroom("explain", path, "--range", "decode")
    assert text.startswith("Bottleneck: launch-bound")
    assert 'Window     only while "decode" was open (25 ranges): 10.0 ms' in text
    assert max(len(line) for line in text.splitlines()) <= 80
    device = check(headroom("explain", path, "--range", "decode", "--json"), "explain")["traces"][0]["devices"][0]
    assert device["spanNanoseconds"] == 25 * 400_000
    assert sum(entry["nanoseconds"] for entry in device["idle"]) == device["spanNanoseconds"] - device["deviceBusyNanoseconds"]
    assert all(finding["gain"] != "replayed" for finding in device["findings"])
    cut = check(headroom("explain", path, "--from", "0.002", "--to", "0.006", "--json"), "explain")["traces"][0]
    assert cut["window"] == "from 0.00200 s to 0.00600 s after the first GPU work"
    assert cut["devices"][0]["spanNanoseconds"] == 4_000_000
    headroom("explain", path, "--range", "prefill", status=1)


def test_a_pipe_is_read_once(headroom, trace, tmp_path):
    path = trace("eager.json", 50, 20)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    assert headroom("explain", pipe).startswith("Bottleneck: launch-bound")
    writer.join()


def test_a_file_that_is_no_trace_fails_and_says_so(headroom, tmp_path):
    path = tmp_path / "not-a-trace.json"
    path.write_text("hello")
    headroom("explain", path, status=1)
    headroom("explain", tmp_path / "missing.sqlite", status=1)


@pytest.mark.parametrize(
    "arguments",
    [[], ["--rate", "fast", "x.json"], ["--observed", "gpu-util=lots", "x.json"], ["--from", "3", "--to", "2", "x.json"], ["--metric", "nonsense"],
     ["--url", "ftp://host"], ["--url", "http://h:1", "--slo", "p50<1ms"], ["--triton-stats", "a.json"], ["--format", "xml", "x.json"]],
    ids=lambda arguments: " ".join(arguments) or "nothing")
def test_wrong_usage(headroom, arguments):
    headroom("explain", *arguments, status=64)


def test_a_metric_is_explained(headroom):
    assert "temporal" in headroom("explain", "--metric", "GPU-Util")
    check(headroom("explain", "--metric", "DCGM 1002", "--json"), "explain-metric")


def test_a_trace_without_gpu_work_is_inconclusive(headroom, tmp_path):
    path = tmp_path / "cpu.json"
    event = {"ph": "X", "cat": "cpu_op", "name": "aten::add", "pid": 1, "tid": 2, "ts": 1.0, "dur": 2.0, "args": {}}
    path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": [event]}))
    assert headroom("explain", path, status=(3,)).startswith("No verdict")


def test_statistics_of_a_saturated_server(headroom, tmp_path):
    for name, document in [("before", statistics(0, 0, 0, 0, 0)), ("after", statistics(35700, 7140, 1785000, 500000, 1000))]:
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
        (tmp_path / f"{name}.txt").write_text('nv_gpu_utilization{gpu_uuid="a"} 0.12\n')
    arguments = [
        "explain", "--triton-stats", f"{tmp_path}/before.json,{tmp_path}/after.json", "--triton-metrics",
        f"{tmp_path}/before.txt,{tmp_path}/after.txt", "--observed-seconds", "10"]
    assert headroom(*arguments).startswith("Bottleneck: no batch pipelining")
    document = check(headroom(*arguments, "--json"), "explain")
    assert document["servers"][0]["requestsPerSecond"] == 3570
    # Swapped files: counters that go back.
    headroom(*[text.replace("before.json,", "x").replace("x" + str(tmp_path), f"{tmp_path}/after.json,{tmp_path}") for text in arguments], status=1)


def test_a_running_server_is_watched(headroom):
    class Handler(http.server.BaseHTTPRequestHandler):
        began = time.monotonic()

        def do_GET(self):
            if self.path.endswith("/stats"):
                # The same rate however often it is asked: 900 requests/s in 600 batches.
                batches = int(600 * (1 + time.monotonic() - Handler.began))
                body = json.dumps(statistics(batches * 3 // 2, batches, batches * 3 // 2, 100, 200))
            elif self.path.endswith("/config"):
                body = json.dumps({"max_batch_size": 64, "dynamic_batching": {"max_queue_delay_microseconds": "0"}})
            elif self.path == "/metrics":
                body = 'nv_gpu_utilization{gpu_uuid="a"} 0.08\n'
            elif self.path == "/dcgm":
                body = 'DCGM_FI_DEV_GPU_UTIL{gpu="0"} 9\nDCGM_FI_PROF_SM_ACTIVE{gpu="0"} 0.021\nDCGM_FI_PROF_PIPE_TENSOR_ACTIVE{gpu="0"} 0.004\n'
            else:
                return self.send_error(404)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    try:
        text = headroom("explain", "--url", base, "--metrics", base + "/metrics", "--for", "1s", "--slo", "p99<100ms")
        counters = headroom("explain", "--url", base, "--dcgm", base + "/dcgm", "--for", "1s")
    finally:
        server.shutdown()
    assert text.startswith("Load-limited (high confidence)")
    assert "req/s at p99 <= 100 ms" in text
    # The exporter's counters, by the name each has there.
    assert "9.0 % busy" in counters and "SM active 2.1 %" in " ".join(counters.split()) and "tensor active 0.4 %" in " ".join(counters.split())
    headroom("explain", "--url", base + "1", "--for", "1s", status=64 if int(f"{server.server_port}1") > 65535 else 1)


def test_compare_and_its_exit_codes(headroom, trace):
    slow, fast, less = trace("slow.json", 50, 20), trace("fast.json", 50, 20, every=15.0), trace("less.json", 40, 20)
    assert headroom("compare", slow, fast).startswith("Faster")
    assert headroom("compare", slow, less, status=(3,)).startswith("Not comparable")
    headroom("compare", slow, trace("long.json", 50, 20, kernel=6.0), "--fail-on", "kernel_time>+3%", status=2)
    headroom("compare", slow, slow, "--fail-on", "kernel_time>+3%")
    headroom("compare", slow, fast, "--fail-on", "nothing>+3%", status=3)
    headroom("compare", slow, fast, "--fail-on", "nonsense", status=64)
    check(headroom("compare", slow, fast, "--json"), "compare")


def test_an_engines_files_are_joined(headroom, tmp_path):
    tactic = "sm80_xmma_gemm_f16f16_f16f32_f32_tn_n_tilesize64x32x64_stage5_warpsize2x2x1_tensor16x8x16"
    layer = {"Name": "fc1", "LayerType": "gemm", "Inputs": [], "TacticName": tactic,
             "Outputs": [{"Name": "y", "Dimensions": [64, 4096], "Format/Datatype": "Half"}]}
    (tmp_path / "layers.json").write_text(json.dumps({"Layers": [layer], "Bindings": []}))
    (tmp_path / "profile.json").write_text(json.dumps([{"count": 9}, {"name": "fc1", "timeMs": 9.0, "averageMs": 1.0, "percentage": 100}]))
    (tmp_path / "build.log").write_text(f"""[V] [TRT] Autotuning op fc1(key: 0x1814870c44ff0f85):
[V] [TRT] Sorted table of all evaluated tactics:
[V] [TRT] tactic_id, cost(in ms), cost/fastest_cost, prediction_correlation, kernel_name, tactic_hash, tunable_parameter
[V] [TRT]    3, 0.8000, 1.00000, 0.50673, sm80_xmma_gemm_tilesize128x64x64_stage3_tensor16x8x8, 0x665ded9abbf88,
[V] [TRT]    5, 1.0000, 1.25000, 0.51157, {tactic}, 0x393e4ef8ad243,
[V] [TRT] The selected tactic is (tactic hash, cost(in ms)):0x393e4ef8ad243,  1.0000
""")
    files = [tmp_path / "layers.json", tmp_path / "profile.json", tmp_path / "build.log"]
    document = check(headroom("explain", *files, "--gpu", "h100", "--json"), "explain")
    layer = document["engines"][0]["layers"][0]
    assert layer["tile"] == [64, 32]
    assert any("regret" in key.lower() and value == pytest.approx(0.25) for key, value in layer.items()), layer
    text = headroom("explain", *files, "--gpu", "h100")
    assert max(len(line) for line in text.splitlines()) <= 80


def test_doctor_and_demo(headroom):
    check(headroom("doctor", "--json"), "doctor")
    assert headroom("explain", "--demo").startswith("SIMULATED")
    check(headroom("explain", "--demo", "--json"), "explain")


def test_planted_limits_are_found(headroom, tmp_path):
    document = check(headroom("bench", "--suite", "planted", "--out", tmp_path, "--json"), "bench-planted")
    assert {(s["form"], s["evidence"]) for s in document["scores"]} == {
        (form, evidence) for form in ("nsight", "kineto") for evidence in ("alone", "everything")}
    for score in document["scores"]:
        assert score["accuracyShare"] >= 0.9 and score["falseAlarmShare"] <= 0.05, score
    # The kept files are what a user would hand in, and every option takes them.
    folder = next(path for path in sorted(tmp_path.iterdir()) if path.name.startswith("frontEnd-1-"))
    alone = check(headroom("explain", folder / "trace.sqlite", "--json"), "explain")["traces"][0]
    assert alone["requests"] is None and alone["devices"][0]["verdict"]["upstream"]
    trace = check(
        headroom("explain", folder / "trace.json", "--triton-trace", folder / "triton-trace.json", "--load", folder / "load.json",
                 "--gpu-metrics", folder / "smi.csv", "--gpu-metrics", folder / "apps.csv", "--onnx", folder / "model.onnx", "--rows", "50",
                 "--chrome", folder / "chrome.json", "--json"), "explain")["traces"][0]
    assert trace["devices"][0]["verdict"]["regime"] == "front-end-bound"
    assert trace["requests"]["clock"]["residualNanoseconds"] < 100_000 and trace["metrics"]["processes"] == 1 and trace["model"]["rows"] == 50
    # Requests stand over the kernels.
    assert any(event.get("cat") == "request" for event in json.loads((folder / "chrome.json").read_text())["traceEvents"])
    sums = headroom("explain", folder / "trace.sqlite", "--triton-stats", f"{folder / 'stats-before.json'},{folder / 'stats-after.json'}",
                    "--observed-seconds", "1")
    assert "queue" in sums


LOCUST = (
    "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,Max Response Time,Average Content Size,"
    "Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%\n"
    ",Aggregated,24000,0,3,3.0,1,9,512,2400,0,3,3,3,3,4,5,6,6,7,7,9\n")
K6 = {"metrics": {"http_reqs": {"count": 24000, "rate": 2400.0}, "http_req_failed": {"passes": 0, "fails": 24000, "value": 0},
                  "vus_max": {"value": 8}, "http_req_duration": {"avg": 3, "min": 1, "med": 3, "max": 9, "p(99)": 6}}}
PERF_ANALYZER = {"experiments": [{
    "experiment": {"mode": "concurrency", "value": 4}, "window_boundaries": [10**9, 2 * 10**9],
    "requests": [{"timestamp": 10**9 + n * 416666, "response_timestamps": [10**9 + n * 416666 + 3000000]} for n in range(2400)]}]}


@pytest.mark.parametrize(
    ("tool", "text"), [("Locust", LOCUST), ("k6", json.dumps(K6)), ("perf_analyzer", json.dumps(PERF_ANALYZER))], ids=lambda value: value[:14])
def test_each_generators_result_gives_the_rate(headroom, trace, tmp_path, tool, text):
    """2,400 requests a second of each; the traced steps ran 2,439 times a second."""
    path = tmp_path / "result"
    path.write_text(text)
    document = check(headroom("explain", trace("eager.json", 50, 20), "--load", path, "--json"), "explain")["traces"][0]
    assert document["load"]["tool"].lower() == tool.lower()
    rate = document["devices"][0]["counters"]["stepsPerSecond"]
    assert abs(rate - 2400) < 30, rate


def test_perf_analyzers_table_is_read(headroom, trace, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("Concurrency,Inferences/Second,Client Send,Server Queue,p50 latency,p99 latency\n4,2400,40,20,1900,2500\n")
    assert "perf_analyzer" in headroom("explain", trace("eager.json", 50, 20), "--load", path, "--verbose")


def test_a_load_result_gives_the_rate(headroom, trace, tmp_path):
    """vegeta's JSON report: 2,400 responses a second on a schedule of its own; the traced steps ran 2,439 times a second."""
    path = tmp_path / "vegeta.json"
    path.write_text(json.dumps({
        "latencies": {"total": 1, "mean": 3000000, "50th": 3000000, "90th": 4000000, "95th": 5000000, "99th": 6000000, "max": 7000000, "min": 1},
        "bytes_in": {"total": 1, "mean": 1}, "bytes_out": {"total": 1, "mean": 1}, "earliest": "2026-01-01T00:00:00Z",
        "latest": "2026-01-01T00:00:10Z", "end": "2026-01-01T00:00:10Z", "duration": 10000000000, "wait": 1, "requests": 24000, "rate": 2400.0,
        "throughput": 2400.0, "success": 1, "status_codes": {"200": 24000}, "errors": []}))
    text = headroom("explain", trace("eager.json", 50, 20), "--load", path)
    assert "2,400 steps/s" in text and "vegeta" in text


@pytest.fixture(scope="module")
def explained(headroom, tmp_path_factory):
    """Pages of a trace with a GPU's work, of one in which the host is late, and of two files together."""
    folder = tmp_path_factory.mktemp("explained")
    trace = folder / "eager.json"
    trace.write_text(json.dumps(kineto(200, 12)))
    pages = {}
    for name, arguments in dict(demo=["--demo"], eager=[trace], two=[trace, trace]).items():
        headroom("explain", *arguments, "--quiet", "--html", folder / f"{name}.html", status=(0, 3))
        pages[name] = (folder / f"{name}.html").read_text()
    return pages


@pytest.mark.parametrize("width, height", [(1400, 900), (390, 844)])
@pytest.mark.parametrize("name", ["demo", "eager", "two"])
def test_the_first_card_is_above_the_fold(explained, name, tmp_path, width, height):
    """The ten lines with the bar of where time went: what is seen without scrolling."""
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium")
    found = geometry.geometry(explained[name], tmp_path, chromium, width, height)
    assert len(found["answers"]) == (2 if name == "two" else 1) == found["answerBars"], found
    left, top, right, bottom = found["answers"][0]
    assert 0 <= left and right <= width and 0 < top and bottom <= height and found["width"] <= width, found


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_no_mark_of_a_chart_lies_outside_it(explained, tmp_path, width, dark):
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium")
    geometry.assert_drawn(explained["demo"], tmp_path, chromium, 5, width, dark)
