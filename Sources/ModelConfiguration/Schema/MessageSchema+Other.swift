extension MessageSchema {
  static let otherMessages: [MessageSchema] = [
    MessageSchema("ModelOperations", [FieldSchema("op_library_filename", .string, .repeated)]),
    MessageSchema(
      "ModelTransactionPolicy",
      [
        FieldSchema(
          "decoupled", .bool, .singular,
          .refused("a request gets exactly one response; remove it if the model answers so, or serve this model elsewhere"))
      ]),
    MessageSchema("ModelRepositoryAgents", [FieldSchema("agents", .message("Agent"), .repeated)]),
    MessageSchema("Agent", [FieldSchema("name", .string), FieldSchema("parameters", .string, .map(key: .string))]),
    MessageSchema(
      "ModelResponseCache",
      [
        FieldSchema(
          "enable", .bool, .singular, .refused("every request runs the model, and cached answers would hide its cost; set it to false"))
      ]),
    MessageSchema("ModelMetrics", [FieldSchema("metric_control", .message("MetricControl"), .repeated)]),
    MessageSchema(
      "MetricControl",
      [
        FieldSchema("metric_identifier", .message("MetricIdentifier")),
        FieldSchema("histogram_options", .message("HistogramOptions"), oneof: "metric_options"),
      ]),
    MessageSchema("MetricIdentifier", [FieldSchema("family", .string)]),
    MessageSchema("HistogramOptions", [FieldSchema("buckets", .double, .repeated)]),
  ]
}
