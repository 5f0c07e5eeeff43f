"""The gRPC front end against the reference server's own Python client: every call, decoded with its descriptors, no unknown fields.

Runs `grpc-echo-server` (Tools/GRPCEchoServer), whose models give their inputs back; `GRPC_ECHO_SERVER` names another binary.
"""

import json
import os
import pathlib
import queue
import socket
import subprocess
import sys
import threading
import time

import pytest
from serving import BINARY as HEADROOM, until

grpc = pytest.importorskip("grpc")
np = pytest.importorskip("numpy")
tc = pytest.importorskip("tritonclient.grpc")

from google.protobuf import descriptor, json_format
from google.protobuf.unknown_fields import UnknownFieldSet
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("GRPC_ECHO_SERVER", str(pathlib.Path(HEADROOM).parent / "grpc-echo-server"))
NO_LIMIT = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

pytestmark = pytest.mark.skipif(not os.path.exists(BINARY), reason="grpc-echo-server is not built")


def filled(message_descriptor, depth=0, skip=frozenset()):
    """A message with every field set to something that is not its default (of a choice, the last)."""
    from google.protobuf import message_factory

    message = message_factory.GetMessageClass(message_descriptor)()
    D = descriptor.FieldDescriptor

    def scalar(field, salt):
        if field.enum_type is not None:
            return field.enum_type.values[-1].number
        return {
            D.CPPTYPE_BOOL: True,
            D.CPPTYPE_STRING: f"text {field.name} {salt} ü",
            D.CPPTYPE_FLOAT: 0.375 + salt,
            D.CPPTYPE_DOUBLE: 0.375 + salt,
            D.CPPTYPE_INT32: -7 - salt,
            D.CPPTYPE_INT64: -(2**40) - salt,
            D.CPPTYPE_UINT32: 2**32 - 1 - salt,
            D.CPPTYPE_UINT64: 2**64 - 1 - salt,
        }[field.cpp_type]

    for field in message_descriptor.fields:
        if field.name in skip:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            for salt in range(2):
                k = scalar(key, salt)
                if value.message_type is not None:
                    getattr(message, field.name)[k].CopyFrom(filled(value.message_type, depth + 1))
                else:
                    getattr(message, field.name)[k] = scalar(value, salt)
        elif field.message_type is not None:
            if field.label == D.LABEL_REPEATED:
                for _ in range(2):
                    getattr(message, field.name).add().CopyFrom(filled(field.message_type, depth + 1))
            else:
                getattr(message, field.name).CopyFrom(filled(field.message_type, depth + 1))
                getattr(message, field.name).SetInParent()
        elif field.label == D.LABEL_REPEATED:
            getattr(message, field.name).extend([scalar(field, salt) for salt in range(3)])
        else:
            setattr(message, field.name, scalar(field, 0))
    return message


def variants(message_descriptor):
    """`filled` messages that together set every member of every outermost choice."""
    names = max((len(o.fields) for o in message_descriptor.oneofs), default=1)
    for turn in range(names):
        skip = {f.name for o in message_descriptor.oneofs for i, f in enumerate(o.fields) if i != turn % len(o.fields)}
        yield filled(message_descriptor, skip=skip)


def assert_known(message):
    """No field that the client's descriptors do not know, at any depth."""
    assert len(UnknownFieldSet(message)) == 0, message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for inner in value.values():
                    assert_known(inner)
        elif field.label == descriptor.FieldDescriptor.LABEL_REPEATED:
            for inner in value:
                assert_known(inner)
        else:
            assert_known(value)


