"""`serve --device cuda:0` on the stand-in when the GPU fails: errors that stick, no memory, a GPU that is lost, requests that are given up, models unloaded while they
run. What is answered is right, what fails says so, the server goes on, and nothing is misused on the way."""
import concurrent.futures
import contextlib
import os
import pathlib
import threading

import numpy
import onnxruntime
import pytest
from serving import BINARY, add, export, serve, skip_loudly, until

tritonclient = pytest.importorskip("tritonclient")
import tritonclient.http as httpclient  # noqa: E402

STANDIN = pathlib.Path(BINARY).parent / "libheadroom-cuda-standin.so"
ROWS = 8


class Model:
    """The linear head, served and by ONNX Runtime."""

    def __init__(self, folder):
        self.file = export("linear", folder / "model.onnx")
        self.session = onnxruntime.InferenceSession(str(self.file), providers=["CPUExecutionProvider"])
        self.given = self.session.get_inputs()[0]
        self.output = self.session.get_outputs()[0].name

    def request(self, seed, rows=None):
        generator = numpy.random.default_rng(seed)
        values = generator.standard_normal([rows or 1 + seed % ROWS] + list(self.given.shape[1:])).astype(numpy.float32)
        tensor = httpclient.InferInput(self.given.name, list(values.shape), "FP32")
        tensor.set_data_from_numpy(values)
        return values, [tensor]

    def is_right(self, values, answer):
        expected = self.session.run(None, {self.given.name: values})[0]
        return abs(answer.as_numpy(self.output) - expected).max() <= 2e-5 * max(1e-3, abs(expected).max())

    def ask(self, client, seed, name="linear", **options):
        """None for a right answer, else what the error says."""
        values, tensors = self.request(seed)
        try:
            answer = client.infer(name, tensors, **options)
        except httpclient.InferenceServerException as error:
            return str(error)
        assert self.is_right(values, answer), f"request {seed}: a wrong answer"
        return None


@pytest.fixture
def model(tmp_path):
    if not STANDIN.exists():
        skip_loudly(f"{STANDIN} was not built (swift build -c release --product headroom-cuda-standin)")
    return Model(tmp_path)


def repository(folder, model, names=("linear",), instances=1, graphs=True, more=""):
    for name in names:
        add(folder / "models", name, f'name: "{name}"\nbackend: "onnxruntime"\nmax_batch_size: {ROWS}\ndynamic_batching {{ }}\n'
            f"instance_group [ {{ count: {instances} kind: KIND_GPU }} ]\noptimization {{ cuda {{ graphs: {str(graphs).lower()} }} }}\n{more}", model=model.file)
    return folder / "models"


def serving(folder, *arguments, **environment):
    complaints = folder / "complaints"
    return serve(folder / "models", "--device", "cuda:0", "--cuda-path", str(STANDIN), *arguments,
                 environment={**os.environ, "HEADROOM_STANDIN_COMPLAINTS": str(complaints), **environment})


def complaints(folder):
    """What the stand-in saw misused."""
    path = folder / "complaints"
    return path.read_text() if path.exists() else ""


def crowd(model, server, count, threads=8, ask=None):
    """Requests of several threads at once, each with a client of its own: Triton's belongs to the thread that made it."""
    own = threading.local()

    def one(seed):
        if not hasattr(own, "client"):
            own.client = httpclient.InferenceServerClient(server.http, network_timeout=30, connection_timeout=30)
        return (ask or model.ask)(own.client, seed)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.parametrize("graphs, entry", [(True, "cuGraphLaunch"), (False, "cuLaunchKernelEx"), (True, "cuMemcpyHtoDAsync_v2"), (True, "cuMemcpyDtoHAsync_v2"),
                                           (True, "cuEventRecord"), (True, "cuStreamWaitEvent")])
@pytest.mark.parametrize("code", [700, 719, 2])
@pytest.mark.parametrize("instances", [1, 3])
def test_an_error_in_the_middle_costs_its_batches_alone(tmp_path, model, entry, graphs, code, instances):
    repository(tmp_path, model, instances=instances, graphs=graphs)
    with serving(tmp_path, HEADROOM_STANDIN_FAULTS=f"{entry}={code}:25") as server:
        client = httpclient.InferenceServerClient(server.http)
        said = crowd(model, server, 160)
        failed = [text for text in said if text]
        # A batch of the other instances, and the one that was gathered meanwhile, may go with the context.
        assert len(failed) <= 2 * instances * ROWS, failed
        # cuBLASLt says in its own words that the context it works in is gone.
        assert all("CUDA" in text or "context" in text or "cuBLASLt" in text for text in failed), failed
        assert [model.ask(client, seed) for seed in range(200, 230)] == [None] * 30
        assert client.is_server_ready() and client.is_model_ready("linear")
    assert complaints(tmp_path) == ""


