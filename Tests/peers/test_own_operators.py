"""Operators that the CPU device runs itself, on the data that PyPI's onnx carries for them: no ONNX Runtime is there to help."""
import pathlib

import numpy
import onnx
import pytest
from onnx import numpy_helper
from serving import serve

tritonclient = pytest.importorskip("tritonclient")
import tritonclient.http as httpclient  # noqa: E402

DATA = pathlib.Path(onnx.__file__).parent / "backend/test/data/node"
OPERATORS = set(
    """Abs BatchNormalization Ceil Celu Clip Cos Elu Exp Floor GatherElements GatherND GroupNormalization HardSigmoid HardSwish InstanceNormalization
    LeakyRelu Log Max Min Neg Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare RMSNormalization Round ScatterElements ScatterND Selu Sign Sin Softplus Softsign ThresholdedRelu TopK""".split())


def tensors(folder, kind):
    paths = sorted(folder.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
    found = []
    for path in paths:
        tensor = onnx.TensorProto()
        tensor.ParseFromString(path.read_bytes())
        found.append(numpy_helper.to_array(tensor))
    return found


def cases():
    """One node of one of the operators on fp32: bounds, axes and indices, which come with requests there, become constants of the model."""
    for path in sorted(DATA.glob("*/model.onnx")):
        model = onnx.load(str(path))
        opset = next((entry.version for entry in model.opset_import if not entry.domain), 0)
        if len(model.graph.node) != 1 or model.graph.node[0].op_type not in OPERATORS or not 11 <= opset <= 25:
            continue
        inputs = tensors(path.parent / "test_data_set_0", "input")
        outputs = tensors(path.parent / "test_data_set_0", "output")
        kept, given = [], []
        fixes = model.graph.node[0].op_type.startswith(("Clip", "Gather", "Reduce", "Scatter", "TopK"))
        for index, (value, array) in enumerate(zip(list(model.graph.input), inputs)):
            if fixes and index > 0:
                model.graph.initializer.append(numpy_helper.from_array(array, value.name))
            else:
                kept.append(value)
                given.append(array)
        kinds = {array.dtype for array in outputs} - {numpy.dtype(numpy.float32), numpy.dtype(numpy.int64)}
        if kinds or any(array.dtype != numpy.float32 for array in given) or any(array.size == 0 for array in given + outputs):
            continue
        # Scatters that reduce are ONNX Runtime's, and training is nobody's.
        given_attributes = {attribute.name: attribute for attribute in model.graph.node[0].attribute}
        if "reduction" in given_attributes and given_attributes["reduction"].s != b"none" or "training_mode" in given_attributes:
            continue
        if model.graph.node[0].op_type in ("Min", "Max") and len(given) != 2:
            continue
        del model.graph.input[:]
        model.graph.input.extend(kept)
        yield path.parent.name, model, given, outputs


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    models = {}
    for name, model, given, outputs in cases():
        place = folder / name / "1"
        place.mkdir(parents=True)
        onnx.save(model, str(place / "model.onnx"))
        models[name] = (model, given, outputs)
    # No such library: what is answered here, own kernels answer.
    with serve(folder, "--exit-on-error", "false", environment={"HEADROOM_ONNXRUNTIME": "/nonexistent"}, ready=300) as server:
        with httpclient.InferenceServerClient(server.http) as client:
            yield server, client, models


def test_there_are_many_and_all_operators_are_among_them(served):
    _, _, models = served
    assert len(models) > 100
    # ReduceLogSumExp's data is of fp64, which the device has not.
    missing = OPERATORS - {"ReduceLogSumExp"} - {model.graph.node[0].op_type for model, _, _ in models.values()}
    assert not missing, missing


def test_every_answer_is_onnxs(served):
    server, client, models = served
    wrong = []
    for name, (model, given, outputs) in models.items():
        inputs = []
        for value, array in zip(model.graph.input, given):
            tensor = httpclient.InferInput(value.name, list(array.shape), "FP32")
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        try:
            result = client.infer(name, inputs)
        except tritonclient.utils.InferenceServerException as error:
            wrong.append(f"{name}: {error}")
            continue
        for value, expected in zip(model.graph.output, outputs):
            found = result.as_numpy(value.name)
            if found.shape != expected.shape or not numpy.allclose(found, expected, rtol=1e-4, atol=1e-6, equal_nan=True):
                wrong.append(f"{name}: {found} is not {expected}")
    assert not wrong, "\n".join(wrong)
