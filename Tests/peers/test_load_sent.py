"""What `headroom load` sends, by the account of a server that notes what came: when, how much, by whom; and what it makes of wrong answers.

Where a figure depends on having a core in time, a run on a busy machine is tried again: three times at most.
"""
import collections
import json
import socket
import statistics
import struct
import time

import pytest
from loading import Ended, Stub, load, start
from test_schemas import check


def checked(ended, code=0):
    """The document of a --json run, of the published schema."""
    assert ended.code == code, ended
    document = check(ended.out, "load")
    assert document["latency"]["count"] == document["responses"]
    assert sum(document["errorsByKind"].values()) == document["errors"]
    return document


def run(*arguments, code=0):
    return checked(load("--json", "--quiet", *arguments), code)


def again(attempt, tries=3):
    """A check that a busy machine may spoil."""
    for number in range(tries):
        try:
            return attempt()
        except AssertionError:
            if number == tries - 1:
                raise


@pytest.mark.alone
def test_a_replay_file_is_sent_at_the_times_it_names(tmp_path):
    times = [0, 0.1, 0.1, 0.35, 0.6, 0.6, 0.6, 0.9, 1.2, 1.45]
    (tmp_path / "times").write_text("# seconds since the start\n" + "".join(f"{second}\n" for second in times))

    def attempt():
        with Stub() as stub:
            begin = time.time() + 0.5
            document = run(stub.url, "--replay", tmp_path / "times", "--warmup", 0, "--duration", 1.6, "--start-at", begin)
            late = [arrival - begin - due for arrival, due in zip(stub.arrivals, times, strict=True)]
        assert document["load"] == {"kind": "replay", "arrivals": len(times)} and document["responses"] == len(times)
        assert min(late) > -0.001 and statistics.median(late) < 0.005 and max(late) < 0.05, late

    again(attempt)


@pytest.mark.alone
def test_steps_and_ramps_deliver_the_profiles_integral():
    """A ramp 0 to 200 in 2 s, 100 for 1 s, 300 for 1 s: 200 + 100 + 300 requests, each stretch its own."""
    def attempt():
        with Stub() as stub:
            begin = time.time() + 0.5
            document = run(stub.url, "--rate", "0-200:2,100:1,300:1", "--warmup", 0, "--duration", 4, "--start-at", begin)
            arrived = [arrival - begin for arrival in stub.arrivals]
        assert document["responses"] == len(arrived) == 600
        # x = 50 t^2 in the ramp: a quarter of its requests in its first half.
        for until_second, wanted in ((1, 50), (2, 200), (3, 300), (4, 600)):
            assert abs(sum(second < until_second for second in arrived) - wanted) <= 3, until_second

    again(attempt)


@pytest.mark.alone
def test_poisson_arrivals_have_the_variance_of_their_mean():
    """60 stretches of 50 arrivals each: variance over mean is 1 with a deviation of sqrt(2 / 59); of even spacing it is 0."""
    def attempt():
        with Stub() as stub:
            run(stub.url, "--rate", 1000, "--poisson", "--warmup", 0, "--duration", 3, "--seed", 5)
        counts = collections.Counter(int((arrival - stub.arrivals[0]) / 0.05) for arrival in stub.arrivals)
        inner = [counts[stretch] for stretch in range(59)]
        assert 0.4 < statistics.pvariance(inner) / statistics.fmean(inner) < 1.8
        # The count's own deviation is 55.
        assert abs(len(stub.arrivals) - 3000) < 4 * 55

    again(attempt)


@pytest.mark.alone
@pytest.mark.parametrize("loop", [["--rate", "300", "--poisson"], ["--rate", "100:1,400:1"]], ids=["poisson", "steps"])
def test_two_shares_send_together_what_one_process_sends_alone(loop):
    def arrivals(shares):
        with Stub() as stub:
            begin = time.time() + 0.5
            options = ["--json", "--quiet", stub.url, *loop, "--warmup", 0, "--duration", 1.6, "--seed", 3, "--start-at", begin]
            processes = [start(*options, "--share", share) for share in shares]
            documents = [checked(Ended(process)) for process in processes]
            assert [document["share"] for document in documents] == shares
            assert sum(document["responses"] for document in documents) == len(stub.arrivals)
            return sorted(arrival - begin for arrival in stub.arrivals)

    def attempt():
        alone, together = arrivals(["0/1"]), arrivals(["0/2", "1/2"])
        assert len(alone) == len(together)
        apart = [abs(left - right) for left, right in zip(alone, together)]
        assert statistics.median(apart) < 0.005 and max(apart) < 0.1

    again(attempt)


