"""tritonclient 2.50.0 as it is, against our server: every call it has, and outputs as onnxruntime computes them."""
import asyncio
import json
import pathlib
import queue
import signal
import socket
import struct
import subprocess
import threading
import time

import numpy
import onnx
import onnxruntime
import pytest
from serving import BINARY, HEADS, ROOT, X, add, export, identity, onnx_repository, require_serve, serve, skip_loudly, slow_batching, until

tritonclient = pytest.importorskip("tritonclient")
import tritonclient.grpc as grpcclient  # noqa: E402
import tritonclient.grpc.aio as grpcaio  # noqa: E402
import tritonclient.http as httpclient  # noqa: E402
import tritonclient.http.aio as httpaio  # noqa: E402
from tritonclient.utils import InferenceServerException, np_to_triton_dtype, shared_memory  # noqa: E402

BATCHING = "dynamic_batching { preferred_batch_size: [4, 8] max_queue_delay_microseconds: 20000 }\n"
# In the order of tritonclient's own tables.
TYPES = {
    "BOOL": numpy.bool_, "INT8": numpy.int8, "INT16": numpy.int16, "INT32": numpy.int32, "INT64": numpy.int64, "UINT8": numpy.uint8,
    "UINT16": numpy.uint16, "UINT32": numpy.uint32, "UINT64": numpy.uint64, "FP16": numpy.float16, "FP32": numpy.float32,
    "FP64": numpy.float64, "STRING": numpy.object_,
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tritonclient")
    onnx_repository(folder, BATCHING)
    add(folder, "small8", identity("small8", [16], 8, BATCHING))
    # A size limit: without any policy Triton hands two batches ahead to the instance, which nothing takes back.
    add(folder, "slow", identity("slow", [16], 1, slow_batching(size=100), delay_ms=1000))
    for name in TYPES:
        add(folder, f"any_{name}", identity(f"any_{name}", [-1], 8, data_type=f"TYPE_{name}"))
    return folder


@pytest.fixture(scope="module")
def server(repository):
    with serve(repository, "--model-control-mode", "explicit", "--load-model", "*", "--allow-client-shm", "true") as server:
        yield server


@pytest.fixture(scope="module")
def http(server):
    with httpclient.InferenceServerClient(server.http, concurrency=8) as client:
        yield client


@pytest.fixture(scope="module")
def grpc(server):
    with grpcclient.InferenceServerClient(server.grpc) as client:
        yield client


@pytest.fixture(params=["http", "grpc"])
def client(request):
    return request.getfixturevalue(request.param)


def module(client):
    return httpclient if isinstance(client, httpclient.InferenceServerClient) else grpcclient


def given(module, name, array, **options):
    tensor = module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array, **options)
    return tensor


def as_list(metadata):
    """Inputs of the metadata, the same from both protocols: name, type, shape."""
    if isinstance(metadata, dict):
        return [(i["name"], i["datatype"], [int(size) for size in i["shape"]]) for i in metadata["inputs"]]
    return [(i.name, i.datatype, list(i.shape)) for i in metadata.inputs]


def feeds(metadata, rows, seed):
    random = numpy.random.default_rng(seed)
    result = {}
    for name, datatype, shape in as_list(metadata):
        shape = [rows] + [8 if size < 0 else size for size in shape[1:]]
        if datatype == "INT64":
            result[name] = random.integers(0, 2 if "mask" in name else 50, shape, dtype=numpy.int64)
        else:
            result[name] = random.uniform(-1, 1, shape).astype(numpy.float32)
    return result


def reference(repository, model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(repository / model / "1/model.onnx"), options, providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, feeds)))


def assert_close(expected, result):
    for name, theirs in expected.items():
        ours = result.as_numpy(name)
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        assert numpy.linalg.norm(theirs) > 0.01
        assert numpy.linalg.norm(ours - theirs) / numpy.linalg.norm(theirs) < 1e-5


# Outputs


