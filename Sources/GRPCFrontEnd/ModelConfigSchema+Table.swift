/// The schema of `ModelConfig` as lines: what a JSON configuration's fields are called on the wire.
///
/// Names and numbers: triton-inference-server/common `protobuf/model_config.proto`, as the published Python client's descriptors give them
/// (tritonclient 2.50.0), and `model_metrics` and `max_inflight_requests`, which came later, as that file does. `Tests/peers/test_grpc_wire.py` checks every one of them against those descriptors.
extension ModelConfigSchema {
  static let table = """
    message ModelConfig
    1 name string
    2 platform string
    3 version_policy ModelVersionPolicy
    4 max_batch_size int32
    5 input repeated ModelInput
    6 output repeated ModelOutput
    7 instance_group repeated ModelInstanceGroup
    8 default_model_filename string
    9 cc_model_filenames map<string,string>
    10 metric_tags map<string,string>
    11 dynamic_batching ModelDynamicBatching
    12 optimization ModelOptimizationPolicy
    13 sequence_batching ModelSequenceBatching
    14 parameters map<string,ModelParameter>
    15 ensemble_scheduling ModelEnsembling
    16 model_warmup repeated ModelWarmup
    17 backend string
    18 model_operations ModelOperations
    19 model_transaction_policy ModelTransactionPolicy
    20 batch_input repeated BatchInput
    21 batch_output repeated BatchOutput
    23 model_repository_agents ModelRepositoryAgents
    24 response_cache ModelResponseCache
    25 runtime string
    26 model_metrics ModelMetrics
    message ModelVersionPolicy
    1 latest ModelVersionPolicy.Latest
    2 all ModelVersionPolicy.All
    3 specific ModelVersionPolicy.Specific
    message ModelVersionPolicy.Latest
    1 num_versions uint32
    message ModelVersionPolicy.All
    message ModelVersionPolicy.Specific
    1 versions repeated int64
    message ModelInput
    1 name string
    2 data_type DataType
    3 format ModelInput.Format
    4 dims repeated int64
    5 reshape ModelTensorReshape
    6 is_shape_tensor bool
    7 allow_ragged_batch bool
    8 optional bool
    9 is_non_linear_format_io bool
    message ModelTensorReshape
    1 shape repeated int64
    message ModelOutput
    1 name string
    2 data_type DataType
    3 dims repeated int64
    4 label_filename string
    5 reshape ModelTensorReshape
    6 is_shape_tensor bool
    7 is_non_linear_format_io bool
    message ModelInstanceGroup
    1 name string
    2 count int32
    3 gpus repeated int32
    4 kind ModelInstanceGroup.Kind
    5 profile repeated string
    6 rate_limiter ModelRateLimiter
    7 passive bool
    8 secondary_devices repeated ModelInstanceGroup.SecondaryDevice
    9 host_policy string
    message ModelRateLimiter
    1 resources repeated ModelRateLimiter.Resource
    2 priority uint32
    message ModelRateLimiter.Resource
    1 name string
    2 global bool
    3 count uint32
    message ModelInstanceGroup.SecondaryDevice
    1 kind ModelInstanceGroup.SecondaryDevice.SecondaryDeviceKind
    2 device_id int64
    message ModelDynamicBatching
    1 preferred_batch_size repeated int32
    2 max_queue_delay_microseconds uint64
    3 preserve_ordering bool
    4 priority_levels uint64
    5 default_priority_level uint64
    6 default_queue_policy ModelQueuePolicy
    7 priority_queue_policy map<uint64,ModelQueuePolicy>
    message ModelQueuePolicy
    1 timeout_action ModelQueuePolicy.TimeoutAction
    2 default_timeout_microseconds uint64
    3 allow_timeout_override bool
    4 max_queue_size uint32
    message ModelOptimizationPolicy
    1 graph ModelOptimizationPolicy.Graph
    2 priority ModelOptimizationPolicy.ModelPriority
    3 cuda ModelOptimizationPolicy.Cuda
    4 execution_accelerators ModelOptimizationPolicy.ExecutionAccelerators
    5 input_pinned_memory ModelOptimizationPolicy.PinnedMemoryBuffer
    6 output_pinned_memory ModelOptimizationPolicy.PinnedMemoryBuffer
    7 gather_kernel_buffer_threshold uint32
    8 eager_batching bool
    message ModelOptimizationPolicy.Graph
    1 level int32
    message ModelOptimizationPolicy.Cuda
    1 graphs bool
    2 busy_wait_events bool
    3 graph_spec repeated ModelOptimizationPolicy.Cuda.GraphSpec
    4 output_copy_stream bool
    message ModelOptimizationPolicy.Cuda.GraphSpec
    1 batch_size int32
    2 input map<string,ModelOptimizationPolicy.Cuda.GraphSpec.Shape>
    3 graph_lower_bound ModelOptimizationPolicy.Cuda.GraphSpec.LowerBound
    message ModelOptimizationPolicy.Cuda.GraphSpec.Shape
    1 dim repeated int64
    message ModelOptimizationPolicy.Cuda.GraphSpec.LowerBound
    1 batch_size int32
    2 input map<string,ModelOptimizationPolicy.Cuda.GraphSpec.Shape>
    message ModelOptimizationPolicy.ExecutionAccelerators
    1 gpu_execution_accelerator repeated ModelOptimizationPolicy.ExecutionAccelerators.Accelerator
    2 cpu_execution_accelerator repeated ModelOptimizationPolicy.ExecutionAccelerators.Accelerator
    message ModelOptimizationPolicy.ExecutionAccelerators.Accelerator
    1 name string
    2 parameters map<string,string>
    message ModelOptimizationPolicy.PinnedMemoryBuffer
    1 enable bool
    message ModelSequenceBatching
    1 max_sequence_idle_microseconds uint64
    2 control_input repeated ModelSequenceBatching.ControlInput
    3 direct ModelSequenceBatching.StrategyDirect
    4 oldest ModelSequenceBatching.StrategyOldest
    5 state repeated ModelSequenceBatching.State
    6 iterative_sequence bool
    message ModelSequenceBatching.ControlInput
    1 name string
    2 control repeated ModelSequenceBatching.Control
    message ModelSequenceBatching.Control
    1 kind ModelSequenceBatching.Control.Kind
    2 int32_false_true repeated int32
    3 fp32_false_true repeated float
    4 data_type DataType
    5 bool_false_true repeated bool
    message ModelSequenceBatching.StrategyDirect
    1 max_queue_delay_microseconds uint64
    2 minimum_slot_utilization float
    message ModelSequenceBatching.StrategyOldest
    1 max_candidate_sequences int32
    2 preferred_batch_size repeated int32
    3 max_queue_delay_microseconds uint64
    4 preserve_ordering bool
    message ModelSequenceBatching.State
    1 input_name string
    2 output_name string
    3 data_type DataType
    4 dims repeated int64
    5 initial_state repeated ModelSequenceBatching.InitialState
    6 use_same_buffer_for_input_output bool
    7 use_growable_memory bool
    message ModelSequenceBatching.InitialState
    1 data_type DataType
    2 dims repeated int64
    3 zero_data bool
    4 data_file string
    5 name string
    message ModelParameter
    1 string_value string
    message ModelEnsembling
    1 step repeated ModelEnsembling.Step
    2 max_inflight_requests uint32
    message ModelEnsembling.Step
    1 model_name string
    2 model_version int64
    3 input_map map<string,string>
    4 output_map map<string,string>
    5 model_namespace string
    message ModelWarmup
    1 name string
    2 batch_size uint32
    3 inputs map<string,ModelWarmup.Input>
    4 count uint32
    message ModelWarmup.Input
    1 data_type DataType
    2 dims repeated int64
    3 zero_data bool
    4 random_data bool
    5 input_data_file string
    message ModelOperations
    1 op_library_filename repeated string
    message ModelTransactionPolicy
    1 decoupled bool
    message BatchInput
    1 kind BatchInput.Kind
    2 target_name repeated string
    3 data_type DataType
    4 source_input repeated string
    message BatchOutput
    1 target_name repeated string
    2 kind BatchOutput.Kind
    3 source_input repeated string
    message ModelRepositoryAgents
    1 agents repeated ModelRepositoryAgents.Agent
    message ModelRepositoryAgents.Agent
    1 name string
    2 parameters map<string,string>
    message ModelResponseCache
    1 enable bool
    message ModelMetrics
    1 metric_control repeated ModelMetrics.MetricControl
    message ModelMetrics.MetricControl
    1 metric_identifier ModelMetrics.MetricControl.MetricIdentifier
    2 histogram_options ModelMetrics.MetricControl.HistogramOptions
    message ModelMetrics.MetricControl.MetricIdentifier
    1 family string
    message ModelMetrics.MetricControl.HistogramOptions
    1 buckets repeated double
    enum DataType
    0 TYPE_INVALID
    1 TYPE_BOOL
    2 TYPE_UINT8
    3 TYPE_UINT16
    4 TYPE_UINT32
    5 TYPE_UINT64
    6 TYPE_INT8
    7 TYPE_INT16
    8 TYPE_INT32
    9 TYPE_INT64
    10 TYPE_FP16
    11 TYPE_FP32
    12 TYPE_FP64
    13 TYPE_STRING
    14 TYPE_BF16
    enum ModelInput.Format
    0 FORMAT_NONE
    1 FORMAT_NHWC
    2 FORMAT_NCHW
    enum ModelInstanceGroup.Kind
    0 KIND_AUTO
    1 KIND_GPU
    2 KIND_CPU
    3 KIND_MODEL
    enum ModelInstanceGroup.SecondaryDevice.SecondaryDeviceKind
    0 KIND_NVDLA
    enum ModelQueuePolicy.TimeoutAction
    0 REJECT
    1 DELAY
    enum ModelOptimizationPolicy.ModelPriority
    0 PRIORITY_DEFAULT
    1 PRIORITY_MAX
    2 PRIORITY_MIN
    enum ModelSequenceBatching.Control.Kind
    0 CONTROL_SEQUENCE_START
    1 CONTROL_SEQUENCE_READY
    2 CONTROL_SEQUENCE_END
    3 CONTROL_SEQUENCE_CORRID
    enum BatchInput.Kind
    0 BATCH_ELEMENT_COUNT
    1 BATCH_ACCUMULATED_ELEMENT_COUNT
    2 BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO
    3 BATCH_MAX_ELEMENT_COUNT_AS_SHAPE
    4 BATCH_ITEM_SHAPE
    5 BATCH_ITEM_SHAPE_FLATTEN
    enum BatchOutput.Kind
    0 BATCH_SCATTER_WITH_INPUT_SHAPE
    """
}
