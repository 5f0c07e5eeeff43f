"""Writes the ONNX files of this folder: operators that ModelGraph has not, each below 2 KB. Needs onnx==1.20.0. The same bytes each time."""
import pathlib

import numpy
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent


def save(name, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, producer_name="headroom", opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data = model.SerializeToString(deterministic=True)
    assert len(data) < 2048, name
    (HERE / f"{name}.onnx").write_bytes(data)


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING

# A convolution: rows of one 4x4 plane, one 3x3 filter holding 1...9, bias 0.5.
save(
    "conv",
    [helper.make_node("Conv", ["x", "w", "b"], ["y"], kernel_shape=[3, 3])],
    [value("x", FLOAT, ["rows", 1, 4, 4])],
    [value("y", FLOAT, ["rows", 1, 2, 2])],
    [
        numpy_helper.from_array(numpy.arange(1, 10, dtype=numpy.float32).reshape(1, 1, 3, 3), "w"),
        numpy_helper.from_array(numpy.array([0.5], dtype=numpy.float32), "b"),
    ],
)

# Two outputs of different types, and a second variable size.
save(
    "topk",
    [helper.make_node("TopK", ["x", "k"], ["values", "indices"], axis=1)],
    [value("x", FLOAT, ["rows", "columns"])],
    [value("values", FLOAT, ["rows", 2]), value("indices", INT64, ["rows", 2])],
    [numpy_helper.from_array(numpy.array([2], dtype=numpy.int64), "k")],
)

# Strings in and out: the columns in another order.
save(
    "strings",
    [helper.make_node("Gather", ["texts", "order"], ["turned"], axis=1)],
    [value("texts", STRING, ["rows", 3])],
    [value("turned", STRING, ["rows", 3])],
    [numpy_helper.from_array(numpy.array([2, 0, 1], dtype=numpy.int64), "order")],
)

# Fails while it runs, depending on the shape: 2 x n elements never fill rows of 3 unless n is a multiple of 3.
save(
    "reshape",
    [helper.make_node("Reshape", ["x", "shape"], ["y"])],
    [value("x", FLOAT, [2, "n"])],
    [value("y", FLOAT, [None, 3])],
    [numpy_helper.from_array(numpy.array([-1, 3], dtype=numpy.int64), "shape")],
)

# How many rows of output there are depends on the values.
save(
    "nonzero",
    [helper.make_node("NonZero", ["x"], ["places"])],
    [value("x", FLOAT, ["n"])],
    [value("places", INT64, [1, None])],
)

# An output that is no tensor.
save(
    "sequence",
    [helper.make_node("SplitToSequence", ["x"], ["parts"], axis=0)],
    [value("x", FLOAT, ["n"])],
    [helper.make_tensor_sequence_value_info("parts", FLOAT, None)],
)

# What the CPU device refuses by type alone, or by operator and type.
for name, kind in (("half", TensorProto.FLOAT16), ("double", TensorProto.DOUBLE), ("brain", TensorProto.BFLOAT16)):
    save(
        name,
        [helper.make_node("Add", ["x", "x"], ["y"])] if name != "brain" else [helper.make_node("Identity", ["x"], ["y"])],
        [value("x", kind, ["rows", 3])],
        [value("y", kind, ["rows", 3])],
    )
save(
    "power",
    [helper.make_node("Pow", ["x", "two"], ["y"])],
    [value("x", INT64, ["rows", 3])],
    [value("y", INT64, ["rows", 3])],
    [numpy_helper.from_array(numpy.array(2, dtype=numpy.int64), "two")],
)

# An integer is divided by an input, and by what is computed from one: zeros end the process inside ONNX Runtime.
save(
    "divide",
    [helper.make_node("Div", ["a", "b"], ["y"])],
    [value("a", TensorProto.UINT8, ["rows", 2]), value("b", TensorProto.UINT8, ["rows", 2])],
    [value("y", TensorProto.UINT8, ["rows", 2])],
)
save(
    "divide_computed",
    [helper.make_node("Mul", ["b", "b"], ["c"]), helper.make_node("Mod", ["a", "c"], ["y"])],
    [value("a", TensorProto.INT32, ["rows", 2]), value("b", TensorProto.INT32, ["rows", 2])],
    [value("y", TensorProto.INT32, ["rows", 2])],
)

# An input with a default: y = x + bias, or x + 10.
save(
    "default",
    [helper.make_node("Add", ["x", "bias"], ["y"])],
    [value("x", FLOAT, [2]), value("bias", FLOAT, [2])],
    [value("y", FLOAT, [2])],
    [numpy_helper.from_array(numpy.array([10, 10], dtype=numpy.float32), "bias")],
)
