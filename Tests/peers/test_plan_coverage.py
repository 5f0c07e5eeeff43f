"""Plans of other people's files: PyPI's onnx carries some 1,800 (its backend's tests, opset 6 to 25), and networks are made with its helper."""
import json
import math
import pathlib
import re

import numpy
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference
from test_schemas import check

DATA = pathlib.Path(onnx.__file__).parent / "backend/test/data"

# Operators whose files must be planned, all but what comes with a request (axes, lengths).
WANTED = """Conv ConvTranspose Clip ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp
MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool BatchNormalization HardSwish HardSigmoid Sigmoid Pad Resize Upsample Equal Where Less Greater And Or
Not Cast Tile Expand TopK ArgMax ArgMin CumSum InstanceNormalization GroupNormalization LSTM GRU RNN Einsum DepthToSpace SpaceToDepth PRelu LeakyRelu Elu Softplus
QuantizeLinear DequantizeLinear MatMulInteger QLinearConv QLinearMatMul ConvInteger Attention LayerNormalization RMSNormalization Gather GatherElements ScatterND
OneHot Slice Split Concat Transpose NonZero NonMaxSuppression Softmax LogSoftmax""".split()


@pytest.fixture(scope="module")
def coverage(headroom):
    return check(headroom("plan", "--coverage", DATA, "--gpu", "h200", "--json"), "coverage")


def test_every_file_is_answered_and_most_are_planned(coverage):
    counts = coverage["counts"]
    total = sum(counts.values())
    assert total > 1500
    assert counts["refused"] == 0, [file["error"] for file in coverage["files"] if file["outcome"] == "refused"][:5]
    assert counts["planned"] >= 0.92 * total, counts


@pytest.mark.parametrize("operator", WANTED)
def test_the_operator_is_planned(coverage, operator):
    counts = coverage["operators"][operator]
    assert counts["planned"] >= 0.6 * sum(counts.values()) and counts["planned"] > 0, counts


def test_shapes_are_those_of_the_files(coverage):
    """Where a rule gives another shape than the file declares, reading says so. One file has an empty first axis, which stands for the rows."""
    notes = [(file["file"], note) for file in coverage["files"] for note in file["notes"] if "by the operator's rule" in note]
    assert [pathlib.Path(file).parent.name for file, _ in notes] in ([], ["test_triu_zero"]), notes


def test_the_tables_are_markdown(headroom, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "conv.onnx").write_bytes((DATA / "node/test_basic_conv_with_padding/model.onnx").read_bytes())
    (folder / "broken.onnx").write_bytes(b"no model")
    text = headroom("plan", "--coverage", folder, "--gpu", "h200")
    assert text.startswith("1 of 2 files are planned")
    assert "| Conv | 1 | 1 | 0 | 0 |" in text and "not an ONNX model" in text


