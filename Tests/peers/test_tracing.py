"""Trace files as the reference server writes them, and instances that take turns by shared resources."""
import json
import resource
import threading
import time

from serving import add, exchange, identity, infer_body, request, serve, until

ORDER = [
    "HTTP_RECV_START", "HTTP_RECV_END", "REQUEST_START", "QUEUE_START", "COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START",
    "COMPUTE_END", "INFER_RESPONSE_COMPLETE", "REQUEST_END", "HTTP_SEND_START", "HTTP_SEND_END",
]


def infer(server, model="small"):
    answer = exchange(server, request("POST", f"/v2/models/{model}/infer", infer_body(id="abc")))
    assert answer.status == "200 OK", answer


def settings(server, changes, model=""):
    path = f"/v2/models/{model}/trace/setting" if model else "/v2/trace/setting"
    answer = exchange(server, request("POST", path, changes))
    assert answer.status == "200 OK", answer


def records(path):
    if not path.exists() or not path.read_text().strip():
        return []
    return json.loads(path.read_text())


def test_timestamps_of_sampled_requests(tmp_path):
    add(tmp_path / "models", "small", identity("small", [16], 8))
    file = tmp_path / "trace.json"
    with serve(tmp_path / "models", "--trace-config", f"triton,file={file}", "--trace-config", "level=TIMESTAMPS", "--trace-config",
               "rate=2", "--trace-config", "count=3") as server:
        for _ in range(10):
            infer(server)
        found = until(lambda: records(file) if len(records(file)) == 6 else None)
        assert found and len(found) == 6
        who = [record for record in found if "model_name" in record]
        assert [(record["model_name"], record["model_version"], record["request_id"]) for record in who] == [("small", 1, "abc")] * 3
        for record in found:
            if "timestamps" in record:
                assert [stamp["name"] for stamp in record["timestamps"]] == ORDER
                times = [stamp["ns"] for stamp in record["timestamps"]]
                assert times == sorted(times)
        assert len({record["id"] for record in found}) == 3
        settings(server, {"trace_level": ["OFF"], "trace_count": "-1"})
        for _ in range(4):
            infer(server)
        assert len(records(file)) == 6


def test_a_model_of_its_own_and_files_by_frequency(tmp_path):
    add(tmp_path / "models", "small", identity("small", [16], 8))
    add(tmp_path / "models", "other", identity("other", [16], 8))
    file = tmp_path / "trace.json"
    with serve(tmp_path / "models", "--trace-config", f"triton,file={file}") as server:
        settings(server, {"trace_level": ["TIMESTAMPS"], "trace_rate": "1", "log_frequency": "2"}, "small")
        for _ in range(3):
            infer(server, "other")
            infer(server)
        first, second = tmp_path / "trace.json.0", tmp_path / "trace.json.1"
        assert until(lambda: len(records(first)) == 4 and len(records(second)) == 2)
        assert {record["model_name"] for record in records(first) if "model_name" in record} == {"small"}
        settings(server, {"trace_level": None}, "small")
        infer(server)
        assert len(records(second)) == 2


def test_where_records_and_the_log_go_is_not_the_clients_to_say(tmp_path):
    """As the reference server answers since 2.60 (src/http_server.cc); for a model as well, and where it would only be cleared."""
    add(tmp_path / "models", "small", identity("small", [16], 8))
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    with serve(tmp_path / "models") as server:
        for path in ("/v2/trace/setting", "/v2/models/small/trace/setting"):
            for value in (str(victim), None, [str(victim)]):
                answer = server.post(path, {"trace_file": value, "trace_level": ["TIMESTAMPS"], "trace_rate": "1"})
                assert answer.status[:3] == "501", answer
                assert json.loads(answer.body)["error"] == "trace file location can not be updated through network protocol"
        assert json.loads(server.get("/v2/trace/setting").body)["trace_level"] == ["OFF"]
        answer = server.post("/v2/logging", {"log_file": str(victim), "log_verbose_level": 1})
        assert answer.status[:3] == "501", answer
        assert json.loads(answer.body)["error"] == "log file location can not be updated through network protocol"
        assert json.loads(server.get("/v2/logging").body)["log_verbose_level"] == 0
        assert server.post("/v2/logging", {"log_file": None, "log_verbose_level": 1}).status == "200 OK"
        infer(server, "small")
    assert victim.read_text() == "precious\n"


def test_cleared_settings_go_back_to_the_start(tmp_path):
    add(tmp_path / "models", "small", identity("small", [16], 8))
    with serve(tmp_path / "models", "--trace-config", f"triton,file={tmp_path / 'x'}", "--trace-config", "rate=7") as server:
        settings(server, {"trace_rate": "3", "trace_count": "5"})
        settings(server, {"trace_rate": None, "trace_count": None})
        now = json.loads(server.get("/v2/trace/setting").body)
        assert (now["trace_rate"], now["trace_count"]) == ("7", "-1")


def test_a_trace_file_that_can_grow_no_further_is_whole(tmp_path):
    add(tmp_path / "models", "small", identity("small", [16], 8))
    file = tmp_path / "trace.json"
    with serve(tmp_path / "models", "--trace-config", f"triton,file={file}", "--trace-config", "level=TIMESTAMPS", "--trace-config",
               "rate=1") as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        for _ in range(60):
            infer(server)
        assert until(lambda: any("cannot be written" in line for line in server.lines))
        assert 10 < len(records(file)) < 120
        assert file.stat().st_size <= 20_000
        infer(server)
        assert sum("cannot be written" in line for line in server.lines) == 1


def limited(name, count):
    """An identity model of 100 ms whose instance takes `count` of the resource R."""
    configuration = identity(name, [16], 8, delay_ms=100)
    start = configuration.index("instance_group")
    end = configuration.index("]", configuration.index("{", start)) + 1
    group = f'instance_group [ {{ count: 1 kind: KIND_CPU rate_limiter {{ resources [ {{ name: "R" count: {count} }} ] }} }} ]'
    return configuration[:start] + group + configuration[end:]


def seconds_for_both(server):
    threads = [threading.Thread(target=infer, args=(server, name)) for name in ("a", "b")]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - start


def test_instances_take_turns(tmp_path):
    add(tmp_path, "a", limited("a", 1))
    add(tmp_path, "b", limited("b", 1))

    def are_together(server):
        # One after the other they never take less than 0.2 s; on a busy machine they may take longer beside each other.
        return any(seconds_for_both(server) < 0.18 for _ in range(20))

    with serve(tmp_path) as server:
        assert are_together(server)
    with serve(tmp_path, "--rate-limit=execution_count") as server:
        assert min(seconds_for_both(server) for _ in range(3)) >= 0.2
    with serve(tmp_path, "--rate-limit=execution_count", "--rate-limit-resource=R:2") as server:
        assert are_together(server)


def test_an_amount_that_is_too_small_is_a_load_error(tmp_path):
    add(tmp_path, "a", limited("a", 2))
    with serve(tmp_path, "--rate-limit=execution_count", "--rate-limit-resource=R:1", "--exit-on-error=false",
               "--strict-readiness=false") as server:
        answer = exchange(server, request("POST", "/v2/repository/index", b"{}"))
        (entry,) = json.loads(answer.body)
        assert entry["state"] == "UNAVAILABLE"
        assert 'Resource count for "R" is limited to 1 which will prevent scheduling' in entry["reason"]
        assert "the minimum required count is 2" in entry["reason"]
