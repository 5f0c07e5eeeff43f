import ModelConfiguration
import Testing

/// Everything that triton-inference-server/core `src/model_config_utils.cc` refuses in a configuration of the kinds that are served here,
/// with the reason it gives and the line and column where it stands.
@Suite struct ValidationTests {
  static func failure(_ text: String, _ stage: ModelConfiguration.Stage = .complete) throws -> ModelConfigurationError? {
    let configuration = try ModelConfiguration.parse(text, file: "c").configuration
    do {
      try configuration.validate(stage)
      return nil
    } catch { return error }
  }

  /// A configuration whose input is this.
  static func input(_ fields: String, rows: Int = 4) -> String {
    "name: \"m\" max_batch_size: \(rows)\ninput { name: \"x\" data_type: TYPE_FP32 \(fields) }\noutput { name: \"y\" data_type: TYPE_FP32 dims: 1 }"
  }

  static func output(_ fields: String, rows: Int = 4) -> String {
    "name: \"m\" max_batch_size: \(rows)\noutput { name: \"y\" data_type: TYPE_FP32 \(fields) }\ninput { name: \"x\" data_type: TYPE_FP32 dims: 1 }"
  }

  @Test func moreInstancesThanAreRunAreRefusedAndNotCutOff() throws {
    func failure(_ counts: [Int]) throws -> ModelConfigurationError? {
      try Self.failure(Self.input("dims: 1") + "\n" + counts.map { "instance_group { count: \($0) }" }.joined(separator: "\n"))
    }
    #expect(try failure([1024]) == nil)
    #expect(try failure([1000, 24]) == nil)
    let error = try #require(try failure([1000, 25]))
    #expect(error.description.hasPrefix("c:5:18: "), "\(error)")
    #expect(error.reason.contains("1025 instances") && error.reason.contains("at most 1024"))
    #expect(try failure([2_147_483_647]) != nil)
    #expect(try failure([512, 2_147_483_647]) != nil)
  }

  static let unlike = "has different size for dims and reshape for m"
  static let variables = "has different number of variable-size dimensions for dims and reshape for m"
  static let sizes = "dimension must be integer >= 1, or -1 to indicate a variable-size dimension for m"
  static let reshapes = "reshape dimensions must be integer >= 1, or -1 to indicate a variable-size dimension for m"

  @Test(arguments: [
    ("dims: [1, 3, 2] reshape { shape: [5] }", unlike), ("dims: 15 reshape { shape: [2, 1, 5] }", unlike),
    ("dims: 2 reshape { shape: [4] }", unlike), ("dims: 2 reshape { shape: [] }", unlike),
    ("dims: [2, -1] reshape { shape: [2, 2] }", unlike), ("dims: [2, 2] reshape { shape: [2, -1] }", unlike),
    ("dims: [2, -1] reshape { shape: [2, -1, 2] }", unlike), ("dims: [-1, 6] reshape { shape: [6, -1] }", unlike),
    ("dims: [2, -1] reshape { shape: [2, -1, -1] }", variables), ("dims: [-1, -1] reshape { shape: [-1] }", variables),
    ("dims: [2, 2] reshape { shape: [0] }", reshapes), ("dims: [2, 2] reshape { shape: [-2] }", reshapes), ("dims: [1, 0, 28]", sizes),
    ("dims: 0", sizes), ("dims: -2", sizes), ("dims: -9223372036854775808", sizes), ("", "must specify 'dims' for m"),
  ]) func shapesOfInputsAndOutputs(fields: String, expected: String) throws {
    for (text, kind) in [(Self.input(fields), "input 'x'"), (Self.output(fields), "output 'y'")] {
      for text in [text, text.replacing("max_batch_size: 4", with: "max_batch_size: 0")] {
        // Without rows an empty reshape has its own reason.
        if fields.contains("shape: []"), text.contains("max_batch_size: 0") { continue }
        let error = try #require(try Self.failure(text))
        #expect(error.reason == "model \(kind) \(expected)")
        #expect(error.description.hasPrefix("c:2:"), "\(error)")
      }
    }
  }