class Server:
    def __init__(self, *options, threads=1):
        self.process = subprocess.Popen(
            [BINARY, "0", str(threads), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = "127.0.0.1:" + self.process.stdout.readline().split()[-1]

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0


CONFIGURATIONS = list(variants(model_config_pb2.ModelConfig.DESCRIPTOR))


@pytest.fixture(scope="module")
def server():
    server = Server("--token", "secret")
    yield server
    server.stop()


@pytest.fixture
def client(server):
    with tc.InferenceServerClient(server.url) as client:
        yield client


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(server.url, NO_LIMIT) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


TOKEN = {"authorization": "Bearer secret"}


def tensor(array, name="input", kind=None):
    kind = kind or {"float32": "FP32", "int32": "INT32", "object": "BYTES"}[str(array.dtype)]
    value = tc.InferInput(name, list(array.shape), kind)
    value.set_data_from_numpy(array)
    return value


def raw_request(model="echo", datatype="FP32", shape=(1, 16), raw=(b"\0" * 64,), id="i1", **parameters):
    request = service_pb2.ModelInferRequest(model_name=model, id=id)
    request.inputs.add(name="input", datatype=datatype).shape.extend(shape)
    request.raw_input_contents.extend(raw)
    for key, value in parameters.items():
        request.parameters[key].CopyFrom(value)
    return request


def delay(milliseconds):
    return service_pb2.InferParameter(int64_param=milliseconds)


def test_health_and_metadata(client, stub):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("small8")
    assert not client.is_model_ready("nope")
    metadata = client.get_server_metadata()
    assert_known(metadata)
    assert (metadata.name, list(metadata.extensions)) == ("echo", ["statistics", "model_repository"])
    metadata = client.get_model_metadata("small8")
    assert_known(metadata)
    assert list(metadata.inputs[0].shape) == [-1, 16] and metadata.outputs[0].datatype == "FP32"
    for call in (client.get_model_metadata, client.get_model_config):
        with pytest.raises(InferenceServerException, match="Request for unknown model: 'nope' is not found") as error:
            call("nope")
        assert error.value.status() == "StatusCode.NOT_FOUND"
    with pytest.raises(grpc.RpcError) as error:
        stub.ModelReady(service_pb2.ModelReadyRequest(name="small8", version="abc"))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.value.details() == (
        "failed to get model version from specified version string 'abc' (details: stol), version should be an integral value > 0"
    )


def test_standard_health_service(server):
    with grpc.insecure_channel(server.url) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"") == b"\x08\x01"
        with pytest.raises(grpc.RpcError) as error:
            check(b"\x0a\x04nope")
        assert error.value.code() == grpc.StatusCode.NOT_FOUND
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        assert next(watch) == b"\x08\x01"
        watch.cancel()
        unknown = channel.unary_unary("/inference.GRPCInferenceService/Nope")
        with pytest.raises(grpc.RpcError) as error:
            unknown(b"")
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("number", range(len(CONFIGURATIONS)))
def test_every_field_of_a_configuration(tmp_path, number):
    expected = CONFIGURATIONS[number]
    path = tmp_path / "configuration.json"
    path.write_text(json_format.MessageToJson(expected, preserving_proto_field_name=True))
    server = Server("--configuration", str(path))
    try:
        with tc.InferenceServerClient(server.url) as client:
            answer = client.get_model_config("small8")
        assert_known(answer)
        assert answer.config == expected
    finally:
        server.stop()


def test_statistics(client):
    answer = client.get_inference_statistics("small8")
    assert_known(answer)
    model = answer.model_stats[0]
    assert (model.name, model.version, model.last_inference, model.execution_count) == ("small8", "1", 1795345431778, 3)
    assert (model.inference_stats.success.count, model.inference_stats.success.ns) == (2, 10)
    assert model.inference_stats.HasField("cache_miss")
    assert (model.batch_stats[0].batch_size, model.batch_stats[0].compute_infer.ns) == (8, 7)
    assert len(client.get_inference_statistics().model_stats) == 5
    with pytest.raises(InferenceServerException, match="requested model 'nope' is not available"):
        client.get_inference_statistics("nope")


def test_repository(client, stub):
    index = client.get_model_repository_index()
    assert_known(index)
    assert [m.name for m in index.models] == ["echo", "failing", "simulated", "slow", "small8", "unloaded"]
    assert [m.name for m in stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(ready=True)).models][-1] == "small8"
    client.load_model("echo", headers=TOKEN, config='{"a":1}', files={"file:1/model.onnx": b"\1\2\3"})
    client.unload_model("echo", headers=TOKEN, unload_dependents=True)
    with pytest.raises(InferenceServerException, match="failed to load 'nope', failed to poll from model repository") as error:
        client.load_model("nope", headers=TOKEN)
    assert error.value.status() == "StatusCode.INTERNAL"


