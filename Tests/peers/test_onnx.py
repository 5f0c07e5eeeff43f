"""What we write, the onnx checker accepts and onnxruntime runs; what PyTorch exports, we evaluate as onnxruntime does."""
import pathlib

import numpy
import onnx
import onnxruntime
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXPORTS = sorted((ROOT / "Tests/Data/onnx").glob("*.onnx"))
HEADS = {
    "linear": ["linear", "--layers", "4", "--hidden", "32"],
    "stacked": ["stacked", "--layers", "3", "--hidden", "32", "--heads", "5"],
    "seqlen": ["seqlen", "--layers", "5", "--hidden", "32", "--sequence", "8"],
    "encoder": ["encoder", "--layers", "2", "--hidden", "32", "--heads", "2", "--sequence", "16"],
}


def run_peer(path, ours):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    types = {"tensor(float)": numpy.float32, "tensor(int64)": numpy.int64}
    feeds = {}
    for given in session.get_inputs():
        value = ours["inputs"][given.name]
        feeds[given.name] = numpy.array(value["values"], dtype=types[given.type]).reshape(value["shape"])
    return {output.name: result for output, result in zip(session.get_outputs(), session.run(None, feeds))}


def assert_equal(path, ours):
    theirs = run_peer(path, ours)
    assert theirs
    for name, result in theirs.items():
        value = ours["outputs"][name]
        mine = numpy.array(value["values"]).reshape(value["shape"])
        assert list(result.shape) == value["shape"]
        norm = numpy.linalg.norm(mine)
        assert norm > 0.1
        assert numpy.linalg.norm(result - mine) / norm < 1e-5


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("rows", [1, 7])
def test_heads_run_in_onnxruntime_as_in_our_evaluator(headroom, evaluate, tmp_path, name, rows):
    path = tmp_path / "model.onnx"
    headroom("export", *HEADS[name], "-o", path)
    onnx.checker.check_model(str(path), full_check=True)
    assert_equal(path, evaluate(path, rows, 3))


@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.stem)
def test_pytorch_exports_evaluate_as_in_onnxruntime(evaluate, path):
    assert_equal(path, evaluate(path, 5, 4))


@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.stem)
def test_what_we_write_of_an_export_is_valid(headroom, evaluate, tmp_path, path):
    written = tmp_path / "written.onnx"
    headroom("export", path, "-o", written)
    onnx.checker.check_model(str(written), full_check=True)
    assert_equal(written, evaluate(written, 5, 4))


def test_rewrites_keep_the_answers(headroom, evaluate, tmp_path):
    plain, lean = tmp_path / "plain.onnx", tmp_path / "lean.onnx"
    headroom("export", *HEADS["seqlen"], "-o", plain)
    headroom("export", plain, "--rewrite", "sink-broadcast", "-o", lean)
    onnx.checker.check_model(str(lean), full_check=True)
    assert_equal(lean, evaluate(plain, 5, 4))
    assert "no rewrite is called" in headroom("export", plain, "--rewrite", "faster", "-o", lean, status=64)


def test_the_documents_head_at_full_size_is_valid(headroom, tmp_path):
    path = tmp_path / "seqlen.onnx"
    headroom("export", "seqlen", "-o", path)
    onnx.checker.check_model(str(path), full_check=True)


def test_a_dropped_bias_would_be_noticed(headroom, evaluate, tmp_path):
    path = tmp_path / "model.onnx"
    headroom("export", *HEADS["linear"], "-o", path)
    ours = evaluate(path, 3, 3)
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        if tensor.name == "layers.2.bias":
            tensor.raw_data = bytes(len(tensor.raw_data))
            break
    else:
        pytest.fail("no such bias")
    onnx.save(model, str(path))
    with pytest.raises(AssertionError):
        assert_equal(path, ours)