@pytest.mark.parametrize("rows", [1, 7])
@pytest.mark.parametrize("model", HEADS)
def test_outputs_are_onnxruntimes(client, repository, model, rows):
    data = feeds(client.get_model_metadata(model), rows, 1)
    inputs = [given(module(client), name, array) for name, array in data.items()]
    assert_close(reference(repository, model, data), client.infer(model, inputs))


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_binary_and_json(http, repository, binary_in, binary_out):
    data = feeds(http.get_model_metadata("linear"), 3, 2)
    inputs = [given(httpclient, name, array, binary_data=binary_in) for name, array in data.items()]
    expected = reference(repository, "linear", data)
    outputs = [httpclient.InferRequestedOutput(name, binary_data=binary_out) for name in expected]
    assert_close(expected, http.infer("linear", inputs, outputs=outputs))


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compression(http, compression):
    array = numpy.array([X], numpy.float32)
    result = http.infer(
        "small8", [given(httpclient, "input", array)], request_compression_algorithm=compression,
        response_compression_algorithm=compression)
    assert (result.as_numpy("output") == array).all()


def test_grpc_compression(grpc):
    array = numpy.array([X], numpy.float32)
    result = grpc.infer("small8", [given(grpcclient, "input", array)], compression_algorithm="gzip")
    assert (result.as_numpy("output") == array).all()


@pytest.mark.parametrize("name", TYPES)
def test_every_type_goes_through(client, name):
    kind = TYPES[name]
    if name == "STRING":
        array = numpy.array([[b"a", b"", b"\x00\xff", "Grüße".encode(), b"x" * 5000]], dtype=numpy.object_)
    elif name == "BOOL":
        array = numpy.array([[True, False, True]])
    elif kind in (numpy.float16, numpy.float32, numpy.float64):
        limits = numpy.finfo(kind)
        array = numpy.array([[0, -0.0, 1 / 3, limits.max, limits.min, limits.tiny]], dtype=kind)
    else:
        limits = numpy.iinfo(kind)
        array = numpy.array([[0, 1, limits.max, limits.min]], dtype=kind)
    assert (client.infer(f"any_{name}", [given(module(client), "input", array)]).as_numpy("output") == array).all()


@pytest.mark.parametrize("name", [name for name in TYPES if name != "STRING"])
def test_every_type_goes_through_as_json(http, name):
    kind = TYPES[name]
    array = numpy.array([[0, 1, 1, 0, 1]], dtype=kind)
    if kind == numpy.float16:
        # tritonclient itself refuses to write FP16 as JSON; a raw request does not.
        body = {"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP16", "data": [0.5, -2.0, 65504.0]}]}
        answer = http._post("v2/models/any_FP16/infer", json.dumps(body).encode(), None, None)
        assert json.loads(answer.read())["outputs"][0]["data"] == [0.5, -2.0, 65504.0]
        return
    tensor = given(httpclient, "input", array, binary_data=False)
    result = http.infer(f"any_{name}", [tensor], outputs=[httpclient.InferRequestedOutput("output", binary_data=False)])
    assert (result.as_numpy("output") == array).all()


def test_classification(client):
    array = numpy.array([X, X[::-1]], numpy.float32)
    requested = module(client).InferRequestedOutput("output", class_count=3)
    result = client.infer("small8", [given(module(client), "input", array)], outputs=[requested]).as_numpy("output")
    assert result.shape == (2, 3)
    assert [text.decode() for text in result[0]] == ["15.000000:15", "14.000000:14", "13.000000:13"]
    assert [text.decode() for text in result[1]] == ["15.000000:0", "14.000000:1", "13.000000:2"]


# The other ways to call


def test_asyncio_http(server, repository):
    async def body():
        async with httpaio.InferenceServerClient(server.http) as client:
            assert await client.is_server_live() and await client.is_model_ready("linear")
            data = feeds(await client.get_model_metadata("linear"), 2, 3)
            inputs = [given(httpclient, name, array) for name, array in data.items()]
            results = await asyncio.gather(*[client.infer("linear", inputs) for _ in range(40)])
            for result in results:
                assert_close(reference(repository, "linear", data), result)

    asyncio.run(body())


