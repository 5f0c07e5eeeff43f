extension EnumSchema {
  static let dataType = EnumSchema(
    name: "DataType",
    names: [
      "TYPE_INVALID", "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64", "TYPE_INT8", "TYPE_INT16", "TYPE_INT32",
      "TYPE_INT64", "TYPE_FP16", "TYPE_FP32", "TYPE_FP64", "TYPE_STRING", "TYPE_BF16",
    ])
  static let inputFormat = EnumSchema(name: "Format", names: ["FORMAT_NONE", "FORMAT_NHWC", "FORMAT_NCHW"])
  static let batchInputKind = EnumSchema(
    name: "BatchInput.Kind",
    names: [
      "BATCH_ELEMENT_COUNT", "BATCH_ACCUMULATED_ELEMENT_COUNT", "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO",
      "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE", "BATCH_ITEM_SHAPE", "BATCH_ITEM_SHAPE_FLATTEN",
    ])
  static let batchOutputKind = EnumSchema(name: "BatchOutput.Kind", names: ["BATCH_SCATTER_WITH_INPUT_SHAPE"])
}

extension MessageSchema {
  private static let otherLayout = FieldSchema.Disposition.ignored("tensors are read in the order of their dimensions")

  static let tensorMessages: [MessageSchema] = [
    MessageSchema("ModelTensorReshape", [FieldSchema("shape", .int64, .repeated)]),
    MessageSchema(
      "ModelInput",
      [
        FieldSchema("name", .string),
        FieldSchema("data_type", .enumeration(.dataType)),
        FieldSchema("format", .enumeration(.inputFormat), .singular, otherLayout),
        FieldSchema("dims", .int64, .repeated),
        FieldSchema("reshape", .message("ModelTensorReshape")),
        FieldSchema("is_shape_tensor", .bool),
        FieldSchema("allow_ragged_batch", .bool, .singular, .ignored("requests of different shapes are batched apart")),
        FieldSchema("optional", .bool),
        FieldSchema("is_non_linear_format_io", .bool, .singular, otherLayout),
      ]),
    MessageSchema(
      "ModelOutput",
      [
        FieldSchema("name", .string),
        FieldSchema("data_type", .enumeration(.dataType)),
        FieldSchema("dims", .int64, .repeated),
        FieldSchema("reshape", .message("ModelTensorReshape")),
        FieldSchema("label_filename", .string),
        FieldSchema("is_shape_tensor", .bool),
        FieldSchema("is_non_linear_format_io", .bool, .singular, otherLayout),
      ]),
    MessageSchema(
      "BatchInput",
      [
        FieldSchema("kind", .enumeration(.batchInputKind)),
        FieldSchema("target_name", .string, .repeated),
        FieldSchema("data_type", .enumeration(.dataType)),
        FieldSchema("source_input", .string, .repeated),
      ]),
    MessageSchema(
      "BatchOutput",
      [
        FieldSchema("target_name", .string, .repeated),
        FieldSchema("kind", .enumeration(.batchOutputKind)),
        FieldSchema("source_input", .string, .repeated),
      ]),
  ]
}
