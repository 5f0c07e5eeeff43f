"""The model repositories that Triton's test.sh files put together, one function each: `build(path)` fills an empty folder.

What stands in for what is in README.md: ONNX models take the names of TensorRT, LibTorch and Python ones where a QA file has those names
fixed; the identity backend is the same in both servers.
"""

import numpy as np

import models
from models import STRING, Tensor

VERSION_1 = "version_policy: { specific { versions: [ 1 ] } }"


def specific(*versions):
    return f"version_policy: {{ specific {{ versions: {list(versions)} }} }}"


def latest(count):
    return f"version_policy: {{ latest {{ num_versions: {count} }} }}"


ALL_VERSIONS = "version_policy: { all { } }"


# MARK: L0_batcher

BATCHING = "dynamic_batching { preferred_batch_size: [ 2, 6 ], max_queue_delay_microseconds: 10000000 }"


def batcher_fixed(path):
    models.sums(path, "float32", "float32", "float32", version_policy=VERSION_1, extra=BATCHING)


def batcher_preferred_only(path):
    models.sums(
        path, "float32", "float32", "float32", version_policy=VERSION_1, extra="dynamic_batching { preferred_batch_size: [ 4, 6 ] }")


def batcher_variable(path):
    models.sums(path, "float32", "float32", "float32", dims=(-1,), version_policy=VERSION_1, extra=BATCHING)


def custom_zero(path, max_batch, dims=(-1,), name="custom_zero_1_float32", delay_ms=None, extra=""):
    models.identity(
        path, name, [Tensor("INPUT0", "float32", dims)], [Tensor("OUTPUT0", "float32", dims)], max_batch, delay_ms, extra)


def batcher_delay(microseconds):
    batching = f"dynamic_batching {{ max_queue_delay_microseconds: {microseconds} }}"
    return lambda path: custom_zero(path, max_batch=100, delay_ms=100, extra=batching)


def batcher_timeout(path):
    policy = "default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 1000000 max_queue_size: 8 }"
    custom_zero(
        path, max_batch=1, name="dynamic_batch", delay_ms=8000,
        extra=f"instance_group [ {{ count: 1 kind: KIND_CPU }} ]\ndynamic_batching {{ preferred_batch_size: [ 1 ] {policy} }}")


def batcher_ordering(path):
    custom_zero(
        path, max_batch=4, delay_ms=100,
        extra="dynamic_batching { preferred_batch_size: [ 4 ] preserve_ordering: true }\ninstance_group [ { kind: KIND_CPU count: 2 } ]")


# MARK: L0_model_queue. The ensemble of one step is the same identity model under its name.


def model_queue(batching, delay_ms=None):
    def build(path):
        for name in ("custom_zero_1_float32", "ensemble_zero_1_float32"):
            custom_zero(
                path, max_batch=32, name=name, delay_ms=delay_ms,
                extra=f"instance_group [ {{ kind: KIND_CPU count: 1 }} ]\ndynamic_batching {{ preferred_batch_size: [ 4, 8 ] {batching} }}")

    return build


def model_queue_priorities(path):
    reject = "timeout_action: REJECT allow_timeout_override: true default_timeout_microseconds: 11000000"
    delay = reject.replace("REJECT", "DELAY")
    batching = f"""
      preferred_batch_size: [ 4, 8, 32 ] max_queue_delay_microseconds: 10000000 priority_levels: 2 default_priority_level: 2
      default_queue_policy {{ {delay} }} priority_queue_policy {{ key: 2 value: {{ {reject} }} }}"""
    for name in ("custom_zero_1_float32", "ensemble_zero_1_float32"):
        custom_zero(
            path, max_batch=32, name=name,
            extra=f"instance_group [ {{ kind: KIND_CPU count: 1 }} ]\ndynamic_batching {{ {batching} }}")


# MARK: L0_rate_limiter

