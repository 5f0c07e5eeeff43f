"""Which of Triton's QA files run, with which repository, flags and environment: what their test.sh files do, as data.

A job is one start of the server and the cases run against it. `NOT_RUN` says of every other case why.
"""

from dataclasses import dataclass, field

import repositories as r


@dataclass
class Job:
    file: str
    repository: object
    tests: list = field(default_factory=list)
    flags: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)
    patches: list = field(default_factory=list)
    note: str = ""
    # For the starts that must fail: what the log must say. No case of the file runs.
    must_not_start: str = ""
    pytest: bool = False
    own_server: bool = True
    timeout: int = 180

    @property
    def title(self):
        tests = ", ".join(test.split(".")[-1] for test in self.tests) if self.tests else ""
        return " ".join(part for part in (self.file, tests, f"[{self.note}]" if self.note else "") if part)


EXPLICIT = ["--model-control-mode=explicit"]
SHM = ["--allow-client-shm=true"]


def batcher():
    file, of = "L0_batcher/batcher_test.py", "BatcherTest."
    environment = {"BACKENDS": "onnx"}
    everywhere = [
        "static_batch_preferred", "static_batch_lt_any_preferred", "static_batch_not_preferred", "static_batch_gt_max_preferred",
        "multi_batch_not_preferred", "multi_batch_gt_max_preferred", "multi_batch_sum_gt_max_preferred", "multi_same_output0",
        "multi_same_output1", "multi_different_outputs", "multi_different_output_order",
    ]
    for kind, repository in (("FIXED", r.batcher_fixed), ("VARIABLE", r.batcher_variable)):
        for name in everywhere:
            yield Job(file, repository, [f"{of}test_{name}"], environment={**environment, "BATCHER_TYPE": kind}, note=kind.lower())
    variable = {**environment, "BATCHER_TYPE": "VARIABLE"}
    for name in ("multi_batch_not_preferred_different_shape", "multi_batch_preferred_different_shape", "multi_batch_different_shape"):
        yield Job(file, r.batcher_variable, [f"{of}test_{name}"], environment=variable, note="variable")
    for name, delay in (("default", 0), ("non_default", 20_000)):
        yield Job(
            file, r.batcher_delay(delay), [f"{of}test_max_queue_delay_only_{name}"],
            environment={**environment, "MAX_QUEUE_DELAY_MICROSECONDS": str(delay)})
    yield Job("L0_batcher/queue_timeout_test.py", r.batcher_timeout)


def model_queue():
    file, of = "L0_model_queue/model_queue_test.py", "ModelQueueTest."
    wait = "max_queue_delay_microseconds: 10000000"
    policies = {
        "max_queue_size": ("default_queue_policy { max_queue_size: 8 }", 5000),
        "policy_delay": (f"{wait} default_queue_policy {{ timeout_action: DELAY default_timeout_microseconds: 100000 }}", None),
        "policy_reject": (f"{wait} default_queue_policy {{ default_timeout_microseconds: 100000 }}", None),
        "timeout_override": (
            f"{wait} default_queue_policy {{ allow_timeout_override: true default_timeout_microseconds: 1000000 }}", None),
        "priority_levels": (f"{wait} priority_levels: 2 default_priority_level: 2", None),
        "max_priority_levels": (f"{wait} priority_levels: {2**64 - 1} default_priority_level: {2**32}", None),
    }
    for name, (policy, delay) in policies.items():
        yield Job(file, r.model_queue(policy, delay), [f"{of}test_{name}"], patches=["steps-for-ensembles"])
    yield Job(file, r.model_queue_priorities, [f"{of}test_priority_with_policy"], patches=["steps-for-ensembles"])


