"""Clients that take nothing, take their time, or come through a browser; flags that protect; the end of a server."""
import collections
import http.client
import json
import random
import resource
import socket
import struct
import subprocess
import threading
import time

import numpy as np
import pytest

from serving import (BINARY, X, add, cpu_share, exchange, identity, infer_body, read_answer, request, require_serve, serve, until)

INFER = "/v2/models/wide/infer"
# What a client that takes nothing may cost, above what the server has anyway.
BOUND = 150_000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    add(folder, "small8", identity("small8", [16], 8))
    add(folder, "wide", identity("wide", [-1], 8))
    with serve(folder) as server:
        yield server


def pour(connection, data, seconds):
    """Sends again and again and reads nothing; ends early once nothing is taken any more. Bytes sent."""
    connection.setblocking(False)
    sent, last, end = 0, time.monotonic(), time.monotonic() + seconds
    while time.monotonic() < end and time.monotonic() - last < 0.7:
        try:
            sent += connection.send(data[sent % len(data):])
            last = time.monotonic()
        except BlockingIOError:
            time.sleep(0.005)
        except ConnectionError:
            break
    return sent


def wide(count):
    data = np.arange(count, dtype=np.float32).tobytes()
    header = json.dumps({"inputs": [{"name": "input", "shape": [1, count], "datatype": "FP32", "parameters": {"binary_data_size": len(data)}}],
                         "outputs": [{"name": "output", "parameters": {"binary_data": True}}]}).encode()
    return header + data, [("Inference-Header-Content-Length", str(len(header)))]


@pytest.mark.parametrize("what", ["/headroom", "/v2/headroom", "/v2", "/metrics", "infer", "large infer"])
def test_pipelined_requests_whose_answers_are_not_read(server, what):
    if what.endswith("infer"):
        body, headers = wide(2_000 if what == "infer" else 1_000_000)
        data = request("POST", INFER, body, headers)
    else:
        data = request("GET", what)
    before = server.status_kilobytes("VmRSS")
    connections = []
    for _ in range(3):
        connection = server.connect(server.metrics_port if what == "/metrics" else None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        pour(connection, data * max(1, 20_000 // len(data)), 3)
        connections.append(connection)
    assert server.status_kilobytes("VmRSS") - before < BOUND
    start = time.monotonic()
    server.check_alive()
    assert time.monotonic() - start < 2
    for connection in connections:
        connection.close()


def test_many_connections_whose_answers_are_not_read(server):
    """Each within its bound, they would add up."""
    before = server.status_kilobytes("VmRSS")
    data = request("GET", "/headroom") * 400
    connections = []
    for _ in range(200):
        connection = server.connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        connections.append(connection)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        for connection in connections:
            try:
                connection.send(data)
            except OSError:
                pass
    assert server.status_kilobytes("VmRSS") - before < BOUND
    server.check_alive()
    for connection in connections:
        connection.close()


def test_what_was_held_back_arrives_when_it_is_read(server):
    """Hundreds of answers wait for a client that first sends and then reads: all of them come, in order."""
    body, headers = wide(5_000)
    count = 300
    data = b"".join(request("POST", INFER, body, headers) for _ in range(count))
    with server.connect(timeout=30) as connection, connection.makefile("rb") as stream:
        thread = threading.Thread(target=connection.sendall, args=(data,))
        thread.start()
        # More is asked for than the socket and the server hold: sending stops.
        thread.join(1)
        for _ in range(count):
            answer = read_answer(stream)
            assert answer.status == "200 OK" and answer.body[-20_000:] == body[-20_000:]
        thread.join()


# HTTP/2 by hand: what no library would do.

def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    def text(data):
        head, rest = (bytes([len(data)]), 0) if len(data) < 127 else (b"\x7f", len(data) - 127)
        while len(data) >= 127:
            head += bytes([rest % 128 + (128 if rest >= 128 else 0)])
            rest //= 128
            if not rest:
                break
        return head + data
    return b"\0" + text(name) + text(value)


def call(method):
    path = b"/inference.GRPCInferenceService/" + method
    return b"".join(literal(*pair) for pair in (
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x"), (b"content-type", b"application/grpc"),
        (b"te", b"trailers")))


def http2(server, window=0):
    connection = server.connect(server.grpc_port)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">HI", 4, window)) + frame(4, 1, 0))
    return connection


