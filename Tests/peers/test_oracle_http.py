"""Every HTTP case that was recorded from Triton 2.51.0 (Tests/Data/triton-oracle.json), one connection a request: status, headers and body.

Where we differ on purpose: a 500 that the request's own JSON causes is a 400 with the same text; FP16 and BF16 are taken in JSON;
timeouts act when they are due; rejections are counted; name, version and the list of models are ours; numbers of
statistics are compared by structure.
"""
import gzip
import json
import pathlib
import struct
import threading
import time
import zlib

import pytest
from serving import TRITON, X, Answer, exchange, infer_body, oracle_repository, read_answer, request, serve, until

CASES = json.loads((pathlib.Path(__file__).resolve().parents[1] / "Data/triton-oracle.json").read_text())
HTTP = {case["case"]: case for case in CASES if case["section"] not in ("gRPC", "Queue policy")}
QUEUE = {case["case"]: case for case in CASES if case["section"] == "Queue policy"}

SMALL = "/v2/models/small8"
INFER = SMALL + "/infer"
JSON = ("Content-Type", "application/json")
RAW = struct.pack("<16f", *X)


def post(path, body, *headers, **options):
    return request("POST", path, body, [JSON, *headers] if body else list(headers), **options)


def infer(body, *headers):
    return post(INFER, body, *headers)


def changed(**changes):
    """The ordinary body with fields of its input changed; None takes one away."""
    body = infer_body()
    for key, value in changes.items():
        if value is None:
            del body["inputs"][0][key]
        else:
            body["inputs"][0][key] = value
    return body


def binary(data=RAW, size=64, shape=(1, 16), outputs=None, declared=None, header=True, **extra):
    head = {"inputs": [{"name": "input", "shape": list(shape), "datatype": "FP32", "parameters": {"binary_data_size": size}}], **extra}
    if outputs is not None:
        head["outputs"] = outputs
    text = json.dumps(head).encode()
    headers = [("Inference-Header-Content-Length", len(text) if declared is None else declared)] if header else []
    return request("POST", INFER, text + data, [("Content-Type", "application/octet-stream"), *headers])


def chunked(body):
    text = json.dumps(body).encode()
    parts = [text[:50], text[50:51], text[51:]]
    coded = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return request("POST", INFER, coded, [JSON, ("Transfer-Encoding", "chunked")])


def repeated_input():
    body = infer_body()
    body["inputs"] *= 2
    return body


def nested():
    return changed(data=[X])


def reordered():
    return {"inputs": [{"data": X, "datatype": "FP32", "shape": [1, 16], "name": "input"}]}


NAN = struct.pack("<16f", float("nan"), float("inf"), float("-inf"), 1e-40, 1e30, 0.1, 1 / 3, *X[7:])

