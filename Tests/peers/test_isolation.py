"""Engines in processes of their own: what a fault in one costs. The identity backend stands in for an engine, so that no engine is needed;
with onnx and ONNX Runtime there, integer divisions and the record of good batches are tried too."""
import json
import os
import pathlib
import signal
import threading
import time

import pytest
from serving import ROOT, TRITON, add, identity, infer_body, serve, until

pytestmark = pytest.mark.skipif(TRITON, reason="a feature of headroom's")

ROW = [1.0, 2.0, 3.0, 4.0]


def isolated(name, more="", delay_ms=0, count=1, rows=8):
    text = identity(name, [4], rows, "dynamic_batching { }\n", delay_ms=delay_ms).replace("count: 1", f"count: {count}")
    return text + 'parameters { key: "isolate" value { string_value: "1" } }\n' + more


def parameter(key, value):
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


def children(server):
    found = []
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            pass
    return found


def state(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def usage(server):
    base = pathlib.Path(f"/proc/{server.process.pid}")
    maps = (base / "maps").read_text()
    return len(list((base / "fd").iterdir())), len(list((base / "task").iterdir())), maps.count("memfd:headroom")


def ask(server, model, row=ROW):
    return server.post(f"/v2/models/{model}/infer", infer_body(name="input", shape=[1, 4], data=row))


def values(answer):
    return json.loads(answer.body)["outputs"][0]["data"]


@pytest.mark.parametrize("fault, word", [("crash_batch", "SIGFPE"), ("exit_batch", "exit code 3")])
def test_a_fault_fails_its_batch_and_nothing_else(tmp_path, fault, word):
    add(tmp_path, "faulty", isolated("faulty", parameter(fault, 3) + parameter("crash_signal", 8), rows=0).replace("dynamic_batching { }\n", "")
        .replace("dims: [4]", "dims: [1, 4]"))
    add(tmp_path, "other", identity("other", [4], 8))
    with serve(tmp_path) as server:
        for _ in range(3):
            for _ in range(2):
                assert values(ask(server, "faulty")) == ROW
            answer = ask(server, "faulty")
            assert answer.status.startswith("500") and word in json.loads(answer.body)["error"], answer
            assert values(ask(server, "other")) == ROW
        assert server.get("/v2/models/faulty/ready").status == "200 OK"


def test_a_hundred_kills_in_the_middle_of_batches_under_load(tmp_path):
    add(tmp_path, "killed", isolated("killed", delay_ms=2, count=2))
    add(tmp_path, "other", identity("other", [4], 8))
    with serve(tmp_path) as server:
        for _ in range(20):
            assert values(ask(server, "killed")) == ROW
        before = usage(server)
        stop, outcomes, wrong = threading.Event(), {"right": 0, "error": 0}, []

        def load(number):
            turn = 0
            while not stop.is_set():
                turn += 1
                row = [float(number), float(turn), 3.0, 4.0]
                try:
                    answer = ask(server, "killed", row)
                except Exception as error:  # every request is answered, right or with an error
                    wrong.append(repr(error))
                    return
                if answer.status == "200 OK":
                    outcomes["right"] += 1
                    if values(answer) != row:
                        wrong.append((row, values(answer)))
                elif answer.status.startswith("500") and "process" in json.loads(answer.body)["error"]:
                    outcomes["error"] += 1
                else:
                    wrong.append(answer)

        clients = [threading.Thread(target=load, args=(number,)) for number in range(8)]
        for client in clients:
            client.start()
        killed, deadline = 0, time.monotonic() + 240
        while killed < 100 and time.monotonic() < deadline:
            right = outcomes["right"]
            for child in children(server):
                if state(child) not in (None, "Z"):
                    os.kill(child, signal.SIGKILL)
                    killed += 1
            # A good batch between two kills: otherwise it is given up, as it should be.
            until(lambda: outcomes["right"] > right + 2 or bool(wrong), 20)
            if wrong:
                break
        stop.set()
        for client in clients:
            client.join(60)
        assert not any(client.is_alive() for client in clients), "a request hangs"
        assert not wrong, wrong[:3]
        assert killed >= 100 and outcomes["error"] > 0, (killed, outcomes)
        assert until(lambda: ask(server, "killed").status == "200 OK", 30)
        assert values(ask(server, "other")) == ROW
        assert until(lambda: all(after <= then + 2 for after, then in zip(usage(server), before)), 30), (before, usage(server))
        assert until(lambda: len(children(server)) == 1 and all(state(child) != "Z" for child in children(server)), 10)


def test_a_hung_process_is_ended_at_the_instance_timeout(tmp_path):
    add(tmp_path, "hanging", isolated("hanging", parameter("hang_batch", 2)))
    add(tmp_path, "other", identity("other", [4], 8))
    with serve(tmp_path, "--instance-timeout-secs", "1") as server:
        assert values(ask(server, "hanging")) == ROW
        hung = children(server)
        start = time.monotonic()
        answer = ask(server, "hanging")
        assert answer.status.startswith("500") and time.monotonic() - start < 15, answer
        assert values(ask(server, "other")) == ROW
        assert until(lambda: all(state(child) is None for child in hung), 15), "the hung process is there still"
        assert until(lambda: ask(server, "hanging").status == "200 OK", 15)


def test_a_model_that_is_given_up_is_not_ready(tmp_path):
    add(tmp_path, "hopeless", isolated("hopeless", parameter("crash_batch", 1)))
    add(tmp_path, "other", identity("other", [4], 8))
    with serve(tmp_path) as server:
        assert server.get("/v2/health/ready").status == "200 OK"
        assert until(lambda: b"not started again for" in ask(server, "hopeless").body, 90)
        # Worth another try later: not the fault of a batch.
        assert ask(server, "hopeless").status.startswith("503")
        assert server.get("/v2/models/hopeless/ready").status.startswith("400")
        assert server.get("/v2/health/ready").status.startswith("400")
        index = {entry["name"]: entry for entry in json.loads(server.post("/v2/repository/index", "{}").body)}
        assert index["hopeless"]["state"] == "UNAVAILABLE" and "10 times in a row" in index["hopeless"]["reason"]
        assert index["other"]["state"] == "READY" and values(ask(server, "other")) == ROW


def test_unloading_and_reloading_ends_the_process(tmp_path):
    add(tmp_path, "short", isolated("short"))
    add(tmp_path, "other", identity("other", [4], 8))
    with serve(tmp_path, "--model-control-mode", "explicit", "--load-model", "*") as server:
        assert values(ask(server, "short")) == ROW
        before = None
        for turn in range(10):
            assert server.post("/v2/repository/models/short/load", "{}").status == "200 OK"
            assert values(ask(server, "short")) == ROW
            assert until(lambda: len(children(server)) == 1, 15), children(server)
            before = before or usage(server)
        assert until(lambda: all(after <= then + 2 for after, then in zip(usage(server), before)), 15), (before, usage(server))
        server.post("/v2/repository/models/short/unload", "{}")
        assert until(lambda: not children(server), 15), [state(child) for child in children(server)]


def test_the_process_ends_with_the_server_however_that_ends(tmp_path):
    add(tmp_path, "orphan", isolated("orphan"))
    with serve(tmp_path) as server:
        (child,) = children(server)
        # A service manager signals all of a service's processes: the engine's goes on until the server is done.
        os.kill(child, signal.SIGTERM)
        os.kill(child, signal.SIGINT)
        assert values(ask(server, "orphan")) == ROW and state(child) is not None
        server.process.kill()
        server.process.wait(10)
        assert until(lambda: state(child) in (None, "Z"), 10), "the engine outlives its server"
        server.process.returncode = 0


def test_faults_need_a_process_of_their_own(tmp_path):
    add(tmp_path, "other", identity("other", [4], 8))
    with serve(tmp_path, "--model-control-mode", "explicit", "--load-model", "other") as server:
        add(tmp_path, "wild", identity("wild", [4], 8) + parameter("crash_batch", 1))
        answer = server.post("/v2/repository/models/wild/load", "{}")
        assert answer.status != "200 OK" and "isolate" in json.loads(answer.body)["error"]
        assert values(ask(server, "other")) == ROW


# With ONNX Runtime.

DATA = ROOT / "Tests/Data/onnxruntime"


def has_onnxruntime():
    return bool(os.environ.get("HEADROOM_ONNXRUNTIME")) or any((ROOT / ".engines/onnxruntime/lib").glob("libonnxruntime.so*"))


needs_onnxruntime = pytest.mark.skipif(not has_onnxruntime(), reason="ONNX Runtime is absent: Scripts/fetch-onnxruntime")


def divide(server, divisor):
    body = {"inputs": [{"name": "a", "shape": [1, 2], "datatype": "UINT8", "data": [9, 8]},
                       {"name": "b", "shape": [1, 2], "datatype": "UINT8", "data": divisor}]}
    return server.post("/v2/models/divide/infer", body)


@needs_onnxruntime
@pytest.mark.parametrize("arguments", [(), ("--warmup=false",), ("--isolate-engines",), ("--isolate-engines=always",)])
def test_an_integer_division_by_zero_fails_its_request(tmp_path, arguments):
    add(tmp_path, "divide", None, model=DATA / "divide.onnx")
    add(tmp_path, "divide_computed", None, model=DATA / "divide_computed.onnx")
    add(tmp_path, "other", identity("other", [4], 8))
    with serve(tmp_path, *arguments) as server:
        for _ in range(3):
            assert values(divide(server, [3, 2])) == [3, 4]
            answer = divide(server, [3, 0])
            assert answer.status.startswith("500") and "SIGFPE" in json.loads(answer.body)["error"], answer
            assert values(ask(server, "other")) == ROW


@needs_onnxruntime
def test_warming_up_divides_by_ones_and_loads_in_the_servers_process(tmp_path):
    add(tmp_path, "divide", None, model=DATA / "divide.onnx")
    add(tmp_path, "divide_computed", None, model=DATA / "divide_computed.onnx")
    with serve(tmp_path, "--isolate-engines=never") as server:
        assert not children(server)
        assert values(divide(server, [3, 2])) == [3, 4]
        assert "'divide_computed' is not warmed up" in server.log and "'divide' is not" not in server.log


def half(server):
    return server.post("/v2/models/power/infer", {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "INT64", "data": [1, 2, 3]}]})