def test_asyncio_grpc(server, repository):
    async def body():
        async with grpcaio.InferenceServerClient(server.grpc) as client:
            assert await client.is_server_ready()
            data = feeds(await client.get_model_metadata("linear"), 2, 3)
            inputs = [given(grpcclient, name, array) for name, array in data.items()]
            results = await asyncio.gather(*[client.infer("linear", inputs) for _ in range(40)])
            for result in results:
                assert_close(reference(repository, "linear", data), result)

    asyncio.run(body())


def test_asyncio_grpc_stream(server):
    async def body():
        async def requests():
            for number in range(20):
                array = numpy.full((1, 16), number, numpy.float32)
                yield {"model_name": "small8", "inputs": [given(grpcclient, "input", array)], "request_id": str(number)}

        async with grpcaio.InferenceServerClient(server.grpc) as client:
            seen = []
            async for result, error in client.stream_infer(requests()):
                assert error is None
                assert result.as_numpy("output")[0, 0] == float(result.get_response().id)
                seen.append(result.get_response().id)
            assert sorted(seen, key=int) == [str(number) for number in range(20)]

    asyncio.run(body())


def test_async_infer_over_gevent(server):
    """tritonclient's own asynchronous HTTP calls are greenlets."""
    with httpclient.InferenceServerClient(server.http, concurrency=16) as client:
        pending = []
        for number in range(64):
            array = numpy.full((1, 16), number, numpy.float32)
            pending.append((array, client.async_infer("small8", [given(httpclient, "input", array)])))
        for array, call in pending:
            assert (call.get_result().as_numpy("output") == array).all()


def test_async_infer_over_grpc(grpc):
    results = queue.Queue()
    for number in range(64):
        array = numpy.full((1, 16), number, numpy.float32)
        grpc.async_infer(
            "small8", [given(grpcclient, "input", array)], lambda result, error, number=number: results.put((number, result, error)))
    for _ in range(64):
        number, result, error = results.get(timeout=20)
        assert error is None and (result.as_numpy("output") == number).all()


def test_streaming(server):
    results = queue.Queue()
    with grpcclient.InferenceServerClient(server.grpc) as client:
        client.start_stream(lambda result, error: results.put((result, error)))
        for number in range(50):
            array = numpy.full((1, 16), number, numpy.float32)
            client.async_stream_infer("small8", [given(grpcclient, "input", array)], request_id=str(number))
        seen = []
        for _ in range(50):
            result, error = results.get(timeout=20)
            assert error is None
            seen.append(int(result.get_response().id))
            assert result.as_numpy("output")[0, 0] == seen[-1]
        assert sorted(seen) == list(range(50))
        # An error is one answer of the stream, not its end.
        client.async_stream_infer("nope", [given(grpcclient, "input", array)])
        result, error = results.get(timeout=20)
        assert result is None and "nope" in str(error)
        client.async_stream_infer("small8", [given(grpcclient, "input", array)], request_id="last")
        result, error = results.get(timeout=20)
        assert error is None and result.get_response().id == "last"
        client.stop_stream()


def test_errors_are_the_clients_exceptions(client):
    array = numpy.zeros((1, 15), numpy.float32)
    with pytest.raises(InferenceServerException, match="unexpected shape for input 'input'"):
        client.infer("small8", [given(module(client), "input", array)])
    with pytest.raises(InferenceServerException, match="unknown model: 'nope'"):
        client.infer("nope", [given(module(client), "input", array)])


# Shared memory