REQUESTS = {
    # Server and model endpoints
    "server metadata, trailing slash": request("GET", "/v2/"),
    "POST live": post("/v2/health/live", b""),
    "POST /v2": post("/v2", b""),
    "DELETE /v2": request("DELETE", "/v2"),
    "OPTIONS /v2": request("OPTIONS", "/v2"),
    "root": request("GET", "/"),
    "unknown path": request("GET", "/foo"),
    "unknown /v2 path": request("GET", "/v2/foo"),
    "model metadata: small8": request("GET", SMALL),
    "model stats: small8": request("GET", SMALL + "/stats"),
    "model metadata: nobatch": request("GET", "/v2/models/nobatch"),
    "model stats: nobatch": request("GET", "/v2/models/nobatch/stats"),
    "model config: nope": request("GET", "/v2/models/nope/config"),
    "model stats: nope": request("GET", "/v2/models/nope/stats"),
    "model ready version 9": request("GET", SMALL + "/versions/9/ready"),
    "model version not a number": request("GET", SMALL + "/versions/abc"),
    "model version list": request("GET", SMALL + "/versions"),
    "all stats": request("GET", "/v2/models/stats"),
    "models list": request("GET", "/v2/models"),
    "GET infer": request("GET", INFER),
    "PUT infer": request("PUT", INFER, infer_body(), [JSON]),
    # Repository, logging, trace, shared memory, metrics
    "repository index POST": post("/v2/repository/index", b""),
    "repository index POST ready only": post("/v2/repository/index", {"ready": True}),
    "repository index GET": request("GET", "/v2/repository/index"),
    "repository index bad json": post("/v2/repository/index", b"{]"),
    "load unknown": post("/v2/repository/models/nope/load", b"{}"),
    "load with bad config override": post("/v2/repository/models/nobatch/load", {"parameters": {"config": "{not json"}}),
    "unload unknown": post("/v2/repository/models/nope/unload", b"{}"),
    "ready after unload": request("GET", "/v2/models/nobatch/ready"),
    "infer after unload": post("/v2/models/nobatch/infer", infer_body(shape=[2, 8])),
    "index after unload": post("/v2/repository/index", {"ready": True}),
    "logging GET": request("GET", "/v2/logging"),
    "logging POST bad": post("/v2/logging", {"nope": 1}),
    "trace settings": request("GET", "/v2/trace/setting"),
    "model trace settings": request("GET", SMALL + "/trace/setting"),
    "system shm status": request("GET", "/v2/systemsharedmemory/status"),
    "cuda shm status": request("GET", "/v2/cudasharedmemory/status"),
    "shm register missing key": post(
        "/v2/systemsharedmemory/region/r0/register", {"key": "/peers_nope", "offset": 0, "byte_size": 64}),
    "shm unregister unknown": post("/v2/systemsharedmemory/region/r0/unregister", b"{}"),
    "metrics port: POST": post("/metrics", b""),
    "metrics port: /foo": request("GET", "/foo"),
    # Inference: accepted forms
    "JSON with id": infer(infer_body(id="abc 1")),
    "JSON numeric id": infer(infer_body(id=7)),
    "JSON nested data": infer(nested()),
    "JSON ints for FP32": infer(changed(data=list(range(16)))),
    "batch 2": infer(changed(shape=[2, 16], data=X * 2)),
    "batch 8 (max)": infer(changed(shape=[8, 16], data=X * 8)),
    "requested output": infer(infer_body(outputs=[{"name": "output"}])),
    "empty outputs list": infer(infer_body(outputs=[])),
    "classification 2": infer(infer_body(outputs=[{"name": "output", "parameters": {"classification": 2}}])),
    "binary in, JSON out": binary(),
    "binary in, binary out": binary(outputs=[{"name": "output", "parameters": {"binary_data": True}}]),
    "raw binary (header length 0)": request(
        "POST", INFER, RAW, [("Content-Type", "application/octet-stream"), ("Inference-Header-Content-Length", 0)]),
    "no content-type": request("POST", INFER, infer_body()),
    "content-type text/plain": request("POST", INFER, infer_body(), [("Content-Type", "text/plain")]),
    "deflate request": request(
        "POST", INFER, zlib.compress(json.dumps(infer_body()).encode()), [JSON, ("Content-Encoding", "deflate")]),
    "accept gzip response": infer(infer_body(), ("Accept-Encoding", "gzip")),
    "accept deflate response": infer(infer_body(), ("Accept-Encoding", "deflate")),
    "HTTP/1.0": request("POST", INFER, infer_body(), [JSON], version="HTTP/1.0"),
    "Connection: close": infer(infer_body(), ("Connection", "close")),
    "chunked request": chunked(infer_body()),
    "unknown request parameter": infer(infer_body(parameters={"foo": "bar"})),
    "parameter of object type": infer(infer_body(parameters={"foo": {"bar": 1}})),
    "priority on a model without levels": infer(infer_body(parameters={"priority": 5})),
    "timeout, not overridable": infer(infer_body(parameters={"timeout": 1000})),
    "nobatch OK": post("/v2/models/nobatch/infer", infer_body(shape=[2, 8])),
    "unknown top-level key": infer(infer_body(nope=[1, {"a": None}])),
    "duplicate key order / data before shape": infer(reordered()),
    "NaN/Inf in binary, JSON out": binary(NAN),
    # Inference: rejected
    "unknown model": post("/v2/models/nope/infer", infer_body()),
    "version not a number": post(SMALL + "/versions/abc/infer", infer_body()),
    "invalid JSON": infer(b'{"inputs": [}'),
    "JSON not an object": infer(b"[1, 2]"),
    "JSON trailing garbage": infer(json.dumps(infer_body()).encode() + b"garbage"),
    "inputs empty": infer({"inputs": []}),
    "inputs not an array": infer({"inputs": {}}),
    "inputs: null": infer({"inputs": None}),
    "bad input name": infer(changed(name="wrong")),
    "same input twice": infer(repeated_input()),
    "input without shape": infer(changed(shape=None)),
    "input without data": infer(changed(data=None)),
    "bad shape: [1,15]": infer(changed(shape=[1, 15], data=X[:15])),
    "negative dim": infer(changed(shape=[-1, 16])),
    # 2^62 + 1 rows: what Triton keeps of it is one row.
    "huge shape": binary(b"", size=0, shape=(2**62 + 1, 16)),
    "data too short": infer(changed(data=X[:15])),
    "data too long": infer(changed(data=X + [16.0])),
    "data empty": infer(changed(data=[])),
    "data not an array": infer(changed(data=1.0)),
    "data of strings": infer(changed(data=["a"] * 16)),
    "data with null": infer(changed(data=X[:15] + [None])),
    "bad datatype FP64": infer(changed(datatype="FP64")),
    "unknown datatype": infer(changed(datatype="FP33")),
    "FP16 in JSON": infer(changed(datatype="FP16")),
    "BYTES": infer(changed(datatype="BYTES", data=["a"] * 16)),
    "classification 0": infer(infer_body(outputs=[{"name": "output", "parameters": {"classification": 0}}])),
    "binary truncated by 4": binary(RAW[:60]),
    "binary 4 bytes too long": binary(RAW + b"\0\0\0\0"),
    "binary_data_size 60 for shape [1,16]": binary(RAW[:60], size=60),
    "binary_data_size 68": binary(RAW + b"\0\0\0\0", size=68),
    "binary_data_size negative": binary(size=-64),
    "binary_data_size string": binary(size="64"),
    "binary_data_size and data": infer(changed(parameters={"binary_data_size": 64})),
    "header length cuts the JSON": binary(declared=20),
    "header length negative": binary(declared=-5),
    # The bytes themselves are left out: what Triton makes of them hangs on whether the first is a NUL.
    "binary without the header": binary(b"", header=False),
    "raw binary, wrong size": request(
        "POST", INFER, RAW[:60], [("Content-Type", "application/octet-stream"), ("Inference-Header-Content-Length", 0)]),
    "shared memory region unknown": infer(
        changed(data=None, parameters={"shared_memory_region": "r0", "shared_memory_byte_size": 64})),
    "unknown content-encoding": infer(infer_body(), ("Content-Encoding", "br")),
    "nobatch: shape with a batch dim": post("/v2/models/nobatch/infer", infer_body(shape=[1, 2, 8])),
    "nobatch: wrong shape": post("/v2/models/nobatch/infer", infer_body(shape=[2, 9], data=X + [1.0, 2.0])),
    "generate endpoint": post(SMALL + "/generate", {"input": X}),
    "priority negative": infer(infer_body(parameters={"priority": -1})),
    "malformed request line": b"NONSENSE\r\n\r\n",
    "bad HTTP version": b"GET /v2 HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "no Host header": request("GET", "/v2/health/ready", host=False),
    "bad content-length": b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: abc\r\n\r\n{}",
    "two pipelined GETs (first answer shown)": request("GET", "/v2/health/ready") * 2,
}

