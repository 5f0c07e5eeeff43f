"""The CUDA device behind the server, on the stand-in for NVIDIA's libraries (no GPU): the heads and an encoder answer as ONNX Runtime does."""
import pathlib

import numpy
import onnxruntime
import pytest
from serving import BINARY, HEADS, add, export, serve, skip_loudly

tritonclient = pytest.importorskip("tritonclient")
import tritonclient.http as httpclient  # noqa: E402

STANDIN = pathlib.Path(BINARY).parent / "libheadroom-cuda-standin.so"


@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize("precision,limit", [("fp32", 2e-5), ("fp16", 1e-2)])
def test_heads_answer_as_onnx_runtime_does(tmp_path, head, precision, limit):
    if not STANDIN.exists():
        skip_loudly(f"{STANDIN} was not built (swift build -c release --product headroom-cuda-standin)")
    model = export(head, tmp_path / "model.onnx")
    repository = tmp_path / "models"
    # The stacked head's output is [heads, rows, 2]: its first dimension counts no rows.
    rows, batching = (0, "") if head == "stacked" else (8, "dynamic_batching { }")
    add(repository, head, f'name: "{head}"\nbackend: "onnxruntime"\nmax_batch_size: {rows}\n{batching}\n'
        "optimization { cuda { graphs: true } }\n", model=model)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    generator = numpy.random.default_rng(3)
    with serve(repository, "--device", "cuda:0", "--cuda-path", str(STANDIN), "--precision", precision) as server:
        client = httpclient.InferenceServerClient(server.http)
        for rows in (1, 3, 8, 3):
            feeds, inputs = {}, []
            for given in session.get_inputs():
                shape = [rows] + [size for size in given.shape[1:]]
                integers = "int" in given.type
                values = generator.integers(0, 2, shape) if integers else generator.standard_normal(shape)
                feeds[given.name] = values.astype(numpy.int64 if given.type == "tensor(int64)" else numpy.int32 if integers else numpy.float32)
                made = httpclient.InferInput(given.name, shape, {"int64": "INT64", "int32": "INT32", "float32": "FP32"}[feeds[given.name].dtype.name])
                made.set_data_from_numpy(feeds[given.name])
                inputs.append(made)
            answer = client.infer(head, inputs)
            for output, expected in zip(session.get_outputs(), session.run(None, feeds)):
                got = answer.as_numpy(output.name)
                assert numpy.isfinite(got).all()
                assert abs(got - expected).max() <= limit * max(1e-3, abs(expected).max()), (head, precision, rows)