def infer_message(count):
    service_pb2 = pytest.importorskip("tritonclient.grpc.service_pb2")
    message = service_pb2.ModelInferRequest(model_name="wide")
    tensor = message.inputs.add(name="input", datatype="FP32")
    tensor.shape.extend([1, count])
    message.raw_input_contents.append(bytes(4 * count))
    data = message.SerializeToString()
    return b"\0" + struct.pack(">I", len(data)) + data


@pytest.mark.parametrize("kind", ["one stream", "many streams", "many small calls", "refused calls", "pings"])
def test_answers_over_grpc_that_are_not_read(server, kind):
    """No window is ever opened, and nothing is read; sending goes on as far as the server lets it."""
    before = server.status_kilobytes("VmRSS")
    connection = http2(server)
    numbers = iter(range(1, 2**31, 2))

    def pieces(message, stream):
        return [frame(0, 0, stream, message[start:start + 16_000]) for start in range(0, len(message), 16_000)]

    def bursts():
        if kind == "one stream":
            message = infer_message(50_000)
            yield frame(1, 4, 1, call(b"ModelStreamInfer"))
            while True:
                yield b"".join(pieces(message, 1))
        while True:
            stream = next(numbers)
            if kind == "many streams":
                message = infer_message(10_000)
                yield frame(1, 4, stream, call(b"ModelInfer")) + b"".join(pieces(message, stream)) + frame(0, 1, stream)
            elif kind == "many small calls":
                yield frame(1, 4, stream, call(b"RepositoryIndex")) + frame(0, 1, stream, bytes(5))
            elif kind == "refused calls":
                yield frame(1, 5, stream, call(b"NoSuchCall"))
            else:
                yield frame(6, 0, 0, b"12345678") * 100

    connection.settimeout(0.7)
    end = time.monotonic() + 3
    try:
        for burst in bursts():
            connection.sendall(burst)
            if time.monotonic() > end:
                break
    except OSError:
        pass
    assert server.status_kilobytes("VmRSS") - before < BOUND
    server.check_alive()
    connection.close()


def test_a_stream_of_grpc_whose_answers_are_not_taken(server):
    """A well-behaved client whose program does not take its answers: it is held back, and goes on when they are taken."""
    grpc = pytest.importorskip("grpc")
    service_pb2 = pytest.importorskip("tritonclient.grpc.service_pb2")
    service_pb2_grpc = pytest.importorskip("tritonclient.grpc.service_pb2_grpc")
    message = service_pb2.ModelInferRequest.FromString(infer_message(250_000)[5:])
    sent = []

    def requests():
        for number in range(150):
            sent.append(number)
            message.id = str(number)
            yield message

    before = server.status_kilobytes("VmRSS")
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.http2.bdp_probe", 0)]
    with grpc.insecure_channel(server.grpc, options) as channel:
        answers = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(requests())
        until(lambda: len(sent) == 150, 3)
        assert len(sent) < 150
        assert server.status_kilobytes("VmRSS") - before < BOUND
        server.check_alive()
        assert [answer.infer_response.id for answer in answers] == [str(number) for number in range(150)]


@pytest.mark.parametrize("version, headers, half_closes", [
    ("HTTP/1.1", [("Connection", "close")], False), ("HTTP/1.0", [], False), ("HTTP/1.1", [], True), ("HTTP/1.0", [], True)])
def test_a_last_answer_arrives_whole_however_slowly_it_is_taken(server, version, headers, half_closes):
    count = 6_000_000
    body, more = wide(count)
    with server.connect(timeout=30) as connection:
        connection.sendall(request("POST", INFER, body, more + headers, version=version))
        if half_closes:
            connection.shutdown(socket.SHUT_WR)
        # The client takes its time: longer than a server that lingers for 2 s.
        time.sleep(2.6)
        got = bytearray()
        while piece := connection.recv(1 << 20):
            got += piece
    assert got.endswith(body[-4 * count:])


def test_answers_pipelined_before_a_last_one_arrive(server):
    body, headers = wide(300_000)
    with server.connect(timeout=30) as connection:
        connection.sendall(request("POST", INFER, body, headers) * 5 + request("GET", "/v2", headers=[("Connection", "close")]) + b"more" * 1000)
        time.sleep(2.6)
        with connection.makefile("rb") as stream:
            for _ in range(5):
                assert read_answer(stream).body.endswith(body[-1_200_000:])
            assert read_answer(stream).status == "200 OK"
            assert stream.read() == b""