def test_control_calls_need_the_token(client):
    calls = [
        lambda **k: client.load_model("echo", **k),
        lambda **k: client.unload_model("echo", **k),
        lambda **k: client.update_trace_settings(settings={"trace_rate": "9"}, **k),
        lambda **k: client.update_log_settings({"log_verbose_level": 1}, **k),
        lambda **k: client.register_system_shared_memory("r", "/k", 8, **k),
        lambda **k: client.unregister_system_shared_memory("r", **k),
        lambda **k: client.unregister_cuda_shared_memory("r", **k),
    ]
    for call in calls:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            with pytest.raises(InferenceServerException) as error:
                call(headers=headers)
            assert error.value.status() == "StatusCode.PERMISSION_DENIED"
        call(headers=TOKEN)


def test_shared_memory(client):
    client.register_system_shared_memory("region", "/key", 4096, offset=64, headers=TOKEN)
    status = client.get_system_shared_memory_status()
    assert_known(status)
    region = status.regions["region"]
    assert (region.name, region.key, region.offset, region.byte_size) == ("region", "/key", 64, 4096)
    client.unregister_system_shared_memory(headers=TOKEN)
    assert not client.get_system_shared_memory_status().regions
    assert not client.get_cuda_shared_memory_status().regions
    with pytest.raises(InferenceServerException) as error:
        client.register_cuda_shared_memory("c", b"aGFuZGxl", 0, 8, headers=TOKEN)
    assert error.value.status() == "StatusCode.UNIMPLEMENTED"


def test_trace_and_log_settings(client):
    settings = client.get_trace_settings()
    assert_known(settings)
    assert {k: list(v.value) for k, v in settings.settings.items()}["trace_mode"] == ["triton"]
    settings = client.update_trace_settings(
        model_name="echo", settings={"trace_rate": "17", "trace_level": ["TIMESTAMPS", "TENSORS"]}, headers=TOKEN
    )
    assert list(settings.settings["trace_level"].value) == ["TIMESTAMPS", "TENSORS"]
    assert list(settings.settings["trace_rate"].value) == ["17"]
    settings = client.update_log_settings({"log_info": False, "log_verbose_level": 3, "log_format": "ISO8601"}, headers=TOKEN)
    assert_known(settings)
    assert settings.settings["log_info"].bool_param is False
    assert settings.settings["log_verbose_level"].uint32_param == 3
    assert client.get_log_settings().settings["log_format"].string_param == "ISO8601"