def rate_limiter():
    file, of = "L0_rate_limiter/rate_limiter_test.py", "RateLimiterTest."
    on = ["--rate-limit=execution_count"]
    resource = lambda *texts: [f"--rate-limit-resource={text}" for text in texts]
    limited = "test_cross_model_prioritization_limited_resource"
    yield Job(file, r.rate_limited_pair, [of + limited], on + resource("resource1:4", "resource2:2"), note="explicit")
    yield Job(file, r.rate_limited_pair, [of + limited], on, note="implicit")
    plenty = resource("resource1:6", "resource2:2")
    yield Job(file, r.rate_limited_pair, [of + "test_cross_model_prioritization_plenty_resource"], on + plenty)
    yield Job(file, r.rate_limited_instances, [of + "test_single_model"], on, note="limited")
    yield Job(file, r.rate_limited_instances, [of + "test_single_model"], on + plenty, note="plenty")
    too_few = (
        'Resource count for "resource1" is limited to {} which will prevent scheduling of one or more model instances, '
        "the minimum required count is 4")
    for note, repository, flags, count in [
        ("resource1:1", r.rate_limited_pair, resource("resource1:1"), 1),
        ("resource1:3", r.rate_limited_pair, resource("resource1:3", "resource2:2"), 3),
        ("resource1:10:10", r.rate_limited_pair, resource("resource1:10:10", "resource2:2"), 0),
        ("two instances, resource1:3", r.rate_limited_instances, resource("resource1:3", "resource2:2"), 3),
    ]:
        yield Job(file, repository, flags=on + flags, must_not_start=too_few.format(count), note=note)
    yield Job(
        file, r.rate_limited_conflict, flags=on, note="conflict",
        must_not_start='Resource "resource2" is present as both global and device-specific resource in the model configuration.')


def http():
    yield Job("L0_http/http_test.py", r.http_unit, flags=EXPLICIT + ["--load-model=*"], timeout=400)
    yield Job("L0_http/python_http_aio_test.py", r.examples(), flags=SHM)
    yield Job(
        "L0_http/http_restricted_api_test.py", r.examples(),
        flags=["--http-restricted-api=model-repository:admin-key=admin-value",
               "--http-restricted-api=inference,metadata:infer-key=infer-value"])
    limit = "L0_http/http_input_size_limit_test.py"
    of = "InferSizeLimitTest.test_"
    default = [
        "default_limit_raw_binary", "default_limit_json", "large_string_in_json", "default_limit_compressed",
        "json_dtype_size_expansion_exceeds_limit_error", "no_leak_on_invalid_inference_header_length"]
    yield Job(limit, r.size_limits, [of + name for name in default], timeout=500, note="default")
    larger = ["large_input_raw_binary", "large_input_json", "large_input_compressed"]
    yield Job(limit, r.size_limits, [of + name for name in larger], [f"--http-max-input-size={1 << 27}"], timeout=500, note="128 MiB")
    yield Job(limit, r.size_limits, flags=["--http-max-input-size=0"], note="0", must_not_start="http-max-input-size")
    yield Job(limit, r.size_limits, flags=["--http-max-input-size=-1024"], note="-1024", must_not_start="http-max-input-size")
    yield Job(
        "L0_http/http_request_many_chunks.py", r.only_simple, flags=SHM + EXPLICIT + ["--load-model=simple"], timeout=600)


def grpc():
    yield Job("L0_grpc/python_grpc_aio_test.py", r.examples(extra=("inception_onnx",)), flags=SHM)
    unit = "L0_grpc/python_unit_test.py"
    yield Job(unit, r.grpc_unit, ["GrpcTest"], timeout=300)
    yield Job(
        unit, r.only_simple, ["RestrictedProtocolTest"],
        ["--grpc-restricted-protocol=model-repository:admin-key=admin-value",
         "--grpc-restricted-protocol=inference,health:infer-key=infer-value"])
    for note, groups, says in [
        ("repeated protocol", ["model-repository,health:k1=v1", "metadata,health:k2=v2"],
         "protocol 'health' can not be specified in multiple config groups"),
        ("unknown protocol", ["model-reposit,health:k1=v1", "metadata,health:k2=v2"], "unknown restricted protocol 'model-reposit'"),
    ]:
        yield Job(unit, r.only_simple, flags=[f"--grpc-restricted-protocol={group}" for group in groups], must_not_start=says, note=note)


