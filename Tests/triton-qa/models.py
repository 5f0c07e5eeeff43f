"""Models of the names, types and shapes that Triton's QA files ask for, made with PyPI's onnx.

Written from what qa/common/gen_qa_*.py of triton-inference-server/server documents of its models: sums and differences
(`onnx_float32_float32_float32`: OUTPUT0 = INPUT0 + INPUT1, OUTPUT1 = INPUT0 - INPUT1, the other way round in versions 2 and 3), copies
(`onnx_zero_1_float32`), copies under reshaped inputs, scalars. `max_batch` 0 is a model without batching ("nobatch" in its name).
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

STRING = np.dtype(object)

ONNX_TYPES = {
    "bool": TensorProto.BOOL, "int8": TensorProto.INT8, "int16": TensorProto.INT16, "int32": TensorProto.INT32,
    "int64": TensorProto.INT64, "uint8": TensorProto.UINT8, "float16": TensorProto.FLOAT16, "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE, "object": TensorProto.STRING,
}
CONFIG_TYPES = {
    "bool": "TYPE_BOOL", "int8": "TYPE_INT8", "int16": "TYPE_INT16", "int32": "TYPE_INT32", "int64": "TYPE_INT64",
    "uint8": "TYPE_UINT8", "float16": "TYPE_FP16", "float32": "TYPE_FP32", "float64": "TYPE_FP64", "object": "TYPE_STRING",
}
# Operators of the QA models exist since long; a fixed pair keeps the files the same whatever onnx is installed.
OPSET, IR_VERSION = 13, 8


class Tensor:
    """An input or an output: its name, numpy type name, dims without the batch, and what a configuration may say of it."""

    def __init__(self, name, dtype, dims, reshape=None, label_file=None, optional=False):
        self.name, self.dtype, self.dims, self.reshape = name, np.dtype(dtype).name, list(dims), reshape
        self.label_file, self.optional = label_file, optional

    def text(self):
        lines = [f'    name: "{self.name}"', f"    data_type: {CONFIG_TYPES[self.dtype]}", f"    dims: {self.dims}"]
        if self.reshape is not None:
            lines.append(f"    reshape {{ shape: {list(self.reshape)} }}")
        if self.label_file:
            lines.append(f'    label_filename: "{self.label_file}"')
        if self.optional:
            lines.append("    optional: true")
        return "  {\n" + "\n".join(lines) + "\n  }"

    def value_info(self, batch, prefix):
        """The tensor in the graph, whose shape is the reshaped one; every open dimension has a name of its own."""
        dims = self.dims if self.reshape is None else list(self.reshape)
        named = [f"{prefix}_{index}" if dim == -1 else dim for index, dim in enumerate(dims)]
        return helper.make_tensor_value_info(self.name, ONNX_TYPES[self.dtype], ([None] if batch else []) + named)


def configuration(name, max_batch, inputs, outputs, platform='platform: "onnxruntime_onnx"', extra=""):
    tensors = lambda kind, list_: f"{kind} [\n" + ",\n".join(tensor.text() for tensor in list_) + "\n]\n"
    return (
        f'name: "{name}"\n{platform}\nmax_batch_size: {max_batch}\n{tensors("input", inputs)}{tensors("output", outputs)}{extra}\n')


def write(repository, name, config, files=None, versions=(1,)):
    """A model's folder: its configuration, its files by relative path, its version folders."""
    folder = Path(repository) / name
    for version in versions:
        (folder / str(version)).mkdir(parents=True, exist_ok=True)
    (folder / "config.pbtxt").write_text(config)
    for path, content in (files or {}).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def graph(name, nodes, inputs, outputs, batch):
    made = helper.make_graph(
        nodes, name, [tensor.value_info(batch, f"in{index}") for index, tensor in enumerate(inputs)],
        [tensor.value_info(batch, f"out{index}") for index, tensor in enumerate(outputs)])
    model = helper.make_model(made, opset_imports=[helper.make_operatorsetid("", OPSET)], producer_name="headroom-triton-qa")
    model.ir_version = IR_VERSION
    return model.SerializeToString()


def names_of(*dtypes):
    return "_".join(np.dtype(dtype).name for dtype in dtypes)


def sum_graph(name, input_type, output0_type, output1_type, dims, batch, swap):
    """INPUT0 + INPUT1 and INPUT0 - INPUT1, cast to the outputs' types. Types without Add in ONNX compute in int32, as Triton's do."""
    inputs = [Tensor("INPUT0", input_type, dims), Tensor("INPUT1", input_type, dims)]
    outputs = [Tensor("OUTPUT0", output0_type, dims), Tensor("OUTPUT1", output1_type, dims)]
    wide = np.dtype(input_type).name in ("int8", "int16", "object")
    nodes = []
    for index in range(2):
        source = dict(inputs=[f"INPUT{index}"], outputs=[f"value{index}"])
        nodes.append(helper.make_node("Cast", to=TensorProto.INT32, **source) if wide else helper.make_node("Identity", **source))
    nodes.append(helper.make_node("Add", ["value0", "value1"], ["result1" if swap else "result0"]))
    nodes.append(helper.make_node("Sub", ["value0", "value1"], ["result0" if swap else "result1"]))
    for index, output in enumerate(outputs):
        result = dict(inputs=[f"result{index}"], outputs=[output.name])
        # A cast also where the type stays, as in Triton's models; not of float16, which some runtimes widen then.
        same = output.dtype == "float16" == np.dtype(input_type).name
        nodes.append(
            helper.make_node("Identity", **result) if same else helper.make_node("Cast", to=ONNX_TYPES[output.dtype], **result))
    return graph(name, nodes, inputs, outputs, batch)