@pytest.mark.parametrize("kind", ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP32", "FP64", "BYTES"])
def test_typed_contents(stub, kind):
    field, numpy_type = {
        "BOOL": ("bool", np.bool_), "UINT8": ("uint", np.uint8), "UINT16": ("uint", np.uint16), "UINT32": ("uint", np.uint32),
        "UINT64": ("uint64", np.uint64), "INT8": ("int", np.int8), "INT16": ("int", np.int16), "INT32": ("int", np.int32),
        "INT64": ("int64", np.int64), "FP32": ("fp32", np.float32), "FP64": ("fp64", np.float64), "BYTES": ("bytes", None),
    }[kind]  # fmt: skip
    if kind == "BYTES":
        values = [b"", b"one", b"\0\xff" * 300]
        expected = b"".join(len(v).to_bytes(4, "little") + v for v in values)
    else:
        low, high = (0, 1) if kind == "BOOL" else (-1.5, 2.25) if kind.startswith("FP") else (np.iinfo(numpy_type).min, np.iinfo(numpy_type).max)
        array = np.array([low, high, 1], numpy_type)
        values, expected = array.tolist(), array.tobytes()
    request = raw_request(datatype=kind, shape=(3,), raw=())
    getattr(request.inputs[0].contents, field + "_contents").extend(values)
    answer = stub.ModelInfer(request)
    assert_known(answer)
    assert answer.raw_output_contents[0] == expected and answer.outputs[0].datatype == kind and answer.id == "i1"


def test_refused_contents(stub):
    def refused(request, text, code=grpc.StatusCode.INVALID_ARGUMENT):
        with pytest.raises(grpc.RpcError) as error:
            stub.ModelInfer(request)
        assert (error.value.details(), error.value.code()) == (text, code)

    both = raw_request("small8")
    both.inputs[0].contents.fp32_contents.extend([1.0])
    refused(both, "contents field must not be specified when using raw_input_contents for 'input' for model 'small8'")
    refused(raw_request("small8", raw=()), "unable to find data for input tensor 'input' for model 'small8' in request.")
    refused(raw_request("nope"), "Request for unknown model: 'nope' is not found", grpc.StatusCode.NOT_FOUND)
    refused(raw_request("failing"), "[request id: i1] Exceeds maximum queue size – 100 %", grpc.StatusCode.UNAVAILABLE)
    wrong = raw_request("small8", raw=())
    wrong.inputs[0].contents.int_contents.extend([1])
    refused(
        wrong,
        "unexpected explicit tensor data for input tensor 'input' for model 'small8' of type 'INT32', expected datatype 'FP32'",
    )
    refused(
        raw_request(priority=service_pb2.InferParameter(string_param="x")),
        "invalid value type for 'priority' parameter, expected int64_param or uint64_param.",
    )
    # Two raw contents for one input: the second has no effect, as in the reference server.
    assert stub.ModelInfer(raw_request(raw=(b"a" * 64, b"b"))).raw_output_contents[0] == b"a" * 64
    assert stub.ModelInfer(raw_request(datatype="NOPE")).outputs[0].datatype == "<invalid>"


def test_simulated_and_shared_memory_answers(stub):
    answer = stub.ModelInfer(raw_request("simulated"))
    assert_known(answer)
    assert answer.parameters["simulated"].bool_param is True
    request = raw_request()
    output = request.outputs.add(name="output")
    output.parameters["shared_memory_region"].string_param = "r"
    output.parameters["shared_memory_byte_size"].int64_param = 64
    output.parameters["shared_memory_offset"].int64_param = 8
    answer = stub.ModelInfer(request)
    assert_known(answer)
    assert answer.outputs[0].parameters["shared_memory_region"].string_param == "r"
    assert answer.outputs[0].parameters["shared_memory_byte_size"].int64_param == 64
    assert list(answer.raw_output_contents) == [b""]


@pytest.mark.parametrize("size", [0, 1, 4095, 16379, 16384, 65536, 1 << 20, 20 << 20])
def test_sizes_both_ways(stub, size):
    data = np.random.default_rng(size).bytes(size)
    answer = stub.ModelInfer(raw_request(datatype="UINT8", shape=(size,), raw=(data,)), timeout=60)
    assert answer.raw_output_contents[0] == data


def test_several_tensors_of_mixed_sizes(stub):
    request = service_pb2.ModelInferRequest(model_name="echo", id="m")
    data = [np.random.default_rng(i).bytes(n) for i, n in enumerate([10, 100_000, 0, 20_000, 3])]
    for index, bytes_ in enumerate(data):
        request.inputs.add(name=f"t{index}", datatype="UINT8").shape.append(len(bytes_))
    request.raw_input_contents.extend(data)
    answer = stub.ModelInfer(request)
    assert_known(answer)
    assert [o.name for o in answer.outputs] == [f"t{i}" for i in range(5)] and list(answer.raw_output_contents) == data


def test_numpy_client(client):
    array = np.arange(32, dtype=np.float32).reshape(2, 16)
    result = client.infer("small8", [tensor(array)], request_id="7", priority=3, timeout=1_000_000, parameters={"own": "x"})
    assert (result.as_numpy("output") == array).all() and result.get_response().id == "7"
    assert_known(result.get_response())
    strings = np.array([[b"a", b"", "ü".encode()]], dtype=object)
    assert (client.infer("echo", [tensor(strings)]).as_numpy("output") == strings).all()


def test_a_thousand_at_once(server):
    array = np.arange(16, dtype=np.float32).reshape(1, 16)
    results = queue.Queue()
    with tc.InferenceServerClient(server.url) as client:
        for number in range(1000):
            client.async_infer(
                "slow", [tensor(array + number)], lambda result, error: results.put((result, error)), request_id=str(number),
                parameters={"delay_ms": 300},
            )  # fmt: skip
        seen = set()
        for _ in range(1000):
            result, error = results.get(timeout=30)
            assert error is None, error
            number = int(result.get_response().id)
            assert (result.as_numpy("output") == array + number).all()
            seen.add(number)
    assert len(seen) == 1000


def slow_calls(client):
    """Calls of the model `slow` that began, and that were cancelled."""
    statistics = client.get_inference_statistics("slow").model_stats[0]
    return statistics.execution_count, statistics.inference_count


def test_deadline_cancels(client, stub):
    before = slow_calls(client)
    start = time.monotonic()
    with pytest.raises(grpc.RpcError) as error:
        stub.ModelInfer(raw_request("slow", delay_ms=delay(20_000)), timeout=0.3)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED and time.monotonic() - start < 10
    # The server itself keeps the deadline: cancelled without the client's help or with it.
    assert until(lambda: slow_calls(client) == (before[0] + 1, before[1] + 1))


def test_cancellation_and_lost_connection(server, client, stub):
    began, cancelled = slow_calls(client)
    calls = [stub.ModelInfer.future(raw_request("slow", delay_ms=delay(60_000))) for _ in range(5)]
    assert until(lambda: slow_calls(client) == (began + 5, cancelled))
    for call in calls:
        call.cancel()
    assert until(lambda: slow_calls(client) == (began + 5, cancelled + 5))
    code = (
        "import sys,grpc;from tritonclient.grpc import service_pb2 as p, service_pb2_grpc as g;"
        "r=p.ModelInferRequest(model_name='slow');i=r.inputs.add(name='input',datatype='UINT8');i.shape.append(1);"
        "r.raw_input_contents.append(b'x');r.parameters['delay_ms'].int64_param=60000;"
        "g.GRPCInferenceServiceStub(grpc.insecure_channel(sys.argv[1])).ModelInfer(r)"
    )
    lost = subprocess.Popen([sys.executable, "-c", code, server.url], stderr=subprocess.DEVNULL)
    assert until(lambda: slow_calls(client)[0] == began + 6, 60)
    lost.kill()
    lost.wait()
    assert until(lambda: slow_calls(client) == (began + 6, cancelled + 6))


def streamed(client, requests, headers=None):
    """Sends (model, array, keywords) on one stream; gives the answers in the order they came."""
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)), headers=headers)
    for model, array, keywords in requests:
        client.async_stream_infer(model, [tensor(array)], **keywords)
    got = [answers.get(timeout=10) for _ in requests]
    client.stop_stream()
    return got