# Framing.

def test_absolute_targets_and_head(server):
    answer = exchange(server, request("GET", "http://somewhere:1/v2/health/ready"))
    assert answer.status == "200 OK"
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(request("HEAD", "/v2") + request("HEAD", "/v2/health/ready") + request("GET", "/v2"))
        lengths = []
        for _ in range(2):
            assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
            while line := stream.readline().strip():
                if line.lower().startswith(b"content-length: "):
                    lengths.append(int(line.split()[1]))
        answer = read_answer(stream)
        assert lengths == [len(answer.body), 0]


@pytest.mark.parametrize("lines", [
    b"Content-Length: 4\nX: y\r\n", b"X: a\rContent-Length: 3\r\n", b"X: a\r\n b\r\n", b"Content-Length: 3\r\nContent-Length: 3\r\n",
    b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 3, 3\r\n", b"Host: other\r\n"])
def test_framing_that_two_readers_could_read_differently_is_refused(server, lines):
    answer = exchange(server, b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n0\r\n\r\nGET /v2 HTTP/1.1\r\n\r\n")
    assert answer.status == "400 Bad Request" and answer.headers["connection"] == "close"
    assert json.loads(answer.body)["error"]


def test_chunks_of_one_byte(server):
    body = json.dumps({**infer_body(), "parameters": {"pad": "x" * 30_000}}).encode()
    data = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    answer = exchange(server, request("POST", "/v2/models/small8/infer", data, [("Transfer-Encoding", "chunked")]))
    assert answer.status == "200 OK" and json.loads(answer.body)["outputs"][0]["data"] == X


def test_an_output_is_asked_for_once(server):
    answer = server.infer(outputs=[{"name": "output"}, {"name": "output"}], id="7")
    assert answer.status == "400 Bad Request"
    assert json.loads(answer.body)["error"] == "[request id: 7] output 'output' already exists in request"


# Browsers.

def from_page(server, path, body, headers, host="localhost"):
    data = request("POST", path, body, headers).replace(b"Host: localhost", b"Host: " + host.encode())
    return exchange(server, data).status[:3]


def test_pages_of_other_origins_change_nothing(tmp_path):
    add(tmp_path, "small8", identity("small8", [16], 8))
    with serve(tmp_path, "--model-control-mode", "explicit", "--load-model", "small8", "--control-host", "ours.example") as server:
        own = f"http://localhost:{server.http_port}"
        controls = [("/v2/repository/models/small8/unload", {}), ("/v2/repository/models/small8/load", {}), ("/v2/logging", {"log_info": False}),
                    ("/v2/trace/setting", {"trace_rate": "3"}), ("/v2/models/small8/trace/setting", {"trace_rate": "3"}),
                    ("/v2/systemsharedmemory/unregister", {}), ("/v2/systemsharedmemory/region/r/register", {}),
                    ("/v2/cudasharedmemory/unregister", {})]
        foreign = [
            ([("Origin", "http://evil.example"), ("Content-Type", "text/plain")], "localhost"), ([("Origin", "null")], "localhost"),
            ([("Origin", "http://localhost:1"), ("Content-Type", "application/json")], "localhost"),
            ([("Sec-Fetch-Site", "cross-site")], "localhost"), ([("Sec-Fetch-Site", "same-site")], "localhost"), ([], "evil.example"),
            ([("Origin", "http://evil.example"), ("Content-Type", "application/json"), ("Sec-Fetch-Site", "same-origin")], "evil.example"),
            ([("Origin", own), ("Content-Type", "text/plain")], own[7:]), ([("Origin", own)], own[7:])]
        for path, body in controls:
            for headers, host in foreign:
                assert from_page(server, path, body, headers, host) == "403", (path, headers, host)
        assert json.loads(server.get("/v2/logging").body)["log_info"] is True
        # An own page, a program, a program under a name that was given.
        for headers, host in (([("Origin", own), ("Content-Type", "application/json"), ("Sec-Fetch-Site", "same-origin")], own[7:]),
                              ([], "localhost"), ([("Content-Type", "text/plain")], server.http), ([], "ours.example:8000"), ([], "[::1]")):
            assert from_page(server, "/v2/trace/setting", {"trace_rate": "3"}, headers, host) == "200", (headers, host)
        # Inference and looking stay open: they change nothing, and no page of another origin can read the answer.
        assert from_page(server, "/v2/models/small8/infer", infer_body(), foreign[0][0], "evil.example") == "200"
        assert "access-control-allow-origin" not in server.get("/v2").headers
        server.check_alive()


# Flags that protect.

def certificate(folder, name="server", *more):
    files = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", files[1], "-out", files[0], "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", *more], check=True, capture_output=True)
    return files


def test_grpc_over_tls_and_with_client_certificates(tmp_path):
    grpc = pytest.importorskip("grpc")
    client = pytest.importorskip("tritonclient.grpc")
    add(tmp_path / "models", "small8", identity("small8", [16], 8))
    pem, key = certificate(tmp_path)
    own_pem, own_key = certificate(tmp_path, "client")
    flags = ["--grpc-server-cert", pem, "--grpc-server-key", key]

    def is_live(server, **options):
        with client.InferenceServerClient(f"localhost:{server.grpc_port}", **options) as connection:
            return connection.is_server_live(client_timeout=5)

    with serve(tmp_path / "models", "--grpc-use-ssl=true", *flags) as server:
        assert is_live(server, ssl=True, root_certificates=str(pem))
        with pytest.raises(Exception):
            is_live(server)
        assert server.get("/v2/health/live").status == "200 OK"
    with serve(tmp_path / "models", "--grpc-use-ssl-mutual", *flags, "--grpc-root-cert", own_pem) as server:
        assert is_live(server, ssl=True, root_certificates=str(pem), private_key=str(own_key), certificate_chain=str(own_pem))
        with pytest.raises(Exception):
            is_live(server, ssl=True, root_certificates=str(pem))
        with pytest.raises(Exception):
            is_live(server, ssl=True, root_certificates=str(pem), private_key=str(key), certificate_chain=str(pem))


def test_restricted_calls(tmp_path):
    client = pytest.importorskip("tritonclient.grpc")
    add(tmp_path, "small8", identity("small8", [16], 8))
    with serve(tmp_path, "--model-control-mode", "explicit", "--load-model", "small8",
               "--http-restricted-api=model-repository,logging,statistics:admin-key=admin-value", "--http-restricted-api", "metadata:k=v=w",
               "--grpc-restricted-protocol=model-repository,health:admin-key=admin-value") as server:
        for method, path in (("POST", "/v2/repository/index"), ("POST", "/v2/repository/models/small8/load"), ("GET", "/v2/logging"),
                             ("POST", "/v2/logging"), ("GET", "/v2/models/small8/stats"), ("GET", "/v2/headroom")):
            for headers in ([], [("admin-key", "other")], [("k", "v=w")]):
                answer = exchange(server, request(method, path, b"" if method == "GET" else {}, headers))
                assert answer.status == "403 Forbidden", (path, answer)
                assert json.loads(answer.body)["error"] == "This API is restricted, expecting header 'admin-key'"
            assert exchange(server, request(method, path, b"" if method == "GET" else {}, [("Admin-Key", "admin-value")])).status == "200 OK", path
        assert server.get("/v2").status == "403 Forbidden"
        assert exchange(server, request("GET", "/v2", headers=[("k", "v=w")])).status == "200 OK"
        server.check_alive()
        with client.InferenceServerClient(server.grpc) as connection:
            with pytest.raises(Exception, match="This protocol is restricted, expecting header 'triton-grpc-protocol-admin-key'"):
                connection.is_server_live()
            assert connection.is_server_live(headers={"triton-grpc-protocol-admin-key": "admin-value"})
            assert connection.get_server_metadata().name == "headroom"


@pytest.mark.parametrize("flags", [
    ["--grpc-use-ssl"], ["--grpc-use-ssl=true", "--grpc-server-cert=missing.pem", "--grpc-server-key=missing.key"], ["--grpc-use-ssl-mutual=true"],
    ["--grpc-server-cert=x"], ["--grpc-server-key=x"], ["--grpc-root-cert=x"], ["--http-restricted-api=inference"],
    ["--http-restricted-api=nothing:k=v"], ["--http-restricted-api=trace:k=v", "--http-restricted-api=trace:l=w"],
    ["--grpc-restricted-protocol=model-reposit:k=v"], ["--allow-sagemaker=true"], ["--allow-vertex-ai"], ["--openai-restricted-api=x"],
    ["--metrics-config=summary_latencies=true"], ["--metrics-config=nonsense"]])
def test_what_cannot_protect_does_not_start(tmp_path, flags):
    require_serve()
    add(tmp_path, "small8", identity("small8", [16], 8))
    ports = ["--http-port=0", "--grpc-port=0", "--metrics-port=0"]
    result = subprocess.run([BINARY, "serve", "--model-repository", tmp_path, *ports, *flags], capture_output=True, text=True, timeout=30)
    assert result.returncode == 64 and any(flag.split("=")[0] in result.stderr for flag in flags), result.stderr


def test_metrics_can_be_chosen(tmp_path):
    add(tmp_path, "small8", identity("small8", [16], 8))
    with serve(tmp_path, "--metrics-config", "counter_latencies=false", "--metrics-config", "histogram_latencies=false") as server:
        server.infer()
        page = server.get("/metrics", server.metrics_port).body.decode()
        assert "nv_inference_count" in page and "_duration_us" not in page and "headroom_request_seconds" not in page


def test_a_port_in_use_is_named(tmp_path):
    require_serve()
    add(tmp_path, "small8", identity("small8", [16], 8))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = subprocess.run([BINARY, "serve", "--model-repository", tmp_path, "--http-port", port, "--grpc-port=0", "--metrics-port=0"],
                                capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and f"port {port} is in use by another process" in result.stderr and "--http-port" in result.stderr, result.stderr


# Descriptors and the end.

def test_accepting_pauses_without_descriptors(tmp_path):
    add(tmp_path, "small8", identity("small8", [16], 8))
    with serve(tmp_path) as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (100, resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[1]))
        first = server.connect()
        connections = [server.connect() for _ in range(150)]
        assert until(lambda: any("no connection can be accepted" in line for line in server.lines))
        assert cpu_share(server, 1) < 0.3
        assert sum("no connection can be accepted" in line for line in server.lines) == 1
        with first, first.makefile("rb") as stream:
            first.sendall(request("GET", "/v2/health/ready"))
            assert read_answer(stream).status == "200 OK"
        for connection in connections:
            connection.close()
        assert until(lambda: server.get("/v2/health/ready").status == "200 OK", 5)
        server.check_alive()


def test_nobody_is_reset_at_the_end(tmp_path):
    """Busy clients get every answer, the last with Connection: close; idle ones see the end of the stream, and no reset."""
    add(tmp_path, "slow", identity("slow", [16], 8, "dynamic_batching { max_queue_delay_microseconds: 10000 }\n", delay_ms=20))
    add(tmp_path, "small8", identity("small8", [16], 8))
    outcomes = collections.Counter()
    with serve(tmp_path) as server:
        idle = [server.connect() for _ in range(200)]
        for connection in idle[::2]:
            connection.sendall(request("GET", "/v2/health/live"))
        streams = [connection.makefile("rb") for connection in idle]
        for stream in streams[::2]:
            assert read_answer(stream).status == "200 OK"

        def work(seed):
            numbers = random.Random(seed)
            connection = None
            while True:
                x = [float(numbers.randrange(100)) for _ in range(16)]
                if connection is None:
                    connection = http.client.HTTPConnection(server.host, server.http_port, timeout=20)
                    try:
                        connection.connect()
                    except ConnectionRefusedError:
                        return
                try:
                    connection.request("POST", "/v2/models/slow/infer", json.dumps(infer_body(data=x)))
                    answer = connection.getresponse()
                    body = json.loads(answer.read())
                except (OSError, http.client.HTTPException) as error:
                    outcomes[repr(error)] += 1
                    connection = None
                    continue
                outcomes["right" if answer.status == 200 and body["outputs"][0]["data"] == x else str(body)] += 1
                if answer.headers.get("Connection") == "close":
                    outcomes["last"] += 1
                    connection = None

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(24)]
        for thread in threads:
            thread.start()
        assert until(lambda: outcomes["right"] > 300, 20)
        server.terminate()
        for thread in threads:
            thread.join(20)
        ends = collections.Counter()
        for stream in streams:
            try:
                ends[stream.read()] += 1
            except OSError as error:
                ends[repr(error)] += 1
        assert ends == {b"": 200}
        assert set(outcomes) == {"right", "last"} and outcomes["last"] >= 20, outcomes