  @Test(arguments: [
    (
      input("dims: 1 reshape { shape: [] }", rows: 0),
      "model input 'x' cannot have empty reshape for non-batching model as scalar tensors are not supported for m"
    ),
    (
      output("dims: 1 reshape { shape: [] }", rows: 0),
      "model output 'y' cannot have empty reshape for non-batching model as scalar tensors are not supported for m"
    ),
    (input("dims: [4611686018427387904, 2]"), "element count for tensor 'x dims' exceeds maximum size of 9223372036854775807 for m"),
    (
      input("dims: 4 reshape { shape: [4611686018427387904, 4] }"),
      "element count for tensor 'x reshape' exceeds maximum size of 9223372036854775807 for m"
    ),
    (input("dims: [3, 4] format: FORMAT_NCHW"), "model input NHWC/NCHW require 3 dims for m"),
    (input("dims: 1 is_shape_tensor: true"), "shape tensors are only supported for TensorRT platform for m"),
    (output("dims: 1 is_shape_tensor: true"), "shape tensors are only supported for TensorRT platform for m"),
    (input("dims: [1, 1, 1] is_non_linear_format_io: true"), "Non-linear IO format is only supported for the TensorRT platform for m"),
    ("platform: \"tensorrt_plan\" " + input("dims: 1 is_non_linear_format_io: true"), "Non-linear IO format input requires 3 dims for m"),
    ("name: \"m\" input { data_type: TYPE_FP32 dims: 1 }", "model input must specify 'name' for m"),
    ("name: \"m\" output { data_type: TYPE_FP32 dims: 1 }", "model output must specify 'name' for m"),
    ("name: \"m\" input { name: \"x\" dims: 1 }", "model input 'x' must specify 'data_type' for m"),
    ("name: \"m\" output { name: \"y\" dims: 1 }", "model output 'y' must specify 'data_type' for m"),
    ("name: \"m\" output { name: \"y\" data_type: TYPE_FP32 }", "model output 'y' must specify 'dims' for m"),
    (input("dims: 1") + " input { name: \"x\" data_type: TYPE_FP32 dims: 1 }", "model input 'x' is given twice for m; keep one of them"),
    (output("dims: 1") + " output { name: \"y\" data_type: TYPE_FP32 dims: 1 }", "model output 'y' is given twice for m; keep one of them"),
  ]) func tensors(text: String, expected: String) throws {
    let error = try #require(try Self.failure(text))
    #expect(error.reason == expected)
    #expect(error.place != nil)
  }

  @Test(arguments: [
    input("dims: [2, 4, -1, 6] reshape { shape: [8, -1, 1, 6] }"), input("dims: [-1, -1] reshape { shape: [1, -1, 1, -1] }"),
    input("dims: 1 reshape { shape: [] }"), output("dims: [1, 1] reshape { shape: [] }"), input("dims: [3, 4, 4] format: FORMAT_NHWC"),
    input("dims: 6 reshape { shape: [2, 3] }", rows: 0), input("dims: -1 reshape { shape: [-1, 1] }", rows: 0),
    "platform: \"tensorrt_plan\" " + input("dims: 1 is_shape_tensor: true"),
  ]) func whatTritonTakesIsTaken(text: String) throws {
    #expect(try Self.failure(text) == nil)
  }

  @Test func whatAModelCompletesMayBeMissingBefore() throws {
    for text in ["input { name: \"x\" }", "output { name: \"y\" reshape { shape: [4] } }", "input { name: \"x\" format: FORMAT_NCHW }"] {
      #expect(try Self.failure("name: \"m\" " + text, .written) == nil)
      #expect(try Self.failure("name: \"m\" " + text) != nil)
    }
    #expect(try Self.failure(Self.input("dims: 2 reshape { shape: [4] }"), .written) != nil)
  }

  static let kinds = [
    "BATCH_ELEMENT_COUNT", "BATCH_ACCUMULATED_ELEMENT_COUNT", "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO",
    "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE", "BATCH_ITEM_SHAPE", "BATCH_ITEM_SHAPE_FLATTEN",
  ]

