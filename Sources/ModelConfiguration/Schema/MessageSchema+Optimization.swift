extension EnumSchema {
  static let modelPriority = EnumSchema(name: "ModelPriority", names: ["PRIORITY_DEFAULT", "PRIORITY_MAX", "PRIORITY_MIN"])
}

extension MessageSchema {
  private static let noTransfers = "tensors are not copied to and from a GPU"

  static let optimizationMessages: [MessageSchema] = [
    MessageSchema(
      "ModelOptimizationPolicy",
      [
        FieldSchema("graph", .message("Graph")),
        FieldSchema("priority", .enumeration(.modelPriority), .singular, .ignored("models share a GPU without priorities")),
        FieldSchema("cuda", .message("Cuda")),
        FieldSchema(
          "execution_accelerators", .message("ExecutionAccelerators"), .singular, .ignored("the plan chooses how operators run")),
        FieldSchema("input_pinned_memory", .message("PinnedMemoryBuffer")),
        FieldSchema("output_pinned_memory", .message("PinnedMemoryBuffer")),
        FieldSchema("gather_kernel_buffer_threshold", .uint32, .singular, .ignored(noTransfers)),
        FieldSchema("eager_batching", .bool, .singular, .simulated("a batch is formed when an instance asks for it")),
      ]),
    MessageSchema("Graph", [FieldSchema("level", .int32)]),
    MessageSchema(
      "Cuda",
      [
        FieldSchema("graphs", .bool, .singular, .simulated("it acts with --device cuda:N alone")),
        FieldSchema("busy_wait_events", .bool, .singular, .ignored("no thread waits for a GPU's events")),
        FieldSchema(
          "graph_spec", .message("GraphSpec"), .repeated, .ignored("graphs are taken for the batch sizes that the batcher prefers")),
        FieldSchema("output_copy_stream", .bool, .singular, .ignored(noTransfers)),
      ]),
    MessageSchema(
      "GraphSpec",
      [
        FieldSchema("batch_size", .int32),
        FieldSchema("input", .message("Shape"), .map(key: .string)),
        FieldSchema("graph_lower_bound", .message("LowerBound")),
      ]),
    MessageSchema("Shape", [FieldSchema("dim", .int64, .repeated)]),
    MessageSchema(
      "LowerBound", [FieldSchema("batch_size", .int32), FieldSchema("input", .message("Shape"), .map(key: .string))]),
    MessageSchema(
      "ExecutionAccelerators",
      [
        FieldSchema("gpu_execution_accelerator", .message("Accelerator"), .repeated),
        FieldSchema("cpu_execution_accelerator", .message("Accelerator"), .repeated),
      ]),
    MessageSchema("Accelerator", [FieldSchema("name", .string), FieldSchema("parameters", .string, .map(key: .string))]),
    MessageSchema("PinnedMemoryBuffer", [FieldSchema("enable", .bool, .singular, .simulated(noTransfers), usual: true)]),
  ]
}