# Operators with a definition: attributes, inputs that must be known, opset, shape of x behind the rows.
DEFINED = [
    ("LogSoftmax", {"axis": 1}, [], 17, [3, 5]), ("LogSoftmax", {"axis": 2}, [], 12, [3, 5]), ("Hardmax", {"axis": 1}, [], 17, [3, 5]),
    ("LpNormalization", {"axis": -1, "p": 1}, [], 17, [3, 5]), ("LpNormalization", {}, [], 17, [3, 5]),
    ("CumSum", {"exclusive": 1, "reverse": 1}, [numpy.array(2)], 17, [3, 5]), ("CumSum", {}, [numpy.array(-2)], 17, [3, 5]),
    ("ArgMax", {"axis": 2, "keepdims": 0}, [], 17, [3, 50]), ("ArgMin", {"axis": 1, "select_last_index": 1}, [], 17, [3, 5]),
    ("PRelu", {}, [numpy.array([[0.5], [-2], [3]], numpy.float32)], 17, [3, 5]), ("Tile", {}, [numpy.array([1, 2, 3])], 17, [3, 5]),
    ("Pad", {}, [numpy.array([0, 1, 2, 0, 0, 3]), numpy.array(0.5, numpy.float32)], 17, [3, 5]),
    ("Pad", {}, [numpy.array([0, -1, 2, 0, 0, -2])], 17, [3, 5]), ("Pad", {"mode": "edge"}, [numpy.array([0, 1, 2, 0, 4, 3])], 17, [3, 5]),
    ("Pad", {"mode": "reflect"}, [numpy.array([0, 2, 2, 0, 1, 3])], 17, [3, 5]),
    ("Pad", {"mode": "wrap"}, [numpy.array([0, 2, 2, 0, 1, 3])], 19, [3, 5]),
    ("Pad", {}, [numpy.array([1, 2]), numpy.array(-1, numpy.float32), numpy.array([-1])], 18, [3, 5]),
    ("DepthToSpace", {"blocksize": 2}, [], 17, [8, 2, 3]), ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, [], 17, [8, 2, 3]),
    ("SpaceToDepth", {"blocksize": 3}, [], 17, [2, 3, 6]),
]


@pytest.mark.parametrize("name, attributes, known, opset, shape", DEFINED, ids=lambda value: value if isinstance(value, str) else "")
def test_defined_operators_give_what_onnxruntime_gives(headroom, evaluate, tmp_path, name, attributes, known, opset, shape):
    path, written = tmp_path / "model.onnx", tmp_path / "written.onnx"
    names = [f"known{index}" for index in range(len(known))]
    kind = onnx.TensorProto.INT64 if name.startswith("Arg") else onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(name, ["x", *names], ["y"], **attributes)], "defined",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["rows", *shape])],
        [onnx.helper.make_tensor_value_info("y", kind, None)],
        [onnx.numpy_helper.from_array(value, label) for label, value in zip(names, known)])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8), str(path))
    ours = evaluate(path, 2, 5)
    assert_equal(path, ours)
    # What is written of it is the same operator.
    headroom("export", path, "-o", written)
    onnx.checker.check_model(str(written))
    assert_equal(written, ours)


def whole(*values):
    return numpy.array(values, numpy.int64)


def reals(*shape):
    return (numpy.arange(numpy.prod(shape)) % 7 / 4 + 0.5).astype(numpy.float32).reshape(shape)