FIRST_GROUP = 'instance_group [ { kind: KIND_CPU count: 1 rate_limiter { resources [ { name: "resource1" count: 4 } ] } } ]'
SECOND_GROUP = (
    'instance_group [ { kind: KIND_CPU count: 1 rate_limiter { resources [ { name: "resource1" count: 2 }, '
    '{ name: "resource2" global: True count: 2 } ] priority: 2 } } ]')


def rate_limited_pair(path):
    custom_zero(path, max_batch=4, delay_ms=100, extra=FIRST_GROUP)
    custom_zero(path, max_batch=4, delay_ms=100, name="custom_zero_1_float32_v2", extra=SECOND_GROUP)


def rate_limited_conflict(path):
    rate_limited_pair(path)
    custom_zero(
        path, max_batch=4, delay_ms=100, name="custom_zero_1_float32_v3", extra=SECOND_GROUP.replace("global: True", "global: False"))


def rate_limited_instances(path):
    custom_zero(path, max_batch=4, delay_ms=100, extra=f"{FIRST_GROUP}\n{SECOND_GROUP}")


def rate_limited_batching(path):
    custom_zero(
        path, max_batch=4, delay_ms=1000,
        extra=f"{FIRST_GROUP}\n{SECOND_GROUP}\n"
        "dynamic_batching { preferred_batch_size: [ 1, 2, 3, 4 ] max_queue_delay_microseconds: 5000000 }")


# MARK: the models of docs/examples, and what the HTTP and gRPC files use


def simple(path, name="simple"):
    models.sums(path, "int32", "int32", "int32", labels=0, name=name)


def simple_identity(path, name="simple_identity", dtype=STRING, dims=(-1,), max_batch=8):
    models.identity(path, name, [Tensor("INPUT0", dtype, dims)], [Tensor("OUTPUT0", dtype, dims)], max_batch)


def only_simple(path):
    simple(path)


def examples(extra=()):
    """Seven models as the calls of the aio files count them; the sequence models are plain ones under their names."""

    def build(path):
        simple(path)
        simple_identity(path)
        models.sums(path, STRING, STRING, STRING, labels=0, name="simple_string")
        models.sums(path, "int8", "int8", "int8", labels=0, name="simple_int8")
        for name in ("simple_sequence", "simple_dyna_sequence", "simple_string_dyna_sequence", *extra):
            simple_identity(path, name=name)

    return build


def http_unit(path):
    models.copies(path, "float32", [-1])
    models.copies(path, STRING, [-1])
    models.copies(path, "float16", [-1, -1])
    models.copies(path, "float32", [-1], count=3)
    models.copies(path, STRING, [1], name="onnx_zero_1_object_1_element")
    models.copies(
        path, "float32", [-1], name="onnx_zero_1_float32_queue",
        extra="dynamic_batching { max_queue_delay_microseconds: 1000000 preferred_batch_size: [ 8 ] "
        "default_queue_policy { max_queue_size: 1 } }")
    simple_identity(path)
    simple_identity(path, name="simple_identity_int64", dtype="int64")


def size_limits(path):
    models.copies(path, "float32", [-1])
    simple_identity(path)


def grpc_unit(path):
    simple(path)
    simple_identity(path, name="string_identity", max_batch=0)


# MARK: L0_input_validation


def input_validation(path):
    tensor = lambda index, optional=False: Tensor(f"INPUT{index}", "float32", [-1], optional=optional)
    output = [Tensor("OUTPUT0", "float32", [1])]
    models.constants(path, "input_all_required", [tensor(0), tensor(1), tensor(2)], output)
    models.constants(path, "input_optional", [tensor(0), tensor(1), tensor(2), tensor(3, optional=True)], output)
    models.constants(path, "input_all_optional", [tensor(index, optional=True) for index in range(3)], output)


def input_shapes(path):
    models.copies(
        path, "float32", [8], name="pt_identity", extra="dynamic_batching { max_queue_delay_microseconds: 1000000 }")
    models.sums(path, STRING, "int32", "int32")


