public import ModelConfiguration

extension TensorDataType {
  /// Name in the protocol: "FP32", "BYTES" (kserve/open-inference-protocol `specification/protocol/inference_rest.md`; BF16 is Triton's).
  public var kserveName: String {
    switch self {
    case .invalid: "<invalid>"
    case .bool: "BOOL"
    case .uint8: "UINT8"
    case .uint16: "UINT16"
    case .uint32: "UINT32"
    case .uint64: "UINT64"
    case .int8: "INT8"
    case .int16: "INT16"
    case .int32: "INT32"
    case .int64: "INT64"
    case .float16: "FP16"
    case .float32: "FP32"
    case .float64: "FP64"
    case .string: "BYTES"
    case .bfloat16: "BF16"
    }
  }

  /// The type of a protocol name; nil for an unknown one.
  public init?(kserveName: some StringProtocol) {
    guard let type = Self.byName[String(kserveName)] else { return nil }
    self = type
  }

  private static let byName: [String: TensorDataType] = Dictionary(
    uniqueKeysWithValues: TensorDataType.allCases.filter { $0 != .invalid }.map { ($0.kserveName, $0) })

  /// Bytes an element takes on the wire; nil for strings, whose elements differ.
  public var bytesPerElement: Int? {
    switch self {
    case .invalid, .string: nil
    case .bool, .uint8, .int8: 1
    case .uint16, .int16, .float16, .bfloat16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64: 8
    }
  }
}