def test_system_shared_memory(client):
    array = numpy.arange(32, dtype=numpy.float32).reshape(2, 16)
    name = f"headroom_{module(client).__name__.split('.')[-1]}"
    size = array.nbytes
    region = shared_memory.create_shared_memory_region(name, f"/{name}", 2 * size)
    try:
        shared_memory.set_shared_memory_region(region, [array])
        client.register_system_shared_memory(name, f"/{name}", 2 * size)
        status = client.get_system_shared_memory_status()
        regions = {r["name"]: r for r in status} if isinstance(status, list) else status.regions
        assert name in regions
        tensor = module(client).InferInput("input", [2, 16], "FP32")
        tensor.set_shared_memory(name, size)
        requested = module(client).InferRequestedOutput("output")
        requested.set_shared_memory(name, size, offset=size)
        client.infer("small8", [tensor], outputs=[requested])
        assert (shared_memory.get_contents_as_numpy(region, numpy.float32, [2, 16], offset=size) == array).all()
        for bad_size, bad_offset in ((size, 2 * size), (4 * size, 0), (size, 2**63 - 1)):
            tensor.set_shared_memory(name, bad_size, offset=bad_offset)
            with pytest.raises(InferenceServerException):
                client.infer("small8", [tensor])
        client.unregister_system_shared_memory(name)
        tensor.set_shared_memory(name, size)
        with pytest.raises(InferenceServerException, match="Unable to find shared memory region"):
            client.infer("small8", [tensor])
    finally:
        client.unregister_system_shared_memory(name)
        shared_memory.destroy_shared_memory_region(region)


def test_shared_memory_is_off_unless_allowed(repository):
    with serve(repository, "--model-control-mode", "explicit", "--load-model", "small8") as server:
        with httpclient.InferenceServerClient(server.http) as client, pytest.raises(InferenceServerException):
            client.register_system_shared_memory("x", "/x", 64)


# Everything else it can ask


def test_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("small8") and not client.is_model_ready("nope")
    assert client.is_model_ready("small8", "1") and not client.is_model_ready("small8", "7")
    server = client.get_server_metadata()
    assert (server["name"] if isinstance(server, dict) else server.name) in ("headroom", "triton")
    assert as_list(client.get_model_metadata("small8")) == [("input", "FP32", [-1, 16])]


def test_configuration(http, grpc):
    ours = http.get_model_config("small8")
    assert ours["max_batch_size"] == 8 and ours["dynamic_batching"]["preferred_batch_size"] == [4, 8]
    message = grpc.get_model_config("small8").config
    assert message.max_batch_size == 8 and list(message.dynamic_batching.preferred_batch_size) == [4, 8]
    assert message.dynamic_batching.max_queue_delay_microseconds == 20_000
    # What a model says about itself completes its configuration.
    completed = http.get_model_config("linear")
    assert completed["input"][0]["dims"] and completed["output"][0]["data_type"] == "TYPE_FP32"


def counts(client, model):
    stats = client.get_inference_statistics(model)
    if isinstance(stats, dict):
        one = stats["model_stats"][0]
        batches = {int(batch["batch_size"]): int(batch["compute_infer"]["count"]) for batch in one["batch_stats"]}
        numbers = (one["inference_count"], one["execution_count"], one["inference_stats"]["success"]["count"],
                   one["inference_stats"]["fail"]["count"])
        return (*map(int, numbers), batches)
    one = stats.model_stats[0]
    return (one.inference_count, one.execution_count, one.inference_stats.success.count, one.inference_stats.fail.count,
            {b.batch_size: b.compute_infer.count for b in one.batch_stats})


def test_statistics(client, http, grpc):
    before = counts(client, "any_INT32")
    array = numpy.zeros((3, 4), numpy.int32)
    for _ in range(5):
        client.infer("any_INT32", [given(module(client), "input", array)])
    after = until(lambda: (value := counts(client, "any_INT32"))[2] == before[2] + 5 and value)
    assert after, counts(client, "any_INT32")
    assert after[0] == before[0] + 15 and after[1] == before[1] + 5 and after[3] == before[3]
    assert after[4][3] == before[4].get(3, 0) + 5
    assert counts(http, "any_INT32") == counts(grpc, "any_INT32")


