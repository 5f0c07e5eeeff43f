"""Outputs under the names of the file, whatever wrote them, over HTTP and gRPC, with and without a configuration, on every device."""
import pathlib

import numpy
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from serving import add, serve, skip_loudly

tritonclient = pytest.importorskip("tritonclient")
import tritonclient.grpc as grpcclient  # noqa: E402
import tritonclient.http as httpclient  # noqa: E402

W = numpy.array([[10, 20, 30]], numpy.float32)
X = numpy.array([[1, 2, 3]], numpy.float32)

# Nodes after h = x + w, and the outputs.
CASES = {
    "identity": ([("Identity", "h", "answer")], ["answer"]),
    "dropout": ([("Dropout", "h", "answer")], ["answer"]),
    "twice": ([("Identity", "h", "answer")], ["answer", "h"]),
    "three": ([("Identity", "h", "a"), ("Identity", "a", "b"), ("Identity", "h", "c")], ["c", "a", "b"]),
    "input": ([], ["x", "h"]),
    "input_renamed": ([("Identity", "x", "same")], ["h", "same"]),
    "constant": ([], ["w", "h"]),
    "constant_renamed": ([("Identity", "w", "table")], ["table", "h"]),
    "read_on": ([("Identity", "h", "a"), ("Relu", "a", "r")], ["r", "a"]),
}

def model(nodes, outputs, foreign):
    """Rows are dynamic where no output is a constant: a batch of rows then makes sense."""
    rows = 1 if "w" in outputs or "table" in outputs else "rows"
    initializers = [numpy_helper.from_array(W, "w")]
    if foreign:
        # A Sum of three, which only ONNX Runtime has.
        initializers.append(numpy_helper.from_array(numpy.array(1, numpy.int64), "axis"))
        made = [helper.make_node("CumSum", ["x", "axis"], ["sums"]), helper.make_node("Sub", ["sums", "sums"], ["zeros"]),
                helper.make_node("Sum", ["x", "w", "zeros"], ["h"])]
    else:
        made = [helper.make_node("Add", ["x", "w"], ["h"])]
    made += [helper.make_node(kind, [source], [target]) for kind, source, target in nodes]
    graph = helper.make_graph(
        made, "names", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, 3]) for name in outputs], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def configuration(name, outputs):
    lines = ", ".join(f'{{ name: "{output}" data_type: TYPE_FP32 dims: [1, 3] }}' for output in outputs)
    return f'name: "{name}" backend: "onnxruntime" max_batch_size: 0 input [ {{ name: "x" data_type: TYPE_FP32 dims: [1, 3] }} ] output [ {lines} ]'


def check(server, folder, outputs, values):
    for package, address in ((httpclient, server.http), (grpcclient, server.grpc)):
        with package.InferenceServerClient(address) as client:
            for name in (path.name for path in sorted(folder.iterdir())):
                metadata = client.get_model_metadata(name) if package is httpclient else client.get_model_metadata(name, as_json=True)
                assert [output["name"] for output in metadata["outputs"]] == outputs[name], name
                given = package.InferInput("x", [1, 3], "FP32")
                given.set_data_from_numpy(X)
                for wanted in (None, list(reversed(outputs[name]))):
                    result = client.infer(name, [given], outputs=wanted and [package.InferRequestedOutput(output) for output in wanted])
                    for output in wanted or outputs[name]:
                        found = result.as_numpy(output)
                        assert found is not None, (name, output)
                        if values:
                            numpy.testing.assert_allclose(found, values[name][output], rtol=1e-6, err_msg=f"{name} {output}")


@pytest.mark.parametrize("device", ["cpu", "sim:h200", "onnxruntime"])
def test_names_are_the_files(tmp_path, device):
    folder, outputs, values = tmp_path / "models", {}, {}
    foreign = device == "onnxruntime"
    for case, (nodes, names) in CASES.items():
        data = model(nodes, names, foreign).SerializeToString()
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        assert [output.name for output in session.get_outputs()] == names
        results = dict(zip(names, session.run(None, {"x": X})))
        for name, text in ((case, None), (f"{case}_configured", configuration(f"{case}_configured", names))):
            (add(folder, name, text) / "model.onnx").write_bytes(data)
            outputs[name], values[name] = names, results
    more = []
    environment = None
    if foreign:
        library = next(pathlib.Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"), None)
        if library is None:
            skip_loudly("onnxruntime's wheel holds no library")
        environment = {"HEADROOM_ONNXRUNTIME": str(library)}
    else:
        more = ["--device", device]
    with serve(folder, *more, environment=environment) as server:
        check(server, folder, outputs, None if device.startswith("sim") else values)