def test_shares_of_a_closed_loop_split_the_users():
    for share, users in (("0/2", 4), ("1/2", 3)):
        with Stub() as stub:
            document = run(stub.url, "--users", 7, "--spawn-rate", 1000, "--share", share, "--think", "constant:0.05", "--warmup", 0, "--duration", 0.4)
            assert stub.connections == users == document["generator"]["connectionsOpened"]


def test_bodies_paths_and_methods_arrive(tmp_path):
    (tmp_path / "body").write_bytes(b"\x00" * 1000)
    seen = set()
    with Stub(lambda number, path, body: seen.add((path, body)) or b"ok") as stub:
        document = run(stub.url + "a/path?x=1", "--body-file", tmp_path / "body", "--warmup", 0, "--duration", 0.2)
    assert document["responses"] > 0 and seen == {("/a/path?x=1", b"\x00" * 1000)}


def test_no_server_is_1_and_names_host_and_port():
    with socket.socket() as probe:
        # Bound and not listening: refused, and nobody else's.
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        for arguments in (["--model", "fast", "--url", address], [f"http://{address}/", "--duration", 0.3, "--warmup", 0]):
            ended = load(*arguments, "--quiet")
            assert ended.code == 1 and address in ended.error and "refused" in ended.error, ended


# Answers that are wrong.


class Model:
    """A KServe v2 server of one model `m`, 4 floats in and out, that goes wrong from its `good`th answer on, every `every`th time."""

    def __init__(self, wrong, good=200, every=5):
        self.wrong, self.good, self.every, self.inferences, self.spoiled = wrong, good, every, 0, 0

    def __call__(self, number, path, body):
        if path == "/v2/models/m":
            tensor = {"datatype": "FP32", "shape": [-1, 4]}
            return json.dumps({"name": "m", "inputs": [{"name": "x", **tensor}], "outputs": [{"name": "y", **tensor}]}).encode()
        if path == "/v2/models/m/config":
            return json.dumps({"max_batch_size": 8}).encode()
        if path != "/v2/models/m/infer":
            return 404, {}, b"{}"
        self.inferences += 1
        _, length = json.JSONDecoder().raw_decode(body.decode("latin-1"))
        values = list(struct.unpack(f"<{(len(body) - length) // 4}f", body[length:]))
        shape = [len(values) // 4, 4]
        if self.inferences > self.good and self.inferences % self.every == 0:
            self.spoiled += 1
            if self.wrong == "values":
                values[-1] += 0.5
            else:
                shape = [len(values) // 4 * 2, 2]
        head = json.dumps({"outputs": [{
            "name": "y", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": 4 * len(values)}}]}).encode()
        return 200, {"Inference-Header-Content-Length": len(head)}, head + struct.pack(f"<{len(values)}f", *values)


@pytest.mark.parametrize("wrong, arguments, noticed", [
    ("values", ["--verify"], True), ("values", [], False), ("shape", ["--verify"], True), ("shape", [], True), (None, ["--verify"], False)],
    ids=["values", "values without --verify", "shape", "shape without --verify", "right"])
def test_verify_notices_wrong_answers_each_of_them(wrong, arguments, noticed):
    def attempt():
        model = Model(wrong or "values", good=200 if wrong else 10**9)
        with Stub(model) as stub:
            document = run("--model", "m", "--url", stub.address, "--rate", 500, "--rows", 2, "--warmup", 0, "--duration", 1, *arguments)
        assert document["errorsByKind"] == ({wrong: model.spoiled} if noticed else {})
        assert document["responses"] + document["errors"] == 500
        assert model.spoiled == 0 or model.spoiled > 50

    again(attempt)