def nothing(path):
    """An empty repository."""


# MARK: L0_shared_memory


def slow_simple(path):
    """Stands in for the Python model that sleeps 10 s: the files only look at what stays registered meanwhile."""
    inputs = [Tensor(f"INPUT{index}", "int32", [16]) for index in range(2)]
    outputs = [Tensor(f"OUTPUT{index}", "int32", [16]) for index in range(2)]
    models.identity(path, "simple", inputs, outputs, 8, delay_ms=10_000, extra="instance_group [ { kind: KIND_CPU } ]")


def sums_of_int32(path):
    models.sums(path, "int32", "int32", "int32")


# MARK: L0_infer and its kin

FIXED = [
    ("int8", "int8", "int8", latest(1), (1, 2, 3)), ("int16", "int16", "int16", latest(2), (1, 2, 3)),
    ("int32", "int32", "int32", ALL_VERSIONS, (1, 2, 3)), ("int64", "int64", "int64", "", (1,)),
    ("float16", "float16", "float16", specific(1), (1, 2, 3)), ("float32", "float32", "float32", specific(1, 3), (1, 2, 3)),
    ("float16", "float32", "float32", "", (1,)), ("int32", "int8", "int8", "", (1,)), ("int8", "int32", "int32", "", (1,)),
    ("int32", "int8", "int16", "", (1,)), ("int32", "float32", "float32", "", (1,)), ("float32", "int32", "int32", "", (1,)),
    ("int32", "float16", "int16", "", (1,)),
] + [(*types, "", (1,)) for types in [
    (STRING, "int32", "int32"), (STRING, STRING, STRING), (STRING, "int32", STRING), (STRING, STRING, "int32"),
    ("int32", STRING, STRING), ("int32", "int32", STRING), ("int32", STRING, "int32")]]


def infer(path):
    for *types, policy, versions in FIXED:
        for max_batch in (8, 0):
            models.sums(path, *types, max_batch=max_batch, version_policy=policy, versions=versions)


def infer_zero(path):
    for dtype, dims, count in [
        (bool, [-1], 1), (np.float32, [-1], 1), (np.float32, [-1], 3), (np.float16, [-1, -1], 1), (np.float16, [-1, -1], 3),
        (STRING, [-1], 1), (STRING, [-1, -1], 3),
    ]:
        for max_batch in (8, 0):
            models.copies(path, dtype, dims, count=count, max_batch=max_batch)


VARIABLE = [
    ("float32", "float32", "float32", (-1,), 16), ("float32", "int32", "int32", (-1, -1), 16),
    ("float32", "int64", "int64", (8, -1), 32), ("float32", "int32", "int64", (-1, 8, -1), 32),
    ("float32", "float32", "int32", (-1,), 16), ("int32", "int32", "int32", (-1, -1), 16),
    ("int32", "int32", "float32", (-1, 8, -1), 32), (STRING, STRING, STRING, (-1,), 16), (STRING, "int32", "int32", (-1, -1), 16),
    (STRING, STRING, "int32", (8, -1), 32), (STRING, "int32", STRING, (-1, 8, -1), 32),
]


def infer_variable(path):
    for *types, dims, labels in VARIABLE:
        for prefix in ("onnx", "libtorch", "plan"):
            for max_batch in (8, 0):
                models.sums(path, *types, dims=dims, max_batch=max_batch, labels=labels, prefix=prefix)