def test_concurrent_requests_share_batches(server, http):
    before = counts(http, "small8")
    failures = []

    def one(number):
        try:
            with httpclient.InferenceServerClient(server.http) as client:
                for round in range(20):
                    array = numpy.full((1, 16), 1000 * number + round, numpy.float32)
                    assert (client.infer("small8", [given(httpclient, "input", array)]).as_numpy("output") == array).all()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    after = until(lambda: (value := counts(http, "small8"))[0] == before[0] + 320 and value)
    assert after, counts(http, "small8")
    assert after[1] - before[1] <= 160
    assert max(after[4]) in (4, 8)


def test_repository_control(client):
    index = client.get_model_repository_index()
    names = {m["name"]: m["state"] for m in index} if isinstance(index, list) else {m.name: m.state for m in index.models}
    assert names["any_UINT8"] == "READY"
    client.unload_model("any_UINT8")
    assert until(lambda: not client.is_model_ready("any_UINT8"))
    client.load_model("any_UINT8")
    assert until(lambda: client.is_model_ready("any_UINT8"))
    with pytest.raises(InferenceServerException):
        client.load_model("nope")


def test_load_with_a_configuration_of_the_callers(client, http):
    configuration = http.get_model_config("any_INT8")
    client.load_model("any_INT8", config=json.dumps({**configuration, "max_batch_size": 3}))
    assert http.get_model_config("any_INT8")["max_batch_size"] == 3
    client.load_model("any_INT8", config=json.dumps(configuration))
    assert http.get_model_config("any_INT8")["max_batch_size"] == 8


def test_load_with_a_file_of_the_callers(client, repository):
    content = (repository / "linear/1/model.onnx").read_bytes()
    name = f"sent_{module(client).__name__.split('.')[-1]}"
    configuration = json.dumps({"name": name, "backend": "onnxruntime", "max_batch_size": 4})
    client.load_model(name, config=configuration, files={"file:1/model.onnx": content})
    data = feeds(client.get_model_metadata(name), 2, 4)
    result = client.infer(name, [given(module(client), key, array) for key, array in data.items()])
    assert_close(reference(repository, "linear", data), result)
    client.unload_model(name)


def test_a_sent_models_weights_stay_in_its_folder(client):
    """Of a model that only ONNX Runtime could run: it would open whatever file the model names."""
    weights = onnx.TensorProto(name="w", data_type=onnx.TensorProto.UINT8, dims=[16], data_location=onnx.TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value="/etc/passwd")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "w"], ["y"])], "g", [value("x", onnx.TensorProto.UINT8, [16])],
        [value("y", onnx.TensorProto.UINT8, [16])], [weights])
    content = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    with pytest.raises(InferenceServerException, match="must lie in the model's folder"):
        client.load_model("secret", config=json.dumps({"backend": "onnxruntime"}), files={"file:1/model.onnx": content})
    assert not client.is_model_ready("secret")


def test_trace_settings(client):
    first = client.get_trace_settings()
    text = json.dumps(first) if isinstance(first, dict) else str(first)
    for key in ("trace_level", "trace_rate", "trace_count", "log_frequency", "trace_file"):
        assert key in text
    client.update_trace_settings("small8", {"trace_rate": "3"})
    one = client.get_trace_settings("small8", as_json=True) if module(client) is grpcclient else client.get_trace_settings("small8")
    assert "3" in json.dumps(one)
    client.update_trace_settings("small8", {"trace_rate": None})


def test_log_settings(client):
    changed = client.update_log_settings({"log_verbose_level": 1})
    assert "1" in (json.dumps(changed) if isinstance(changed, dict) else str(changed))
    client.update_log_settings({"log_verbose_level": 0})
    assert "log_info" in (json.dumps(client.get_log_settings()) if module(client) is httpclient else str(client.get_log_settings()))


# Cancellation, the end, and models that come and go


