"""Every gRPC case that was recorded from Triton 2.51.0 (Tests/Data/triton-oracle.json), by tritonclient's raw stubs: code and message."""
import json
import pathlib
import re
import struct
import threading
import time

import grpc
import pytest
from serving import TRITON, X, oracle_repository, serve, until
from tritonclient.grpc import service_pb2, service_pb2_grpc

CASES = json.loads((pathlib.Path(__file__).resolve().parents[1] / "Data/triton-oracle.json").read_text())
RECORDED = {case["case"]: case for case in CASES if case["section"] == "gRPC"}
RAW = struct.pack("<16f", *X)
OURS = ["nobatch", "slow_delay", "slow_full", "slow_reject", "small8"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    repository = tmp_path_factory.mktemp("oracle")
    oracle_repository(repository)
    with serve(repository, "--model-control-mode", "explicit", "--load-model", "*") as server:
        yield server


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def message(model="small8", shape=(1, 16), datatype="FP32", raw=(RAW,), typed=None, inputs=1, outputs=()):
    request = service_pb2.ModelInferRequest(model_name=model, id="i1")
    for _ in range(inputs):
        tensor = request.inputs.add(name="input", datatype=datatype, shape=shape)
        if typed is not None:
            tensor.contents.fp32_contents.extend(typed)
    request.raw_input_contents.extend(raw)
    for name in outputs:
        request.outputs.add(name=name)
    return request


def infer(**changes):
    return lambda stub: stub.ModelInfer(message(**changes), timeout=20)


def burst(number, count, model):
    """Answer `number` of `count` calls sent one shortly after the other."""

    def call(stub):
        futures = []
        for _ in range(count):
            futures.append(stub.ModelInfer.future(message(model=model), timeout=20))
            time.sleep(0.03)
        errors = [future.exception() for future in futures]
        if errors[number - 1]:
            raise errors[number - 1]
        return None

    return call


pb = service_pb2
CALLS = {
    "ServerReady": lambda stub: stub.ServerReady(pb.ServerReadyRequest()),
    "ServerMetadata": lambda stub: stub.ServerMetadata(pb.ServerMetadataRequest()),
    "ModelReady bad version": lambda stub: stub.ModelReady(pb.ModelReadyRequest(name="small8", version="abc")),
    "ModelMetadata nope": lambda stub: stub.ModelMetadata(pb.ModelMetadataRequest(name="nope")),
    "ModelConfig nope": lambda stub: stub.ModelConfig(pb.ModelConfigRequest(name="nope")),
    "RepositoryIndex": lambda stub: stub.RepositoryIndex(pb.RepositoryIndexRequest()),
    "RepositoryModelLoad nope": lambda stub: stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="nope")),
    "infer raw": infer(),
    "infer typed contents": infer(raw=(), typed=X),
    "infer raw and typed": infer(typed=X),
    "infer no contents": infer(raw=()),
    "unknown model": infer(model="nope"),
    "no inputs": infer(inputs=0, raw=()),
    "rank 1": infer(shape=(16,)),
    "datatype INT32": infer(datatype="INT32"),
    "unknown datatype": infer(datatype="FP33"),
    "raw too long": infer(raw=(RAW + b"\0\0\0\0",)),
    "two raw contents for one input": infer(raw=(RAW, RAW)),
    "typed too short": infer(raw=(), typed=X[:15]),
    "unknown output": infer(outputs=("nope",)),
    "same input twice": infer(inputs=2, raw=(RAW, RAW)),
    "burst 2/5 slow_full": burst(2, 5, "slow_full"),
    "burst 5/5 slow_full": burst(5, 5, "slow_full"),
    "burst 3/3 slow_reject": burst(3, 3, "slow_reject"),
    "client deadline 0.3 s on a 1 s model": lambda stub: stub.ModelInfer(message(model="slow_full"), timeout=0.3),
}


def text(reply):
    """A message as the recording prints it: on one line."""
    return re.sub(r"\s+", " ", str(reply)).strip() if reply is not None else ""