def infer_reshape(path):
    def both(dtype, dims, reshapes, prefixes=("onnx",), no_batch=True, **outputs):
        for prefix in prefixes:
            for max_batch in (8, 0) if no_batch else (8,):
                models.copies(path, dtype, dims, count=None, reshapes=reshapes, max_batch=max_batch, prefix=prefix, **outputs)

    both(STRING, ([1],), ([],), ("onnx", "libtorch"), no_batch=False)
    both("float32", ([1],), ([],), no_batch=False)
    both("float32", ([1], [8]), ([], [4, 1, 2]), no_batch=False)
    both("float32", ([1],), ([1, 1, 1],), ("libtorch",), no_batch=False)
    both("float32", ([1], [8]), ([1, 1, 1], [4, 1, 2]), ("libtorch",), no_batch=False)
    both("float32", ([1], [8]), ([1, 1, 1], [4, 1, 2]), ("plan",))
    both("float32", ([4, 4], [2], [2, 2, 3]), ([16], [1, 2], [3, 2, 2]), ("onnx", "libtorch"))
    flat = ([16], [1, 2], [3, 2, 2], [1])
    both(
        "float32", ([4, 4], [2], [2, 2, 3], [1]), flat, ("onnx", "libtorch"), output_dims=flat, output_reshapes=flat)
    deep = ([2, 2, 4], [1, 2, 1], [3, 2, 2], [1, 1, 1])
    both("float32", ([4, 4], [2], [2, 2, 3], [1]), deep, ("plan",), output_dims=deep, output_reshapes=deep)
    both("int32", ([2, 4, -1, 6],), ([8, -1, 1, 6],))
    both("int32", ([1, -1, 1], [-1], [2, 2, 3]), ([-1], [1, -1, 1], [3, 2, 2]))
    columns = ([1, -1], [1, 2])
    both("int32", ([-1, 1], [2]), columns, output_dims=columns, output_reshapes=columns)


# MARK: the small ones


def optional_inputs(path):
    inputs = [Tensor(f"INPUT{index}", "float32", [1], optional=True) for index in range(2)]
    outputs = [Tensor(f"OUTPUT{index}", "float32", [1]) for index in range(2)]
    models.identity(
        path, "identity_2_float32", inputs, outputs, 4,
        extra="dynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 5000000 }\n"
        "instance_group [ { kind: KIND_CPU } ]")


def queue_sizes(path):
    def delayed(name, batching=""):
        models.identity(
            path, name, [Tensor("INPUT0", "float32", [1])], [Tensor("OUTPUT0", "float32", [1])], 4, delay_ms=2000,
            extra=f"instance_group [ {{ count: 1 kind: KIND_CPU }} ]\n{batching}")

    delay = "max_queue_delay_microseconds: 100000"
    delayed("default")
    delayed("dynamic", f"dynamic_batching {{ {delay} }}")
    delayed("max_queue_size", f"dynamic_batching {{ {delay} default_queue_policy {{ max_queue_size: 4 }} }}")


def classes(path):
    for name, dtype in (("identity_fp32", "float32"), ("identity_bytes", STRING)):
        simple_identity(path, name=name, dtype=dtype, max_batch=64)


def client_timeouts(path):
    models.identity(
        path, "custom_identity_int32", [Tensor("INPUT0", "int32", [-1])], [Tensor("OUTPUT0", "int32", [-1])], 1024, delay_ms=3000,
        extra=f"{latest(1)}\ninstance_group [ {{ kind: KIND_CPU }} ]")


def cancelled(path):
    custom_zero(
        path, max_batch=2, name="dynamic_batch", delay_ms=6000,
        extra="instance_group [ { count: 1 kind: KIND_CPU } ]\ndynamic_batching { max_queue_delay_microseconds: 600000 }")


def output_names(path):
    for prefix in ("onnx", "libtorch", "plan"):
        models.copies(path, "float32", [-1], max_batch=0, prefix=prefix)


def scalar_models(path):
    models.scalars(path, [1])
    models.scalars(path, [1, 1])


def scalar_model_of_two(path):
    models.scalars(path, [1])
    configuration = path / "onnx_scalar_1dim" / "config.pbtxt"
    configuration.write_text(configuration.read_text().replace("dims: [1]", "dims: [2]"))