def test_a_cancelled_call_is_not_run(server):
    with grpcclient.InferenceServerClient(server.grpc) as client:
        before = counts(client, "slow")
        array = numpy.array([X], numpy.float32)
        results = queue.Queue()
        inputs = [given(grpcclient, "input", array)]
        calls = [client.async_infer("slow", inputs, lambda result, error: results.put((result, error)))]
        assert server.is_at_work("slow")
        calls += [client.async_infer("slow", inputs, lambda result, error: results.put((result, error))) for _ in range(3)]
        assert server.is_at_work("slow", queued=3)
        for call in calls[1:]:
            call.cancel()
        outcomes = [results.get(timeout=10) for _ in calls]
        assert sum(error is None for _, error in outcomes) == 1
        # Whatever still waited would run before this one.
        client.infer("slow", inputs)
        assert until(lambda: counts(client, "slow")[1] >= before[1] + 2)
        assert counts(client, "slow")[1] == before[1] + 2


def test_a_client_that_hangs_up_is_not_run(server, http):
    import serving

    before = counts(http, "slow")
    data = serving.request("POST", "/v2/models/slow/infer", serving.infer_body())
    first, second = server.connect(), server.connect()
    first.sendall(data)
    assert server.is_at_work("slow")
    second.sendall(data)
    assert server.is_at_work("slow", queued=1)
    # A reset: a mere end of the stream may come from a client that still reads.
    second.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    second.close()
    with first, first.makefile("rb") as stream:
        assert serving.read_answer(stream).status == "200 OK"
    # Whatever still waited would run before this one.
    assert serving.exchange(server, data).status == "200 OK"
    assert until(lambda: counts(http, "slow")[1] >= before[1] + 2)
    assert counts(http, "slow")[1] == before[1] + 2


class Traffic:
    """Clients that send until they are told to stop and note each answer."""

    def __init__(self, server, model="small8", clients=8, protocol="http"):
        self.answers, self.failures, self.stop = 0, [], threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._one, args=(server, model, protocol)) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _one(self, server, model, protocol):
        kind = httpclient if protocol == "http" else grpcclient
        array = numpy.array([X], numpy.float32)
        inputs = [given(kind, "input", array)]
        with kind.InferenceServerClient(server.http if protocol == "http" else server.grpc) as client:
            while not self.stop.is_set():
                try:
                    good = (client.infer(model, inputs).as_numpy("output") == array).all()
                    with self.lock:
                        self.answers += bool(good)
                        if not good:
                            self.failures.append("wrong")
                except Exception as error:
                    with self.lock:
                        self.failures.append(f"{type(error).__name__}: {error}")
                    if self.stop.is_set() or "refused" in str(error) or "onnect" in str(error):
                        return

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_sigterm_under_load_loses_no_accepted_request(repository, protocol):
    """What was accepted is answered; what comes later is told UNAVAILABLE or finds nobody; the exit code is 0."""
    with serve(repository, "--model-control-mode", "explicit", "--load-model", "small8") as server:
        traffic = Traffic(server, protocol=protocol)
        assert until(lambda: traffic.answers > 100 or traffic.failures, 30)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(40)
        traffic.end()
        assert traffic.answers > 100
        fine = ("refused", "Connection", "onnect", "stopping", "UNAVAILABLE", "closed", "unavailable", "GOAWAY", "503")
        odd = {failure for failure in traffic.failures if not any(word in failure for word in fine) or "ncomplete" in failure}
        assert not odd


def test_sigterm_answers_what_is_running_and_queued(repository):
    import serving

    with serve(repository, "--model-control-mode", "explicit", "--load-model", "slow") as server:
        connections = [server.connect() for _ in range(4)]
        for connection in connections:
            connection.sendall(serving.request("POST", "/v2/models/slow/infer", serving.infer_body()))
        assert server.is_at_work("slow", queued=3)
        server.process.send_signal(signal.SIGTERM)
        for connection in connections:
            with connection, connection.makefile("rb") as stream:
                assert serving.read_answer(stream).status == "200 OK"


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_reload_under_traffic_loses_no_request(server, http, protocol):
    traffic = Traffic(server, protocol=protocol)
    for _ in range(10):
        seen = traffic.answers
        assert until(lambda: traffic.answers > seen + 10 or traffic.failures, 30)
        http.load_model("small8")
    traffic.end()
    assert traffic.answers > 100 and not traffic.failures