def test_streaming(client):
    array = np.arange(16, dtype=np.float32).reshape(1, 16)
    got = streamed(client, [("echo", array + n, {"request_id": str(n)}) for n in range(200)])
    assert all(error is None for _, error in got)
    assert [int(result.get_response().id) for result, _ in got] == list(range(200))
    assert (got[7][0].as_numpy("output") == array + 7).all()


def test_streaming_keeps_order_and_survives_errors(client):
    array = np.zeros((1, 16), np.float32)
    got = streamed(
        client,
        [
            ("slow", array, {"request_id": "late", "parameters": {"delay_ms": 300}}),
            ("nope", array, {"request_id": "wrong"}),
            ("echo", array, {"request_id": "early", "enable_empty_final_response": True}),
        ],
    )
    assert got[0][0].get_response().id == "late"
    assert "Request for unknown model: 'nope' is not found" in got[1][1].message()
    assert got[2][0].get_response().id == "early"
    assert all(got[n][0].get_response().parameters["triton_final_response"].bool_param for n in (0, 2))


def test_half_close_waits_for_answers_and_errors_keep_the_stream(stub):
    requests = [raw_request("slow", id="a", delay_ms=delay(200)), raw_request("nope", id="b"), raw_request(raw=(), id="c"), raw_request(id="d")]
    answers = list(stub.ModelStreamInfer(iter(requests)))
    for answer in answers:
        assert_known(answer)
        assert answer.infer_response.parameters["triton_final_response"].bool_param is True
    assert [(a.error_message, a.infer_response.id, a.infer_response.model_name) for a in answers] == [
        ("", "a", "slow"),
        ("Request for unknown model: 'nope' is not found", "b", "nope"),
        ("unable to find data for input tensor 'input' for model 'echo' in request.", "c", "echo"),
        ("", "d", "echo"),
    ]