class Net:
    """A network under construction, at an opset."""

    def __init__(self, opset, *shape):
        self.opset, self.nodes, self.weights, self.count = opset, [], [], 0
        self.input = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])

    def weight(self, *shape, values=None):
        self.count += 1
        name = f"w{self.count}"
        array = numpy.zeros(shape, numpy.float32) if values is None else values
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def add(self, kind, *inputs, **attributes):
        self.count += 1
        self.nodes.append(helper.make_node(kind, list(inputs), [f"v{self.count}"], name=f"{kind}_{self.count}", **attributes))
        return f"v{self.count}"

    def conv(self, x, channels, features, size, stride=1, group=1, pads=None):
        w = self.weight(features, channels // group, size, size)
        return self.add("Conv", x, w, strides=[stride] * 2, group=group, pads=[size // 2 if pads is None else pads] * 4)

    def norm(self, x, features):
        return self.add("BatchNormalization", x, *(self.weight(features) for _ in range(4)))

    def save(self, path, output):
        graph = helper.make_graph(
            self.nodes, "net", [self.input], [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", None])], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        if self.opset < 9:
            for weight in self.weights:
                model.graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
        onnx.save(model, str(path))
        return model


def multiplications(model, batch):
    """2 x multiplications of all Conv, Gemm and MatMul, from the shapes that onnx's own inference gives."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for given in fixed.graph.input:
        if given.name == "x":
            given.type.tensor_type.shape.dim[0].dim_value = batch
    inferred = shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
    shapes = {value.name: [size.dim_value for size in value.type.tensor_type.shape.dim] for value in [*inferred.graph.value_info, *inferred.graph.output]}
    shapes |= {weight.name: list(weight.dims) for weight in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            w = shapes[node.input[1]]
            total += 2 * math.prod(shapes[node.output[0]]) * math.prod(w[1:])
        elif node.op_type in ("Gemm", "MatMul"):
            total += 2 * math.prod(shapes[node.output[0]]) * shapes[node.input[1]][-2]
    return total


def resnet18(path):
    net = Net(17, 3, 224, 224)
    x = net.add("Relu", net.norm(net.conv("x", 3, 64, 7, 2), 64))
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for features, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        y = net.add("Relu", net.norm(net.conv(x, channels, features, 3, stride), features))
        y = net.norm(net.conv(y, features, features, 3), features)
        if stride != 1 or channels != features:
            x = net.norm(net.conv(x, channels, features, 1, stride), features)
        x, channels = net.add("Relu", net.add("Add", x, y)), features
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    return net.save(path, net.add("Gemm", x, net.weight(512, 1000), net.weight(1000)))


def test_resnet18_has_its_operations(headroom, tmp_path):
    path = tmp_path / "resnet18.onnx"
    model = resnet18(path)
    document = check(headroom("plan", path, "--gpu", "h200", "--batch", "1,8", "--json"), "plan")
    for batch in document["plans"][0]["batches"]:
        work = sum(launch["floatingPointOperations"] for launch in batch["launches"] if launch["gemm"])
        assert work == multiplications(model, batch["rows"])
        # The paper's 1.8 billion multiplications (He et al. 2016, table 1).
        assert 1.75e9 < work / 2 / batch["rows"] < 1.9e9
        assert batch["coverage"] == {"measure": "FLOPs", "plannedShare": 1, "plannedTimeShare": 1, "isSufficient": True, "unplanned": []}
        kernels = [launch["kernel"] for launch in batch["launches"]]
        # 20 convolutions with their normalizations in them, and nothing of those left.
        assert sum("conv+batchnormalization" in kernel for kernel in kernels) == 20
        assert not any(kernel.startswith("batchnormalization") for kernel in kernels)


def test_a_mobile_network_has_its_operations(headroom, tmp_path):
    net = Net(17, 3, 64, 64)
    low, high = net.weight(values=numpy.float32(0)), net.weight(values=numpy.float32(6))
    x, channels = net.add("Clip", net.norm(net.conv("x", 3, 32, 3, 2), 32), low, high), 32
    for features in (64, 128):
        x = net.add("Clip", net.norm(net.conv(x, channels, channels, 3, 1, channels), channels), low, high)
        x, channels = net.add("HardSwish", net.norm(net.conv(x, channels, features, 1), features)), features
    path = tmp_path / "mobile.onnx"
    model = net.save(path, net.add("ReduceMean", x, axes=[2, 3], keepdims=0))
    batch = json.loads(headroom("plan", path, "--gpu", "h200", "--batch", "4", "--json"))["plans"][0]["batches"][0]
    work = sum(launch["floatingPointOperations"] for launch in batch["launches"] if "conv" in launch["kernel"])
    assert work == multiplications(model, 4)
    # A filter for each channel is bound by bytes: no product.
    assert [bool(launch["gemm"]) for launch in batch["launches"] if "conv" in launch["kernel"]] == [True, False, True, False, True]


@pytest.mark.parametrize("opset", range(7, 26))
def test_every_opset(headroom, tmp_path, opset):
    """What became an input, or a value of another meaning, on the way from opset 7 to 25."""
    net = Net(opset, 3, 20, 20)

    def constants(values):
        return net.weight(values=numpy.array(values, numpy.int64))

    x = net.norm(net.conv("x", 3, 8, 3, 2), 8)
    x = net.add("Clip", x, min=0.0, max=6.0) if opset < 11 else net.add("Clip", x, net.weight(values=numpy.float32(0)), net.weight(values=numpy.float32(6)))
    if opset < 10:
        x = net.add("Upsample", x, scales=[1.0, 1.0, 2.0, 2.0]) if opset < 9 else net.add("Upsample", x, net.weight(values=numpy.array([1, 1, 2, 2], numpy.float32)))
    elif opset < 11:
        x = net.add("Resize", x, net.weight(values=numpy.array([1, 1, 2, 2], numpy.float32)))
    else:
        # Before opset 13 the region of interest must be there, empty or not.
        x = net.add("Resize", x, net.weight(values=numpy.zeros(0, numpy.float32)) if opset < 13 else "", net.weight(values=numpy.array([1, 1, 2, 2], numpy.float32)))
    x = net.add("Pad", x, pads=[0, 0, 1, 1, 0, 0, 1, 1]) if opset < 11 else net.add("Pad", x, constants([0, 0, 1, 1, 0, 0, 1, 1]))
    x = net.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.add("Slice", x, starts=[1], ends=[9], axes=[2]) if opset < 10 else net.add("Slice", x, constants([1]), constants([9]), constants([2]))
    x = net.add("ReduceSum", x, axes=[3], keepdims=1) if opset < 13 else net.add("ReduceSum", x, constants([3]), keepdims=1)
    x = net.add("ReduceMax", x, axes=[2], keepdims=1) if opset < 18 else net.add("ReduceMax", x, constants([2]), keepdims=1)
    x = net.add("Squeeze", x, axes=[2, 3]) if opset < 13 else net.add("Squeeze", x, constants([2, 3]))
    x = net.add("Dropout", x)
    x = net.add("Softmax", net.add("MatMul", x, net.weight(8, 5)), axis=1)
    path = tmp_path / "net.onnx"
    model = net.save(path, x)
    onnx.checker.check_model(model)
    document = check(headroom("plan", path, "--gpu", "h200", "--batch", "2", "--json"), "plan")
    batch = document["plans"][0]["batches"][0]
    assert batch["coverage"]["unplanned"] == [] and batch["coverage"]["isSufficient"]
    kernels = [launch["kernel"].split("_fp16")[0] for launch in batch["launches"] if not launch["gemm"]]
    assert kernels == ["upsample" if opset < 10 else "resize", "pad", "maxpool", "reducesum", "reducemaximum", "softmax"]
    bytes_of = {launch["kernel"].split("_fp16")[0]: launch["bytes"] for launch in batch["launches"]}
    # 8 channels of 2 rows: 20 x 20, padded to 22 x 22, pooled to 11 x 11.
    assert bytes_of["maxpool"] == 2 * 8 * (22 * 22 + 11 * 11) * 2
    assert bytes_of["reducesum"] == 2 * 8 * (8 * 11 + 8) * 2


def test_dimensions_are_given_by_name_or_place(headroom, tmp_path):
    path = tmp_path / "open.onnx"
    node = helper.make_node("Relu", ["ids"], ["y"])
    for sizes, option in ((["batch", None], "ids:1=7"), (["batch", "sequence"], "sequence=7"), (["batch", -1], "ids:1=7")):
        graph = helper.make_graph(
            [node], "open", [helper.make_tensor_value_info("ids", TensorProto.FLOAT, sizes)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
        assert "--dimension ids:1=SIZE" in headroom("plan", path, "--gpu", "h200", status=1)
        batch = json.loads(headroom("plan", path, "--gpu", "h200", "--batch", "2", "--dimension", option, "--json"))["plans"][0]["batches"][0]
        assert batch["launches"][0]["bytes"] == 2 * 7 * 2 * 2


def test_a_dimension_that_names_nothing_is_refused(headroom, tmp_path):
    path = tmp_path / "open.onnx"
    graph = helper.make_graph(
        [helper.make_node("Relu", ["ids"], ["y"])], "open", [helper.make_tensor_value_info("ids", TensorProto.FLOAT, ["batch", "seq", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    good = ["--dimension", "seq=7"]
    for name in ("sequ", "ids:2", "idz:1"):
        for command in (["plan", path, "--gpu", "h200"], ["plan", "--coverage", tmp_path], ["export", path, "-o", tmp_path / "out.onnx"]):
            error = headroom(*command, *good, "--dimension", f"{name}=9", status=64)
            assert f"--dimension {name}=9: no input has a dynamic axis '{name}'; there are batch, seq" in error, error
    assert "sizes an axis of an ONNX file" in headroom("plan", "linear", "--gpu", "h200", *good, status=64)
    headroom("plan", "--coverage", tmp_path, *good)


def test_folders_without_files_and_folders_for_files(headroom, tmp_path):
    assert f"no .onnx file in {tmp_path}" in headroom("plan", "--coverage", tmp_path, status=64)
    assert "is a folder: give the .onnx file in it" in headroom("plan", tmp_path, "--gpu", "h200", status=64)


def test_the_band_of_convolutions_is_said_not_to_be_measured(headroom, tmp_path):
    text = headroom("plan", DATA / "node/test_basic_conv_with_padding/model.onnx", "--gpu", "h200", "--wide")
    assert "note: convolutions, recurrences and attention are predicted as GEMMs" in text and "large GEMM" not in text
    assert "batch size 1" in text and ", 1 kernel;" in text
    text = headroom("plan", "linear", "--gpu", "h200", "--batch", "8", "--wide")
    assert "predicted as GEMMs" not in text and "20 large GEMMs" in text


def test_what_is_not_planned_is_named(headroom, tmp_path):
    path = tmp_path / "mystery.onnx"
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Mystery", ["h"], ["y"], name="riddle", domain="com.example")], "mystery",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(numpy.zeros((64, 32), numpy.float32), "w")])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    text = headroom("plan", path, "--gpu", "h200", "--batch", "8", "--wide")
    found = re.search(r"PARTIAL PLAN: (.+) % of FLOPs, (.+) % of the predicted time planned", text)
    assert found and 99 < float(found[1]) < 100 and 20 < float(found[2]) < 80, text
    assert re.search(r'riddle", 0.\d+ % of FLOPs, \d+ % of the time: no rule', text), text
    table = headroom("plan", "--coverage", tmp_path)
    assert "without a rule of their own: com.example.Mystery (1 file)." in table
    document = check(headroom("plan", "--coverage", tmp_path, "--json"), "coverage")
    assert document["operatorsWithoutRule"] == ["com.example.Mystery"]
    assert 'com.example.Mystery "riddle"' in text and "no rule for operator com.example.Mystery" in text


def test_a_fixed_batch_counts_its_own_rows(headroom, tmp_path):
    path = tmp_path / "fixed.onnx"
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "fixed", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 32])], [numpy_helper.from_array(numpy.zeros((64, 32), numpy.float32), "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    batches = json.loads(headroom("plan", path, "--gpu", "h200", "--batch", "4,256", "--json"))["plans"][0]["batches"]
    assert [(batch["runs"], batch["computedRows"]) for batch in batches] == [(1, 4), (64, 256)]
    assert math.isclose(batches[0]["totals"]["rowsPerSecond"], batches[1]["totals"]["rowsPerSecond"])
    assert "64 runs of the model's 4" in headroom("plan", path, "--gpu", "h200", "--batch", "256")
    # Without --batch the model's own rows.
    assert [batch["rows"] for batch in json.loads(headroom("plan", path, "--gpu", "h200", "--json"))["plans"][0]["batches"]] == [4]


def test_a_list_of_products_from_a_spreadsheet(headroom, tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_bytes("\ufeffm,n,k\r\n256,1024,1024\r\n".encode())
    document = check(headroom("plan", "--gemm-file", path, "--gpu", "h200", "--json"), "gemms")
    assert [(row["m"], row["n"], row["k"]) for row in document["predictions"]] == [(256, 1024, 1024)]