@pytest.mark.parametrize("code", [719, 999, 100])
def test_a_gpu_that_is_lost_is_said_to_every_request_and_the_server_ends_well(tmp_path, model, code):
    repository(tmp_path, model, instances=2)
    lost = ",".join(f"{entry}={code}:60:100000000" for entry in ("cuGraphLaunch", "cuLaunchKernelEx", "cuMemcpyHtoDAsync_v2", "cuCtxSetCurrent"))
    with serving(tmp_path, HEADROOM_STANDIN_FAULTS=lost) as server:
        client = httpclient.InferenceServerClient(server.http)
        said = crowd(model, server, 200)
        assert said[-1] and "CUDA" in said[-1]
        assert "timed out" not in " ".join(text for text in said if text)
        assert client.is_server_live()


def test_a_model_that_does_not_fit_says_how_much_and_the_others_serve(tmp_path, model):
    repository(tmp_path, model, names=("linear", "second"))
    with serving(tmp_path, "--model-control-mode", "explicit", "--load-model", "linear", HEADROOM_STANDIN_MEMORY="40000000") as server:
        client = httpclient.InferenceServerClient(server.http)
        with pytest.raises(httpclient.InferenceServerException, match="do not fit on the GPU"):
            client.load_model("second")
        assert model.ask(client, 1) is None
        # What the first had is there for the other.
        client.unload_model("linear")

        def is_loaded():
            with contextlib.suppress(httpclient.InferenceServerException):
                client.load_model("second")
            return client.is_model_ready("second")

        assert until(is_loaded, 20)
        assert model.ask(client, 2, name="second") is None
    assert complaints(tmp_path) == ""


def test_memory_that_is_short_while_running_is_an_answer_and_not_an_end(tmp_path, model):
    repository(tmp_path, model, graphs=True)
    # Room for a batch's tensors is made when the first one of its size comes; what a slot has from the start is there.
    with serving(tmp_path, HEADROOM_STANDIN_FAULTS="cuMemHostRegister_v2=2:2:3") as server:
        client = httpclient.InferenceServerClient(server.http)
        said = crowd(model, server, 100)
        assert all(text is None or "fit" in text or "memory" in text for text in said), said
        assert crowd(model, server, 60) == [None] * 60
    assert complaints(tmp_path) == ""


def test_unloaded_and_loaded_again_under_load(tmp_path, model):
    repository(tmp_path, model, instances=2)
    with serving(tmp_path, "--model-control-mode", "explicit", "--load-model", "linear") as server:
        client = httpclient.InferenceServerClient(server.http)
        stop, said = threading.Event(), []

        def keep_asking(seed):
            own = httpclient.InferenceServerClient(server.http)
            while not stop.is_set():
                said.append(model.ask(own, seed))

        threads = [threading.Thread(target=keep_asking, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                client.unload_model("linear")
                client.load_model("linear")
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        # A request may come before, while or after the model goes.
        refusals = ("unavailable", "no available versions", "not ready", "stopped accepting new inference requests")
        assert all(text is None or any(refusal in text for refusal in refusals) for text in said), set(said)
        assert said.count(None) > 0 and model.ask(client, 3) is None
    assert complaints(tmp_path) == ""


def test_requests_that_are_given_up_leave_the_others_right(tmp_path, model):
    repository(tmp_path, model, instances=1, more="", graphs=False)
    configuration = tmp_path / "models/linear/config.pbtxt"
    configuration.write_text(configuration.read_text().replace(
        "dynamic_batching { }", "dynamic_batching { max_queue_delay_microseconds: 3000 default_queue_policy "
        "{ timeout_action: REJECT default_timeout_microseconds: 30000000 allow_timeout_override: true } }"))
    with serving(tmp_path) as server:
        def one(client, seed):
            if seed % 3 == 0:
                # Hangs up before it is answered.
                with contextlib.suppress(Exception):
                    httpclient.InferenceServerClient(server.http, network_timeout=0.002).infer("linear", model.request(seed)[1])
                return None
            return model.ask(client, seed, timeout=1 if seed % 3 == 1 else 20_000_000)

        said = crowd(model, server, 240, threads=16, ask=one)
        client = httpclient.InferenceServerClient(server.http)
        assert all(text is None or "timeout" in text.lower() or "timed out" in text.lower() for text in said), {text for text in said if text}
        assert [model.ask(client, seed, timeout=20_000_000) for seed in range(20)] == [None] * 20
    assert complaints(tmp_path) == ""


def test_what_16_bits_cannot_hold_is_infinite_and_stays_in_its_own_rows(tmp_path, model):
    repository(tmp_path, model)
    with serving(tmp_path, "--precision", "fp16") as server:
        client = httpclient.InferenceServerClient(server.http)
        values, tensors = model.request(7, rows=4)
        for bad in (1e6, numpy.inf, -numpy.inf, numpy.nan):
            spoilt = values.copy()
            spoilt[2, :] = bad
            tensors[0].set_data_from_numpy(spoilt)
            answer = client.infer("linear", tensors).as_numpy(model.output)
            expected = model.session.run(None, {model.given.name: values})[0]
            good = [0, 1, 3]
            assert numpy.isfinite(answer[good]).all() and abs(answer[good] - expected[good]).max() <= 1e-2 * abs(expected).max()
            assert not numpy.isfinite(answer[2]).all() or bad == -numpy.inf, (bad, answer[2])
    assert complaints(tmp_path) == ""
