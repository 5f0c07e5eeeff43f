"""Clients that break off, dawdle, lie and flood. After each the server is there, right, and holds no more memory than it should."""
import gzip
import json
import os
import random
import resource
import socket
import struct
import threading
import time
import zlib

import pytest
from serving import X, add, cpu_share, exchange, identity, infer_body, oracle_repository, read_answer, request, serve, until

INFER = "/v2/models/small8/infer"
BODY = request("POST", INFER, infer_body(), [("Content-Type", "application/json")])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    repository = tmp_path_factory.mktemp("robustness")
    oracle_repository(repository)
    add(repository, "wide", identity("wide", [-1], 0))
    with serve(repository) as server:
        yield server


@pytest.fixture(autouse=True)
def alive_afterwards(server):
    yield
    server.check_alive()


def open_files(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def test_clients_that_vanish_in_the_head_and_in_the_body(server):
    before = open_files(server)
    for cut in (1, 10, 30, len(BODY) // 2, len(BODY) - 1):
        for reset in (False, True):
            connection = server.connect()
            connection.sendall(BODY[:cut])
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
    assert until(lambda: open_files(server) <= before + 2)


def test_clients_that_vanish_before_and_in_the_middle_of_the_answer(server):
    before = open_files(server)
    large = infer_body(shape=[400_000], data=[0.5] * 400_000)
    data = request("POST", "/v2/models/wide/infer", large)
    for wait in (0, 0.02, 0.2):
        for _ in range(3):
            connection = server.connect()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(data)
            if wait:
                connection.settimeout(5)
                connection.recv(1000)
                time.sleep(wait)
            connection.close()
    assert until(lambda: open_files(server) <= before + 2)


def test_one_byte_at_a_time(server):
    with server.connect() as connection, connection.makefile("rb") as stream:
        for byte in BODY:
            connection.sendall(bytes([byte]))
        answer = read_answer(stream)
        assert answer.status == "200 OK" and json.loads(answer.body)["outputs"][0]["data"] == X


def test_pipelining(server):
    """Answers in the order of the requests, each its own."""
    with server.connect() as connection, connection.makefile("rb") as stream:
        requests = [request("POST", INFER, infer_body(id=str(number))) for number in range(200)]
        sender = threading.Thread(target=connection.sendall, args=(b"".join(requests),))
        sender.start()
        for number in range(200):
            answer = read_answer(stream)
            assert answer.status == "200 OK" and json.loads(answer.body)["id"] == str(number)
        sender.join()


def test_pipelining_past_errors(server):
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(request("GET", "/nope") + BODY + request("POST", INFER, b"{") + BODY)
        assert [read_answer(stream).status[:3] for _ in range(4)] == ["404", "200", "400", "200"]


def test_half_closed_connections_get_their_answer(server):
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(BODY)
        connection.shutdown(socket.SHUT_WR)
        assert read_answer(stream).status == "200 OK"
        assert stream.read() == b""


def test_what_was_pipelined_before_the_end_is_answered(server):
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(BODY * 3)
        connection.shutdown(socket.SHUT_WR)
        assert [read_answer(stream).status for _ in range(3)] == ["200 OK"] * 3
        assert stream.read() == b""


def test_expect_100_continue(server):
    with server.connect() as connection, connection.makefile("rb") as stream:
        head, _, body = BODY.partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        connection.settimeout(1)
        try:
            first = read_answer(stream)
            assert first.status.startswith("100")
        except TimeoutError:
            pytest.fail("no 100 Continue within a second: curl waits that long with every large body")
        connection.settimeout(20)
        connection.sendall(body)
        assert read_answer(stream).status == "200 OK"


def test_ten_thousand_idle_connections(server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10_000
    if hard != resource.RLIM_INFINITY and hard < wanted + 500:
        pytest.skip(f"the limit on open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 500), hard))
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (max(soft, wanted + 500), hard))
    before = server.status_kilobytes("VmRSS")
    connections = []
    try:
        for _ in range(wanted):
            connections.append(server.connect())
        assert until(lambda: open_files(server) >= wanted, 30)
        server.check_alive()
        grown = server.status_kilobytes("VmRSS") - before
        assert grown < 400_000, f"{grown} kB for {wanted} idle connections"
        # Idle means idle.
        assert cpu_share(server, 1) < 0.2
        for connection in connections[::100]:
            connection.sendall(request("GET", "/v2/health/ready"))
        for connection in connections[::100]:
            with connection.makefile("rb") as stream:
                assert read_answer(stream).status == "200 OK"
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert until(lambda: open_files(server) < 200, 30)


def test_bodies_over_the_limit(server):
    """Said to be too large: refused before it is sent. Turning out too large: cut off. Memory stays."""
    before = server.status_kilobytes("VmHWM")
    for length in ("100000000", "99999999999999", "18446744073709551616", "-1"):
        with server.connect() as connection, connection.makefile("rb") as stream:
            connection.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{{".encode())
            answer = read_answer(stream)
            assert answer.closed or answer.status[:3] in ("400", "413"), answer
    with server.connect(timeout=30) as connection, connection.makefile("rb") as stream:
        connection.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        block = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        try:
            for _ in range(200):
                connection.sendall(block)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            answer = read_answer(stream)
            assert answer.closed or answer.status[:3] in ("400", "413"), answer
        except ConnectionResetError:
            pass
    assert server.status_kilobytes("VmHWM") - before < 300_000


def test_heads_over_the_limit(server):
    before = server.status_kilobytes("VmHWM")
    for data in (
        b"GET /" + b"a" * 20_000_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nX: " + b"a" * 20_000_000 + b"\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n" + b"X: a\r\n" * 3_000_000 + b"\r\n",
    ):
        with server.connect() as connection, connection.makefile("rb") as stream:
            try:
                connection.sendall(data)
                answer = read_answer(stream)
                assert answer.closed or answer.status[:3] in ("400", "413", "414", "431"), answer
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert server.status_kilobytes("VmHWM") - before < 150_000


@pytest.mark.parametrize("coding, pack", [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_bombs(server, coding, pack):
    """A small body that unpacks to 2 GB stops at the limit of a body."""
    before = server.status_kilobytes("VmHWM")
    # 16 MB packed once, ended so that it stands for itself, 128 times; the checksum behind it all is never reached.
    block = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = block.compress(b" " * (1 << 24)) + block.flush(zlib.Z_FULL_FLUSH)
    start = b"\x1f\x8b\x08" + bytes(6) + b"\xff" if coding == "gzip" else b"\x78\xda"
    bomb = start + packed * 128 + b"\x03\x00" + bytes(8)
    assert len(bomb) < 4_000_000
    unpacking = zlib.decompressobj(31 if coding == "gzip" else 15)
    assert len(unpacking.decompress(bomb[:len(bomb) // 20], 200_000_000)) > 100_000_000
    answer = exchange(server, request("POST", INFER, bomb, [("Content-Encoding", coding)]), timeout=60)
    assert answer.closed or answer.status[:3] in ("400", "413"), answer
    assert server.status_kilobytes("VmHWM") - before < 400_000
    # Torn and false ones.
    good = pack(json.dumps(infer_body()).encode())
    for data in (good[:-5], good[:10], b"nonsense", good + b"more", b""):
        answer = exchange(server, request("POST", INFER, data, [("Content-Encoding", coding)]))
        assert answer.closed or answer.status[:3] == "400" or data == good + b"more", answer


def test_deep_and_long_json(server):
    for body in (
        b"[" * 1_000_000, b'{"inputs":' * 100_000, b'{"a":' + b"1" * 1_000_000 + b"}", b'{"inputs":[{"shape":[1e999,-0.0]}]}',
        b'{"' + b"\\u0000" * 100_000 + b'":1}', b'{"id":"\xff\xfe"}', b'{"id":"\\ud800"}', b"\xef\xbb\xbf{}", b"", b"null",
        b'{"inputs":[' + b'{"name":"input","shape":[1,16],"datatype":"FP32","data":[]},' * 20_000 + b"{}]}",
    ):
        answer = exchange(server, request("POST", INFER, body))
        assert answer.status[:3] == "400", (body[:40], answer)
        assert json.loads(answer.body)["error"]


def test_shapes_that_lie(server):
    for shape in ([2**63 - 1, 16], [2**32, 2**32], [0, 16], [2**62, 4], [1] * 10_000, [2**64], [1.5, 16], [True, 16], ["1", 16], []):
        answer = exchange(server, request("POST", INFER, infer_body(shape=shape)))
        assert answer.status[:3] == "400", (str(shape)[:60], answer)
    answer = exchange(server, request("POST", "/v2/models/wide/infer", infer_body(shape=[2**40], data=X)))
    assert answer.status[:3] == "400", answer


@pytest.mark.parametrize("seed", range(5))
def test_garbage(server, seed):
    """Bytes at random, and good requests with bytes changed at random, over HTTP, gRPC and the metrics port."""
    numbers = random.Random(seed)
    for port in (server.http_port, server.grpc_port, server.metrics_port):
        for _ in range(40):
            data = bytearray(numbers.randbytes(numbers.randrange(1, 3000)) if numbers.random() < 0.3 else BODY)
            if port == server.grpc_port and numbers.random() < 0.7:
                data = bytearray(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + data
            for _ in range(numbers.randrange(1, 6)):
                data[numbers.randrange(len(data))] = numbers.randrange(256)
            with server.connect(port) as connection:
                try:
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(5)
                    while connection.recv(65536):
                        pass
                except (ConnectionError, OSError) as error:
                    assert not isinstance(error, TimeoutError), "the connection hangs"


def test_requests_smuggled_by_two_lengths(server):
    for lines in ("Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nTransfer-Encoding: chunked",
                  "Transfer-Encoding: chunked, identity"):
        with server.connect() as connection, connection.makefile("rb") as stream:
            connection.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n0\r\n\r\nGET /v2 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = read_answer(stream)
            assert answer.closed or answer.status[:3] == "400", (lines, answer)


def test_slow_readers_do_not_hold_up_others(server):
    """A client that asks for much and reads nothing: its answers wait in bounded memory."""
    data = request("POST", "/v2/models/wide/infer", infer_body(shape=[100_000], data=[0.125] * 100_000))
    before = server.status_kilobytes("VmRSS")
    slow = []
    for _ in range(4):
        connection = server.connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        sent = 0
        deadline = time.monotonic() + 2
        while sent < 100 * len(data) and time.monotonic() < deadline:
            try:
                sent += connection.send((data * 2)[sent % len(data):])
            except BlockingIOError:
                time.sleep(0.01)
        slow.append(connection)
    start = time.monotonic()
    server.check_alive()
    assert time.monotonic() - start < 2
    assert server.status_kilobytes("VmRSS") - before < 400_000
    for connection in slow:
        connection.close()


def test_slow_writers_do_not_hold_up_others(server):
    slow = [server.connect() for _ in range(200)]
    for connection in slow:
        connection.sendall(BODY[:60])
    start = time.monotonic()
    for _ in range(20):
        server.check_alive()
    assert time.monotonic() - start < 5
    for connection in slow:
        connection.sendall(BODY[60:])
    for connection in slow:
        with connection, connection.makefile("rb") as stream:
            assert read_answer(stream).status == "200 OK"


def test_streams_of_grpc_that_are_reset(server):
    """HTTP/2's rapid reset (CVE-2023-44487): streams opened and reset by the thousand."""

    def frame(kind, flags, stream, payload=b""):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    headers = b"\x83\x86\x44\x01\x2f\x41\x01\x78"  # POST, http, path "/", authority "x"
    with server.connect(server.grpc_port) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0))
        try:
            for start in range(1, 40_000, 2):
                connection.sendall(frame(1, 4, start, headers) + frame(3, 0, start, struct.pack(">I", 8)))
        except (BrokenPipeError, ConnectionResetError):
            pass


def test_memory_after_all_of_this(server):
    """Whatever went before, plain requests leave memory where it is."""
    for _ in range(500):
        exchange(server, BODY)
    before = server.status_kilobytes("VmRSS")
    for _ in range(3000):
        assert exchange(server, BODY).status == "200 OK"
    assert server.status_kilobytes("VmRSS") - before < 20_000