def input_validation():
    file = "L0_input_validation/input_validation_test.py"
    yield Job(file, r.input_validation, ["InputValTest"])
    yield Job(
        file, r.input_shapes, ["InputShapeTest.test_input_shape_validation", "InputShapeTest.test_input_string_shape_validation"], SHM)
    yield Job(file, r.nothing, ["ModelNameValidationTest"], EXPLICIT)


def shared_memory():
    file, of = "L0_shared_memory/shared_memory_test.py", "SharedMemoryTest.test_"
    for client in ("http", "grpc"):
        environment = {"CLIENT_TYPE": client, "BACKENDS": "onnx"}
        yield Job(file, r.only_simple, [of + "client_shm_disabled_by_default"], environment=environment, note=client)
        for name in [
            "invalid_create_shm", "valid_create_set_register", "unregister_before_register", "unregister_after_register",
            "reregister_after_register", "unregister_after_inference", "register_after_inference", "too_big_shm", "mixed_raw_shm",
            "unregisterall", "infer_offset_out_of_bound", "infer_byte_size_out_of_bound", "infer_integer_overflow",
            "register_out_of_bound", "register_reserved_names", "register_invalid_shm_key", "python_client_leak",
        ]:
            yield Job(file, r.only_simple, [of + name], SHM, environment, note=client)
        for name in ("during_inference_single_req", "during_inference_multiple_req", "after_inference"):
            yield Job(
                file, r.slow_simple, [f"TestSharedMemoryUnregister.test_unregister_shm_{name}_{client}"], SHM, environment, note=client)
        yield Job(file, r.sums_of_int32, [of + "large_shm_register_offset"], SHM, environment, note=client)


def settings():
    yield Job("L0_logging/logging_endpoint_test.py", r.only_simple)
    yield Job("L0_logging/log_format_test.py", None, pytest=True, own_server=False, timeout=500)
    yield Job(
        "L0_trace/trace_endpoint_test.py", r.only_simple,
        flags=["--trace-config", "triton,file=global_unittest.log", "--trace-config", "level=TIMESTAMPS", "--trace-config", "rate=1"])


def infer():
    cpu = {"BACKENDS": "onnx", "ENSEMBLES": "0", "TRITON_SERVER_CPU_ONLY": "1"}
    # Only infer_test.py knows what shared memory cannot hold: the other files' test.sh have no such run.
    for note, environment, flags in (("", {}, []), ("system shared memory", {"TEST_SYSTEM_SHARED_MEMORY": "1"}, SHM)):
        yield Job(
            "L0_infer/infer_test.py", r.infer, environment={**cpu, **environment}, flags=flags, patches=["no-ensembles", "only-onnx"],
            note=note, timeout=400)
    for file, repository in (
        ("L0_infer_zero/infer_zero_test.py", r.infer_zero), ("L0_infer_reshape/infer_reshape_test.py", r.infer_reshape),
        ("L0_infer_variable/infer_variable_test.py", r.infer_variable),
    ):
        yield Job(file, repository, environment=cpu, patches=["no-ensembles"], timeout=400)