# What causes a 500 there without being the request's JSON: the same here.
KEEPS_500 = {"load unknown", "load with bad config override", "shm register missing key"}
STRUCTURE = {"model stats: small8", "model stats: nobatch", "all stats"}
INDEX = {"repository index POST", "repository index POST ready only", "index after unload"}
OURS = ["nobatch", "slow_delay", "slow_full", "slow_reject", "small8"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    repository = tmp_path_factory.mktemp("oracle")
    oracle_repository(repository)
    with serve(repository, "--model-control-mode", "explicit", "--load-model", "*", "--allow-client-shm", "true") as server:
        yield server


def test_every_recorded_case_has_a_request():
    assert set(REQUESTS) == set(HTTP)


def headers_of(text):
    """"application/json; connection: close" -> the content type and the other headers."""
    parts = text.split("; ")
    others = {}
    kind = [parts[0]]
    for part in parts[1:]:
        if ": " in part:
            name, value = part.split(": ", 1)
            others[name] = value
        else:
            kind.append(part)
    return "; ".join(kind), others


def structure(value):
    if isinstance(value, dict):
        return {key: structure(part) for key, part in value.items()}
    if isinstance(value, list):
        return [structure(value[0])] if value else []
    return type(value).__name__ if not isinstance(value, str) else value


def assert_same_body(name, expected, answer):
    body = answer.body
    if name in STRUCTURE:
        ours = json.loads(body)
        if name == "all stats":
            assert [model["name"] for model in ours["model_stats"]] == OURS
            expected = expected[: expected.index(',{"name":"identity_db"')] + "]}"
            reference = structure(json.loads(expected)["model_stats"][0])
            for model in ours["model_stats"]:
                mine = structure(model)
                assert list(mine) == list(reference) and mine["inference_stats"] == reference["inference_stats"]
            return
        reference = json.loads(expected)
        assert structure(ours) == structure(reference)
        for left, right in zip(ours["model_stats"], reference["model_stats"]):
            assert list(left) == list(right), "the order of the members"
        return
    if name in INDEX:
        names = [model for model in OURS if name != "index after unload" or model != "nobatch"]
        assert json.loads(body) == [{"name": model, "version": "1", "state": "READY"} for model in names]
        return
    if name.startswith("model metadata"):
        # The reference served its own back end; the platform is the name of the one in use.
        ours, theirs = json.loads(body), json.loads(expected)
        assert isinstance(ours.pop("platform"), str) and theirs.pop("platform")
        assert ours == theirs
        return
    if " binary bytes" in expected:
        text, _, rest = expected.partition(" + ")
        assert body[: len(text)] == text.encode() and len(body) - len(text) == int(rest.split()[0]) and body[len(text):] == RAW
        return
    if expected.startswith("binary b'"):
        plain = HTTP["no content-type"]["body"].encode()
        decoded = gzip.decompress(body) if answer.headers["content-encoding"] == "gzip" else zlib.decompress(body)
        assert decoded == plain
        return
    if name == "generate endpoint":
        # Recorded as it stood on the wire, in chunks.
        assert body.decode() == expected.split("\\r\\n")[1]
        return
    assert body.decode() == expected


@pytest.mark.parametrize("name", HTTP)
def test_case(server, name):
    case = HTTP[name]
    if name == "model stats: small8":
        # As when it was recorded: batches of several sizes went before.
        assert server.infer().status == "200 OK" and server.infer(rows=2).status == "200 OK"
    if name == "model stats: nobatch":
        server.post("/v2/models/nobatch/infer", infer_body(shape=[2, 8]))
    after_unload = name in ("ready after unload", "infer after unload", "index after unload")
    if after_unload:
        assert server.post("/v2/repository/models/nobatch/unload", b"{}").status == "200 OK"
        assert until(lambda: server.get("/v2/models/nobatch/ready").status != "200 OK")
    try:
        answer = exchange(server, REQUESTS[name], server.metrics_port if name.startswith("metrics port") else None)
    finally:
        if after_unload:
            assert server.post("/v2/repository/models/nobatch/load", b"{}").status == "200 OK"
    if case["status"] == "(connection closed)":
        # Hanging up without a word is no contract: an answer of 400 says more.
        assert answer.closed or answer.status.startswith("400"), answer
        return
    if name == "bad HTTP version":
        # It answered HTTP/9.9. There is no such protocol.
        assert answer.closed or answer.status[:3] in ("200", "400", "505"), answer
        return
    status = case["status"]
    if status.startswith("500") and name not in KEEPS_500 and not TRITON:
        status = "400 Bad Request"
    expected = case["body"]
    if name == "FP16 in JSON" and not TRITON:
        # Taken here; but the model is of another type.
        expected = HTTP["bad datatype FP64"]["body"].replace("FP64", "FP16")
    kind, others = headers_of(case["headers"])
    assert answer.status == status, answer
    if name == "huge shape":
        # There the number of rows wraps around to one. Here it need not.
        allowed = [expected, '{"error":"[request id: <id_unknown>] inference request batch-size must be <= 8 for \'small8\'"}']
        assert answer.body.decode() in allowed, answer
    else:
        assert_same_body(name, expected, answer)
    assert answer.headers.get("content-type") == kind, answer
    for header, value in others.items():
        assert answer.headers.get(header, "").lower() == value, answer


def test_server_metadata_lists_the_same_extensions(server):
    recorded = json.loads(HTTP["bad HTTP version"]["body"])
    ours = json.loads(server.get("/v2").body)
    assert ours["name"] == ("triton" if TRITON else "headroom") and ours["version"]
    # Named only where they are served: no sequences, and CUDA's shared memory with a CUDA device.
    assert set(recorded["extensions"]) - {"sequence", "cuda_shared_memory"} <= set(ours["extensions"])


# Queue policies: several requests, each on a connection of its own, in a known order.


def burst(server, model, count, parameters=None, apart=0.03):
    """Answers and the seconds each took, in the order of sending."""
    body = infer_body(**({"parameters": parameters} if parameters else {}))
    results = [None] * count

    def one(index):
        start = time.monotonic()
        try:
            results[index] = (exchange(server, post(f"/v2/models/{model}/infer", body), timeout=30), time.monotonic() - start)
        except OSError as error:
            results[index] = (Answer(status=str(error)), time.monotonic() - start)

    threads = []
    for index in range(count):
        threads.append(threading.Thread(target=one, args=(index,)))
        threads[-1].start()
        time.sleep(apart)
    for thread in threads:
        thread.join()
    return results


BURSTS = [
    ("queue full", "slow_full", 6, None),
    ("queue timeout 200 ms, REJECT", "slow_reject", 3, None),
    ("queue timeout 200 ms, DELAY", "slow_delay", 3, None),
    ("timeout override to 50 ms", "slow_reject", 3, {"timeout": 50_000}),
]


@pytest.mark.parametrize("start, model, count, parameters", BURSTS, ids=[burst[0] for burst in BURSTS])
def test_queue_policy(server, start, model, count, parameters):
    results = burst(server, model, count, parameters)
    cases = [case for case in QUEUE.values() if case["case"].startswith(start)]
    assert cases
    for case in cases:
        number = int(case["case"].split("request ")[-1].split(" of ")[0])
        answer, seconds = results[number - 1]
        assert (answer.status, answer.headers.get("content-type"), answer.body.decode()) == (
            case["status"], case["headers"], case["body"]), case["case"]
        if answer.body == b'{"error":"Request timeout expired"}' and not TRITON:
            # There it took until the instance was free: 0.98 s. Here it is answered when it is due.
            due = 0.05 if parameters else 0.2
            assert due - 0.01 <= seconds < 0.85, case["case"]
        if "Exceeds" in answer.body.decode():
            assert seconds < 0.85


def test_every_queue_case_is_in_a_burst():
    starts = tuple(burst[0] for burst in BURSTS)
    assert all(name.startswith(starts) for name in QUEUE)


def test_rejections_are_counted(server):
    def rejected():
        text = server.get("/metrics", server.metrics_port).body.decode()
        for line in text.splitlines():
            if line.startswith("nv_inference_request_failure{") and 'model="slow_full"' in line and 'reason="REJECTED"' in line:
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    before = rejected()
    results = burst(server, "slow_full", 5)
    refused = sum(answer.status.startswith("503") for answer, _ in results)
    assert refused == 2 and (TRITON or rejected() - before == refused)


def test_one_connection_carries_any_number_of_requests(server):
    """All the cases again that leave the connection usable, over one."""
    with server.connect() as connection, connection.makefile("rb") as stream:
        for name in ["unknown path", "POST live", "JSON with id", "bad shape: [1,15]", "binary in, binary out", "inputs empty",
                     "chunked request", "GET infer", "nobatch OK", "data too long", "deflate request", "JSON with id"]:
            connection.sendall(REQUESTS[name])
            answer = read_answer(stream)
            assert not answer.closed, name
            expected = HTTP[name]["status"]
            if not TRITON:
                expected = expected.replace("500 Internal Server Error", "400 Bad Request")
            assert answer.status == expected, (name, answer)