# Operators whose further inputs have x's shape: attributes, inputs (None: x), opset, x's type and shape, results.
SHAPED = [
    ("GatherElements", {"axis": 1}, [None, whole([[0, -1, 2], [1, 1, 0]])], 17, "FLOAT", [1, 3, 4], 1),
    ("GatherElements", {}, [None, whole([0, -1], [1, 2], [-3, 0])], 13, "FLOAT", [3, 4], 1),
    ("GatherND", {}, [None, whole([0, 1], [2, -1])], 17, "FLOAT", [3, 4, 2], 1),
    ("GatherND", {"batch_dims": 1}, [None, whole([[1], [0]], [[-1], [2]], [[3], [3]])], 17, "FLOAT", [3, 4, 2], 1),
    ("GatherND", {"batch_dims": 2}, [None, whole([[1], [0]], [[-1], [1]])], 17, "FLOAT", [2, 2, 2, 3], 1),
    ("ScatterElements", {"axis": -1}, [None, whole([0, -1], [1, 3]), numpy.array([[7, 8], [9, 10]], numpy.float32)], 17, "FLOAT", [3, 4], 1),
    ("ScatterElements", {"reduction": "add"}, [None, whole([0, 1], [0, 1]), numpy.array([[7, 8], [9, 10]], numpy.float32)], 17, "FLOAT", [3, 4], 1),
    ("ScatterElements", {"reduction": "max"}, [None, whole([0, 1], [0, 1]), numpy.array([[7, 8], [9, 10]], numpy.float32)], 18, "FLOAT", [3, 4], 1),
    ("ScatterND", {}, [None, whole([0, -1], [2, 1]), numpy.array([[7, 8], [9, 10]], numpy.float32)], 17, "FLOAT", [3, 4, 2], 1),
    ("ScatterND", {"reduction": "mul"}, [None, whole([0], [0]), numpy.array([[7, 8], [9, 10]], numpy.float32)], 17, "FLOAT", [3, 2], 1),
    ("RMSNormalization", {}, [None, reals(5)], 23, "FLOAT", [3, 4, 5], 1),
    ("RMSNormalization", {"axis": 1, "epsilon": 0.5}, [None, reals(4, 5)], 23, "FLOAT", [3, 4, 5], 1),
    ("InstanceNormalization", {}, [None, reals(4), reals(4)], 17, "FLOAT", [3, 4, 5, 2], 1),
    ("InstanceNormalization", {"epsilon": 0.5}, [None, reals(4), reals(4)], 11, "FLOAT", [3, 4, 5], 1),
    ("GroupNormalization", {"num_groups": 2}, [None, reals(6), reals(6)], 21, "FLOAT", [3, 6, 5, 2], 1),
    ("GroupNormalization", {"num_groups": 3, "epsilon": 0.5}, [None, reals(6), reals(6)], 21, "FLOAT", [3, 6, 5], 1),
    ("BatchNormalization", {}, [None, *[reals(4)] * 4], 17, "FLOAT", [3, 4, 5, 2], 1),
    ("BatchNormalization", {"epsilon": 0.5, "momentum": 0.5}, [None, *[reals(4)] * 4], 11, "FLOAT", [3, 4], 1),
    ("TopK", {"axis": 1}, [None, whole(2)], 17, "FLOAT", [3, 5], 2), ("TopK", {"axis": 0, "largest": 0}, [None, whole(3)], 11, "FLOAT", [4, 5], 2),
    ("OneHot", {}, [None, numpy.array(40), numpy.array([-1, 2], numpy.float32)], 17, "INT64", [2, 4], 1),
    ("OneHot", {"axis": 1}, [None, whole(45), numpy.array([-1, 2], numpy.float32)], 11, "INT64", [2, 4], 1),
]


@pytest.mark.parametrize("name, attributes, inputs, opset, kind, shape, results", SHAPED, ids=lambda value: value if isinstance(value, str) else "")
def test_operators_of_shaped_inputs_give_what_onnxruntime_gives(headroom, evaluate, tmp_path, name, attributes, inputs, opset, kind, shape, results):
    path, written = tmp_path / "model.onnx", tmp_path / "written.onnx"
    names = ["x" if value is None else f"known{index}" for index, value in enumerate(inputs)]
    outputs = [f"y{index}" for index in range(results)]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(name, names, outputs, **attributes)], "shaped",
        [onnx.helper.make_tensor_value_info("x", getattr(onnx.TensorProto, kind), shape)],
        [onnx.helper.make_tensor_value_info(output, onnx.TensorProto.INT64 if output == "y1" else onnx.TensorProto.FLOAT, None) for output in outputs],
        [onnx.numpy_helper.from_array(value, label) for label, value in zip(names, inputs) if value is not None])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8 if opset < 21 else 10)
    onnx.save(model, str(path))
    ours = evaluate(path, 2, 5)
    assert_equal(path, ours)
    headroom("export", path, "-o", written)
    onnx.checker.check_model(str(written))
    assert_equal(written, ours)
