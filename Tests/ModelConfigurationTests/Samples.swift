import ModelConfiguration

/// The settings of the server that this project began with, in a whole configuration.
let servedModel = """
  # What is served.
  name: "ranker"
  backend: "tensorrt"
  max_batch_size: 256
  input [ { name: "features" data_type: TYPE_FP16 dims: [ 1024 ] } ]
  output {
    name: 'scores', data_type: TYPE_FP32;
    dims: 16
  }
  instance_group [ { count: 1 kind: KIND_GPU gpus: [ 0 ] } ]
  dynamic_batching {
    preferred_batch_size: [ 128, 256 ]
    max_queue_delay_microseconds: 10000
    preserve_ordering: true
    default_queue_policy < timeout_action: REJECT default_timeout_microseconds: 120000000 max_queue_size: 20480 >
  }
  """

/// A configuration that uses every supported field, so that mutations and round trips reach them all.
let everyField = """
  name: "all" platform: "onnxruntime_onnx" backend: "onnxruntime" max_batch_size: 8 default_model_filename: "m.onnx"
  version_policy: { specific { versions: [1, 3] } }
  input { name: "a" data_type: TYPE_INT64 dims: [ -1, 4 ] reshape { shape: [ -1 ] } allow_ragged_batch: true optional: true }
  input { name: "shape" data_type: TYPE_INT32 dims: 2 is_shape_tensor: true }
  output { name: "b" data_type: TYPE_BF16 dims: [ 1 ] reshape { shape: [ ] } label_filename: "labels.txt" is_shape_tensor: true }
  optimization {
    cuda { graphs: true busy_wait_events: true output_copy_stream: true }
    input_pinned_memory { enable: false } output_pinned_memory { enable: true }
    gather_kernel_buffer_threshold: 7 eager_batching: true
  }
  dynamic_batching {
    preferred_batch_size: 4 preferred_batch_size: [ 8 ] max_queue_delay_microseconds: 18446744073709551615
    priority_levels: 2 default_priority_level: 1
    default_queue_policy { allow_timeout_override: true }
    priority_queue_policy { key: 1 value { timeout_action: DELAY default_timeout_microseconds: 5 } }
    priority_queue_policy [ { key: 2, value { max_queue_size: 4294967295 } } ]
  }
  instance_group {
    name: "g" kind: KIND_AUTO count: 2 gpus: [0, 1] profile: [ "0", "1" ] passive: true host_policy: "numa0"
    rate_limiter { resources [ { name: "R" global: true count: 3 } ] priority: 2 }
  }
  parameters { key: "k" value { string_value: "v\\u00e9\\x21\\041" "w" } }
  model_warmup { name: "w" batch_size: 4 count: 2 inputs { key: "a" value { data_type: TYPE_INT64 dims: 3 dims: 4 zero_data: true } }
    inputs { key: "shape" value { data_type: TYPE_INT32 dims: 2 input_data_file: "x.bin" } }
    inputs { key: "r" value { data_type: TYPE_FP32 dims: 2 random_data: true } } }
  """

/// The error's text, or "accepted".
func reason(_ text: String, file: String = "c.pbtxt") -> String {
  do {
    _ = try ModelConfiguration.parse(text, file: file)
    return "accepted"
  } catch { return error.description }
}

func warnings(_ text: String) throws -> [String] { try ModelConfiguration.parse(text, file: "c.pbtxt").warnings.map(\.description) }