  @Test(arguments: kinds) func batchInputsNeedOneSource(kind: String) throws {
    for (sources, count) in [("", 0), ("source_input: [\"x\", \"x\"]", 2)] {
      let text = Self.input("dims: -1") + " batch_input { kind: \(kind) target_name: \"b\" data_type: TYPE_FP32 \(sources) }"
      #expect(try Self.failure(text)?.reason == "batch input kind '\(kind)' expects 1 source input, got \(count) for m")
    }
    #expect(
      try Self.failure(
        Self.input("dims: -1") + " batch_input { kind: \(kind) target_name: \"b\" data_type: TYPE_FP32 source_input: \"x\" }") == nil)
  }

  @Test(arguments: [
    ("batch_input { source_input: \"x\" data_type: TYPE_INT64 }", "batch input data type must be TYPE_INT32 or TYPE_FP32 for m"),
    ("batch_input { source_input: \"z\" data_type: TYPE_FP32 }", "unknown source input name 'z' for m"),
    ("batch_output { target_name: \"y\" }", "batch output kind 'BATCH_SCATTER_WITH_INPUT_SHAPE' expects 1 source input, got 0 for m"),
    (
      "batch_output { target_name: \"y\" source_input: [\"x\", \"x\"] }",
      "batch output kind 'BATCH_SCATTER_WITH_INPUT_SHAPE' expects 1 source input, got 2 for m"
    ), ("batch_output { target_name: \"y\" source_input: \"z\" }", "unknown source input name 'z' for m"),
    ("batch_output { target_name: \"z\" source_input: \"x\" }", "unknown target output name 'z' for m"),
    ("batch_output { target_name: [\"y\", \"y\"] source_input: \"x\" }", "target output name 'y' can only be specified once for m"),
  ]) func batchInputsAndOutputs(text: String, expected: String) throws {
    #expect(try Self.failure(Self.input("dims: -1") + text)?.reason == expected)
  }

  @Test(arguments: [
    ("instance_group { kind: KIND_CPU gpus: 0 }", "instance group m_0 of model m has kind KIND_CPU but specifies one or more GPUs"),
    (
      "instance_group { name: \"g\" kind: KIND_MODEL gpus: 0 }",
      "instance group g of model m has kind KIND_MODEL but specifies one or more GPUs"
    ),
    (
      "instance_group { } instance_group { kind: KIND_GPU gpus: -1 }",
      "instance group m_1 of model m specifies invalid or unsupported gpu id -1; GPUs are counted from 0"
    ),
    (
      "instance_group { profile: \"0\" }",
      "instance group m_0 of model m and platform  specifies profile field which is only supported for TensorRT models"
    ),
    (
      "platform: \"tensorrt_plan\" instance_group { profile: [\"0\", \"-1\"] }",
      "instance group m_0 of model m and platform tensorrt_plan specifies invalid profile -1. The field should contain the string "
        + "representation of a non-negative integer."
    ), ("model_metrics { metric_control { } }", "metric control must specify 'metric_identifier'"),
    ("model_metrics { metric_control { metric_identifier { } } }", "metric identifier must specify non-empty 'family'"),
    ("model_metrics { metric_control { metric_identifier { family: \"f\" } } }", "metric control must specify 'histogram_options'"),
    (
      "model_metrics { metric_control { metric_identifier { family: \"f\" } histogram_options { } } }",
      "histogram options must specify non-empty 'buckets'"
    ),
    (
      "model_warmup { name: \"w\" inputs { key: \"x\" value { dims: -1 zero_data: true } } }",
      "model_warmup 'w' of m gives input 'x' a variable dimension; its dims must be the sizes to warm up with"
    ),
    (
      "model_warmup { name: \"w\" inputs { key: \"x\" value { dims: 1 } } }",
      "model_warmup 'w' of m gives input 'x' no data: one of zero_data, random_data and input_data_file"
    ),
    (
      "model_warmup { name: \"w\" inputs { key: \"x1\" value { dims: 1 zero_data: true } } }",
      "model_warmup 'w' of m has an input 'x1' that the model has not; known are x"
    ),
  ]) func groupsMetricsAndWarmup(text: String, expected: String) throws {
    let error = try #require(try Self.failure(Self.input("dims: 1") + text))
    #expect(error.reason == expected)
    #expect(error.place != nil)
  }

  @Test func errorsNameLineAndColumn() throws {
    let text = """
      name: "m"
      max_batch_size: 8
      input [
        { name: "a" data_type: TYPE_FP32 dims: [ 2 ] },
        { name: "b" data_type: TYPE_FP32 dims: [ 2 ]
          reshape { shape: [ 4 ] } }
      ]
      """
    #expect(try Self.failure(text)?.description == "c:6:5: model input 'b' has different size for dims and reshape for m")
    let batching = "name: \"m\" max_batch_size: 8\ndynamic_batching {\n  preferred_batch_size: [ 4,\n 9 ] }"
    #expect(try Self.failure(batching)?.place == .position(line: 4, column: 2))
  }
}