def test_every_recorded_case_has_a_call():
    assert set(CALLS) == set(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_case(server, stub, name):
    case = RECORDED[name]
    try:
        reply, code, details = CALLS[name](stub), "OK", ""
    except grpc.RpcError as error:
        reply, code, details = None, error.code().name, error.details()
    if name == "client deadline 0.3 s on a 1 s model":
        # The instance may still be at it: the next case must not queue behind it. TRITON's own counters do not say.
        time.sleep(1.2) if TRITON else until(lambda: server.gauges("slow_full", "headroom_saturation_ratio") == [0])
    assert code == case["status"], details
    expected = case["body"].strip()
    if name == "ServerMetadata":
        recorded = re.findall(r'extensions: "([^"]*)"', expected)
        # Named only where they are served: no sequences, and CUDA's shared memory with a CUDA device.
        assert set(recorded) - {"sequence", "cuda_shared_memory"} <= set(reply.extensions)
        assert reply.name == ("triton" if TRITON else "headroom") and reply.version
    elif name == "RepositoryIndex":
        assert [(model.name, model.version, model.state, model.reason) for model in reply.models] == [
            (name, "1", "READY", "") for name in OURS]
    elif code == "OK":
        assert text(reply) == re.sub(r"\s+", " ", expected)
    else:
        assert details == expected


def test_a_timeout_acts_when_it_is_due(stub):
    futures, sent, done = [], [], [0.0] * 3
    for index in range(3):
        sent.append(time.monotonic())
        future = stub.ModelInfer.future(message(model="slow_reject"), timeout=20)
        future.add_done_callback(lambda _, index=index: done.__setitem__(index, time.monotonic()))
        futures.append(future)
        time.sleep(0.03)
    assert [future.code().name for future in futures] == ["OK", "UNAVAILABLE", "UNAVAILABLE"]
    # The callbacks come on a thread of gRPC's.
    assert until(lambda: all(done))
    for index in (1, 2):
        assert 0.19 <= done[index] - sent[index] < (1.5 if TRITON else 0.85)


def test_a_deadline_takes_a_queued_request_out(server, stub):
    """Cancelled while it waits, it is never run: the instance is free as soon as the one before it is done."""
    before = stub.ModelStatistics(pb.ModelStatisticsRequest(name="slow_full")).model_stats[0]
    running = stub.ModelInfer.future(message(model="slow_full"), timeout=20)
    assert server.is_at_work("slow_full")
    waiting = stub.ModelInfer.future(message(model="slow_full"), timeout=0.2)
    assert waiting.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert running.code() == grpc.StatusCode.OK
    # Whatever still waited would run before this one.
    assert stub.ModelInfer(message(model="slow_full"), timeout=20).id == "i1"
    after = stub.ModelStatistics(pb.ModelStatisticsRequest(name="slow_full")).model_stats[0]
    assert after.execution_count == before.execution_count + 2


@pytest.mark.parametrize("size", [0, 1, 5, 1000])
def test_bytes_that_are_no_message_are_refused(server, size):
    """Garbage instead of a protobuf message ends that call and no other."""
    with grpc.insecure_channel(server.grpc) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff" * size, timeout=10)
        assert caught.value.code() not in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED)
        assert service_pb2_grpc.GRPCInferenceServiceStub(channel).ServerLive(pb.ServerLiveRequest()).live


def test_methods_nobody_has(server):
    with grpc.insecure_channel(server.grpc) as channel:
        for path in ("/inference.GRPCInferenceService/Nope", "/nope.Nope/Nope"):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(path)(b"", timeout=10)
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_many_calls_on_one_connection_at_one_time(stub):
    futures = [stub.ModelInfer.future(message(), timeout=30) for _ in range(500)]
    for future in futures:
        assert future.result().raw_output_contents[0] == RAW
    threads_left = threading.active_count()
    assert threads_left < 100