def test_triton_grpc_error_ends_the_stream(stub):
    requests = [raw_request(id="a"), raw_request("nope", id="b")]
    answers = stub.ModelStreamInfer(iter(requests), metadata=[("triton_grpc_error", "true")])
    assert next(answers).infer_response.id == "a"
    with pytest.raises(grpc.RpcError) as error:
        next(answers)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_large_streamed_tensors(stub):
    data = [np.random.default_rng(n).bytes(3 << 20) for n in range(8)]
    requests = [raw_request(datatype="UINT8", shape=(len(d),), raw=(d,), id=str(n)) for n, d in enumerate(data)]
    answers = list(stub.ModelStreamInfer(iter(requests)))
    assert [a.infer_response.raw_output_contents[0] for a in answers] == data


def test_compressed_requests_are_refused(server):
    with grpc.insecure_channel(server.url) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            stub.ModelInfer(raw_request(raw=(b"\0" * 6400,)), compression=grpc.Compression.Gzip)
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert stub.ModelInfer(raw_request()).id == "i1"


def test_garbage_does_not_harm(server, stub):
    with grpc.insecure_channel(server.url) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        random = np.random.default_rng(1)
        for length in list(range(1, 60)) + [1000]:
            with pytest.raises(grpc.RpcError):
                call(random.bytes(length))
    for _ in range(5):
        with socket.create_connection(tuple(server.url.split(":"))) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + random.bytes(500))
            connection.settimeout(5)
            try:
                while connection.recv(4096):
                    pass
            except OSError:
                pass
    assert stub.ModelInfer(raw_request()).id == "i1"


def test_graceful_shutdown_answers_what_is_open():
    server = Server()
    with grpc.insecure_channel(server.url) as channel:
        call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer.future(raw_request("slow", delay_ms=delay(1500)))
        with tc.InferenceServerClient(server.url) as client:
            assert until(lambda: slow_calls(client)[0] == 1, every=0.005)
        server.process.stdin.close()
        assert call.result(timeout=10).id == "i1"
    assert server.process.wait(20) == 0


def test_tls(tmp_path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key,
         "-out", certificate, "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    server = Server("--certificate", str(certificate), "--key", str(key))
    try:
        url = "localhost:" + server.url.split(":")[1]
        with tc.InferenceServerClient(url, ssl=True, root_certificates=str(certificate)) as client:
            array = np.arange(1 << 20, dtype=np.float32).reshape(1, -1)
            assert (client.infer("echo", [tensor(array)]).as_numpy("output") == array).all()
    finally:
        server.stop()


def test_a_client_that_reads_late_gets_everything(server):
    """Answers wait for the client's window: 64 of 1 MiB on one connection, none read before all are asked for."""
    with grpc.insecure_channel(server.url, NO_LIMIT) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        data = b"x" * (1 << 20)
        calls = [stub.ModelInfer.future(raw_request(datatype="UINT8", shape=(len(data),), raw=(data,), id=str(n))) for n in range(64)]
        for number, call in enumerate(calls):
            answer = call.result(timeout=30)
            assert answer.id == str(number) and answer.raw_output_contents[0] == data