def sums(
    repository, input_type, output0_type, output1_type, dims=(16,), max_batch=8, labels=16, version_policy="", versions=(1,),
    prefix="onnx", name=None, extra=""
):
    """`onnx_float32_float32_float32` and its kind; versions above 1 have the outputs the other way round."""
    name = name or f"{prefix}{'' if max_batch else '_nobatch'}_{names_of(input_type, output0_type, output1_type)}"
    inputs = [Tensor("INPUT0", input_type, dims), Tensor("INPUT1", input_type, dims)]
    outputs = [
        Tensor("OUTPUT0", output0_type, dims, label_file="output0_labels.txt" if labels else None), Tensor("OUTPUT1", output1_type, dims)]
    files = {
        f"{version}/model.onnx": sum_graph(name, input_type, output0_type, output1_type, dims, max_batch > 0, version > 1)
        for version in versions}
    if labels:
        files["output0_labels.txt"] = "".join(f"label{index}\n" for index in range(labels))
    return write(
        repository, name, configuration(name, max_batch, inputs, outputs, extra=f"{version_policy}\n{extra}"), files, versions)


def copies(
    repository, dtype, dims, count=1, max_batch=8, reshapes=None, output_dims=None, output_reshapes=None, prefix="onnx", name=None,
    extra=""
):
    """`onnx_zero_1_float32` and its kind: OUTPUTn is INPUTn. `dims` is one shape for all, or (with `count` None) one an input."""
    shapes = [list(dims)] * count if count else [list(shape) for shape in dims]
    output_shapes = [list(shape) for shape in (output_dims or shapes)]
    reshapes, output_reshapes = reshapes or [None] * len(shapes), output_reshapes or reshapes or [None] * len(shapes)
    name = name or f"{prefix}{'' if max_batch else '_nobatch'}_zero_{len(shapes)}_{np.dtype(dtype).name}"
    inputs = [
        Tensor(f"INPUT{index}", dtype, shape, reshape=reshape if reshape != shape else None)
        for index, (shape, reshape) in enumerate(zip(shapes, reshapes))]
    outputs = [
        Tensor(f"OUTPUT{index}", dtype, shape, reshape=reshape if reshape != shape else None)
        for index, (shape, reshape) in enumerate(zip(output_shapes, output_reshapes))]
    nodes = [helper.make_node("Identity", [f"INPUT{index}"], [f"OUTPUT{index}"]) for index in range(len(shapes))]
    return write(
        repository, name, configuration(name, max_batch, inputs, outputs, extra=extra),
        {"1/model.onnx": graph(name, nodes, inputs, outputs, max_batch > 0)})


def scalars(repository, dims):
    """`onnx_scalar_1dim`: a tensor without a stated rank, whose configuration states ones."""
    name = f"onnx_scalar_{len(dims)}dim"
    tensors = [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None) for tensor in ("INPUT", "OUTPUT")]
    made = helper.make_graph([helper.make_node("Identity", ["INPUT"], ["OUTPUT"])], name, tensors[:1], tensors[1:])
    model = helper.make_model(made, opset_imports=[helper.make_operatorsetid("", OPSET)])
    model.ir_version = IR_VERSION
    text = configuration(
        name, 0, [Tensor("INPUT", "float32", dims)], [Tensor("OUTPUT", "float32", dims)], platform='backend: "onnxruntime"')
    return write(repository, name, text, {"1/model.onnx": model.SerializeToString()})


def constants(repository, name, inputs, outputs, value=1.0, max_batch=0):
    """Answers `value` whatever comes: stands in for the Python models of the input validation files, which do the same. An optional
    input has a default in the graph, so that it can be left out."""
    nodes, defaults = [], []
    for output in outputs:
        # Nothing is added from the inputs, but they are used: an engine may drop what is not.
        tensor = helper.make_tensor("value", ONNX_TYPES[output.dtype], output.dims, [value])
        nodes.append(helper.make_node("Constant", [], [f"{output.name}_value"], value=tensor))
        nodes.append(helper.make_node("Constant", [], ["zero"], value=helper.make_tensor("none", ONNX_TYPES[output.dtype], [], [0.0])))
        for index, tensor in enumerate(inputs):
            nodes.append(helper.make_node("ReduceSum", [tensor.name], [f"sum{index}"], keepdims=0))
        nodes.append(helper.make_node("Sum", [f"sum{index}" for index in range(len(inputs))], ["all"]))
        nodes.append(helper.make_node("Mul", ["all", "zero"], ["nothing"]))
        nodes.append(helper.make_node("Add", [f"{output.name}_value", "nothing"], [output.name]))
    for tensor in inputs:
        if tensor.optional:
            defaults.append(helper.make_tensor(tensor.name, ONNX_TYPES[tensor.dtype], [1], [0.0]))
    model = onnx.load_from_string(graph(name, nodes, inputs, outputs, max_batch > 0))
    model.graph.initializer.extend(defaults)
    return write(
        repository, name, configuration(name, max_batch, inputs, outputs), {"1/model.onnx": model.SerializeToString()})


def identity(repository, name, inputs, outputs, max_batch, delay_ms=None, extra=""):
    """A model of the identity backend, which is both servers' own: no file."""
    parameters = ""
    if delay_ms is not None:
        parameters = f'parameters [ {{ key: "execute_delay_ms" value: {{ string_value: "{delay_ms}" }} }} ]\n'
    return write(
        repository, name, configuration(name, max_batch, inputs, outputs, platform='backend: "identity"', extra=f"{extra}\n{parameters}"))