@needs_onnxruntime
def test_a_hundred_good_batches_bring_a_model_into_the_servers_process(tmp_path):
    repository, cache = tmp_path / "models", tmp_path / "cache" / "engines"
    add(repository, "power", None, model=DATA / "power.onnx")
    add(repository, "divide", None, model=DATA / "divide.onnx")
    with serve(repository, "--engine-cache", str(cache)) as server:
        assert len(children(server)) == 2
        for _ in range(99):
            assert values(half(server)) == [1, 4, 9]
        assert not list(cache.iterdir())
        half(server)
        assert until(lambda: len(list(cache.iterdir())) == 1, 10)
        for _ in range(120):
            assert values(divide(server, [3, 2])) == [3, 4]
    (record,) = cache.iterdir()
    with serve(repository, "--engine-cache", str(cache)) as server:
        # The other one divides by what requests send: it never leaves its process.
        assert len(children(server)) == 1 and values(half(server)) == [1, 4, 9]
    with serve(repository, "--engine-cache", str(cache), "--isolate-engines=always") as server:
        assert len(children(server)) == 2
    record.write_text(record.read_text()[:-3])
    with serve(repository, "--engine-cache", str(cache)) as server:
        assert len(children(server)) == 2 and "it is not a record as it was written" in server.log
    with serve(repository) as server:
        assert len(children(server)) == 2
    (repository / "power/1/model.onnx").write_bytes((DATA / "power.onnx").read_bytes() + b"\x52\x00")
    with serve(repository, "--engine-cache", str(cache)) as server:
        assert len(children(server)) == 2, "another file is another model"


@needs_onnxruntime
def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path):
    add(tmp_path, "power", None, model=DATA / "power.onnx")
    with serve(tmp_path, "--engine-cache", "/proc/nowhere") as server:
        assert "--engine-cache /proc/nowhere: " in server.log, "it is said at the start"
        for _ in range(105):
            assert values(half(server)) == [1, 4, 9]
        assert until(lambda: "--engine-cache cannot record it" in server.log, 10), server.log