def test_another_version_comes_in_under_traffic(repository, tmp_path):
    """Polling: a new version takes over, the old one goes, and no request is lost."""
    add(tmp_path, "small8", identity("small8", [16], 8, BATCHING))
    with serve(tmp_path, "--model-control-mode", "poll", "--repository-poll-secs", "1") as server:
        traffic = Traffic(server)
        assert until(lambda: traffic.answers > 50 or traffic.failures, 30)
        add(tmp_path, "small8", None, version="2")
        with httpclient.InferenceServerClient(server.http) as client:
            assert until(lambda: client.is_model_ready("small8", "2"), 15)
            assert until(lambda: not client.is_model_ready("small8", "1"), 15)
        traffic.end()
        assert traffic.answers > 100 and not traffic.failures


def test_models_named_on_the_command_line(tmp_path, repository):
    (tmp_path / "empty").mkdir()
    model = export("linear", tmp_path / "head.onnx")
    with serve(tmp_path / "empty", "--model", f"head={model}") as server, httpclient.InferenceServerClient(server.http) as client:
        data = feeds(client.get_model_metadata("head"), 2, 5)
        result = client.infer("head", [given(httpclient, name, array) for name, array in data.items()])
        assert_close(reference(repository, "linear", data), result)


def test_a_simulated_device_says_so(tmp_path):
    add(tmp_path, "linear", 'name: "linear"\nbackend: "onnxruntime"\nmax_batch_size: 16\n')
    export("linear", tmp_path / "linear/1/model.onnx")
    with serve(tmp_path, "--device", "sim:rtx-pro-6000") as server:
        body = {"inputs": [{"name": "x", "shape": [1, 32], "datatype": "FP32", "data": [0.0] * 32}]}
        metadata = json.loads(server.get("/v2/models/linear").body)
        body["inputs"][0]["name"] = metadata["inputs"][0]["name"]
        answer = server.post("/v2/models/linear/infer", body)
        assert answer.status == "200 OK"
        assert "simulated" in (json.dumps(answer.headers) + answer.body.decode()).lower()


def test_onnx_operators_outside_the_graph(tmp_path):
    """Convolution and strings go through ONNX Runtime, where it is there (Scripts/fetch-onnxruntime)."""
    library = next(pathlib.Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"), None)
    if library is None:
        skip_loudly("onnxruntime's wheel holds no library")
    data = ROOT / "Tests/Data/onnxruntime"
    for name in ("conv", "topk", "strings"):
        add(tmp_path, name, f'name: "{name}"\nbackend: "onnxruntime"\nmax_batch_size: 4\n', model=data / f"{name}.onnx")
    with serve(tmp_path, environment={"HEADROOM_ONNXRUNTIME": str(library)}) as server:
        with httpclient.InferenceServerClient(server.http) as client:
            image = numpy.arange(32, dtype=numpy.float32).reshape(2, 1, 4, 4)
            result = client.infer("conv", [given(httpclient, "x", image)])
            assert_close(reference(tmp_path, "conv", {"x": image}), result)
            texts = numpy.array([[b"a", b"", "Grüße".encode()]], dtype=numpy.object_)
            turned = client.infer("strings", [given(httpclient, "texts", texts)]).as_numpy("turned")
            assert turned.tolist() == [["Grüße".encode(), b"a", b""]]
            result = client.infer("topk", [given(httpclient, "x", numpy.array([[3, 9, 5]], numpy.float32))])
            assert result.as_numpy("indices").tolist() == [[1, 2]]


def test_usage_errors_are_64():
    require_serve()
    for arguments in (["--http-port", "x"], ["--nope"]):
        result = subprocess.run([BINARY, "serve", *arguments], capture_output=True, text=True, timeout=30)
        assert result.returncode == 64 and result.stderr