def small():
    optional, of = "L0_optional_input/optional_input_test.py", "OptionalInputTest.test_"
    for name in ("all_inputs", "optional_same_input", "optional_mix_inputs", "optional_mix_inputs_2"):
        yield Job(optional, r.optional_inputs, [of + name])
    queue, of = "L0_metrics/metrics_queue_size_test.py", "MetricsPendingRequestCountTest.test_"
    yield Job(queue, r.queue_sizes, [of + name for name in ("default_scheduler", "dynamic_batch_scheduler", "fail_max_queue_size")])
    for client in ("http", "grpc"):
        yield Job("L0_parameters/class_count_test.py", r.classes, environment={"CLIENT_TYPE": client}, note=client)
    yield Job("L0_client_timeout/client_infer_timeout_test.py", r.client_timeouts)
    yield Job(
        "L0_request_cancellation/scheduler_test.py", r.cancelled,
        ["TestScheduler.test_dynamic_batch_scheduler_request_cancellation"])
    yield Job("L0_output_name/output_name_test.py", r.output_names)
    yield Job("L0_scalar_io/scalar_test.py", r.scalar_models)
    yield Job("L0_scalar_io/scalar_test.py", r.scalar_model_of_two, must_not_start="onnx_scalar_1dim", note="dims [2]")


def jobs():
    """Every job; those that take long first, so that none is waited for alone."""
    made = [
        job for group in (infer, http, grpc, shared_memory, settings, batcher, model_queue, rate_limiter, small, input_validation)
        for job in group()]
    return sorted(made, key=lambda job: -job.timeout)


ENSEMBLE = "an ensemble, which this server refuses by name"
SEQUENCE = "sequence batching, which this server refuses by name"
HOOK = "needs TRITONSERVER_DELAY_SCHEDULER, a hook of Triton's own builds that holds the batcher until so many requests are queued"
PYTHON = "a model of the Python backend, which this server has not"
NGINX = "tests a proxy (nginx) before the server"

# file, what is not run ("" for the whole file, which is not counted in cases), why.
NOT_RUN = [
    ("L0_batcher/batcher_test.py", [f"test_{name} [{kind}]" for kind in ("fixed", "variable") for name in (
        "multi_batch_delayed_sum_gt_max_preferred", "multi_batch_use_biggest_preferred", "multi_batch_use_best_preferred",
        "multi_batch_delayed_use_max_batch")] + ["test_multi_batch_delayed_preferred_different_shape"] + [
        f"test_preferred_batch_only_{name}" for name in ("aligned", "unaligned", "use_biggest_preferred", "use_no_preferred_size")] + [
        "test_multi_batch_preserve_ordering [not preserved]", "test_multi_batch_preserve_ordering [preserved]"], HOOK),
    ("L0_batcher/batcher_test.py", ["test_multi_batch_different_shape_allow_ragged"],
     "ragged batches: requests of different shapes are batched apart here, and allow_ragged_batch is named in a warning"),
    ("L0_rate_limiter/rate_limiter_test.py", ["test_single_model_dynamic_batching"], HOOK),
    ("L0_rate_limiter/rate_limiter_test.py", ["test_single_model_sequence_batching"], SEQUENCE),
    ("L0_optional_input/optional_input_test.py", [f"test_ensemble_{name}" for name in (
        "all_inputs", "optional_same_input", "optional_mix_inputs", "optional_mix_inputs_2", "optional_pipeline",
        "optional_connecting_tensor")], ENSEMBLE),
    ("L0_metrics/metrics_queue_size_test.py", [
        "test_sequence_batch_scheduler_direct", "test_sequence_batch_scheduler_oldest"], SEQUENCE),
    ("L0_metrics/metrics_queue_size_test.py", ["test_ensemble_scheduler"], ENSEMBLE),
    ("L0_infer/infer_test.py", [f"test_ensemble_{name}" for name in (
        "mix_platform", "mix_type", "mix_ensemble", "mix_batch_nobatch", "label_lookup")], ENSEMBLE),
    ("L0_input_validation/input_validation_test.py", ["test_wrong_input_shape_tensor_size"],
     "shape tensors of TensorRT, whose engines this server has not"),
    ("L0_request_cancellation/scheduler_test.py", [
        "test_sequence_batch_scheduler_backlog_request_cancellation", "test_direct_sequence_batch_scheduler_request_cancellation",
        "test_oldest_sequence_batch_scheduler_request_cancellation", "test_scheduler_streaming_request_cancellation"], SEQUENCE),
    ("L0_request_cancellation/scheduler_test.py", ["test_ensemble_scheduler_request_cancellation"], ENSEMBLE),
    ("L0_client_timeout/client_non_infer_timeout_test.py", ["whole file"],
     "needs TRITONSERVER_SERVER_DELAY_GRPC_RESPONSE_SEC, a hook of Triton's own builds that delays every answer"),
    ("L0_parameters/parameters_test.py", ["whole file"], PYTHON + "; asks what parameters it was given"),
    ("L0_http/http_basic_auth_test.py", ["HTTPBasicAuthTest", "HTTPBasicAuthAsyncTest"], NGINX),
    ("L0_grpc/grpc_basic_auth_test.py", ["GRPCBasicAuthTest", "GRPCBasicAuthAsyncTest"], NGINX),
    ("L0_http/http_client_plugin_test.py", ["whole file"], PYTHON + "; tests the client's plug-ins"),
    ("L0_grpc/grpc_client_plugin_test.py", ["whole file"], PYTHON + "; tests the client's plug-ins"),
    ("L0_http/generate_endpoint_test.py", ["whole file"], PYTHON + " (mock_llm, decoupled)"),
    ("L0_trace/opentelemetry_unittest.py", ["whole file"], "trace mode opentelemetry, which this server refuses by name"),
    ("L0_metrics/metrics_config_test.py", ["whole file"], "the response cache and decoupled models, which this server refuses by name"),
    ("L0_metrics/histogram_metrics_test.py", ["whole file"], "decoupled models, which this server refuses by name"),
    ("L0_metrics/pinned_memory_metrics_test.py", ["whole file"], "gauges of CUDA's pinned memory"),
]

NAME = 'GET /v2 says "headroom", not "triton"'
TOO_LARGE = "a body beyond the limit is answered with 413, not 400; the text is Triton's"
MALFORMED = "malformed JSON of a request is answered with 400, not 500; the text is Triton's"
CHUNKS = "any number of chunks is taken: small ones are gathered, so that they cost what they hold"
TENSORS = "trace level TENSORS is refused by name"

# Cases that fail by decision: (file, case) to the reason, which Docs/compatibility.md has too.
DIFFERENT = {
    ("L0_http/python_http_aio_test.py", "test_get_server_metadata"): NAME,
    ("L0_grpc/python_grpc_aio_test.py", "test_get_server_metadata"): NAME,
    ("L0_grpc/python_grpc_aio_test.py", "test_register_cuda_shared_memory"):
        "expects the CUDA driver's refusal; this server answers as a Triton built without GPUs does: GPUs not supported",
    ("L0_http/http_request_many_chunks.py", "test_chunked_infer_rejected_over_max_chunks"): CHUNKS,
    ("L0_http/http_request_many_chunks.py", "test_chunked_infer_over_max_chunks_reject_with_bounded_rss_growth"): CHUNKS,
    ("L0_http/http_test.py", "test_negative_dimensions"): MALFORMED,
    ("L0_http/http_test.py", "test_content_encoding_chunked_manually"):
        "a request with Content-Length and Transfer-Encoding is refused with 400 (RFC 9112, 6.3): proxies disagree about its end",
    ("L0_http/http_test.py", "test_repository_index_deeply_nested_json"): "refused with 400, but for its nesting, not for its type",
    **{("L0_http/http_input_size_limit_test.py", f"test_{name}"): TOO_LARGE for name in (
        "default_limit_raw_binary", "default_limit_json", "large_string_in_json", "default_limit_compressed",
        "json_dtype_size_expansion_exceeds_limit_error", "large_input_raw_binary", "large_input_json", "large_input_compressed")},
    **{("L0_trace/trace_endpoint_test.py", f"test_{client}_update_settings"): TENSORS for client in ("http", "grpc")},
}
