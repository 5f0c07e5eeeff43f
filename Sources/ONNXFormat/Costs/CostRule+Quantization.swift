import ModelGraph

extension CostRule {
  /// To integers and back: a scale and a rounding an element.
  static let quantization: [String: CostRule] = [
    "QuantizeLinear": CostRule(
      types: { node in [node.elementType(2) ?? node.elementType(of: "output_dtype") ?? .uint8] }, shapes: { node in [node.shape(0)] },
      work: perResult(3)),
    "DequantizeLinear": CostRule(
      types: { node in [node.elementType(1) ?? .float32] }, shapes: { node in [node.shape(0)] }, work: perResult(2)),
    "DynamicQuantizeLinear": CostRule(
      types: { node in [.uint8, .float32, .uint8] }, shapes: { node in [node.shape(0), [], []] }, work: perInput(5)),
    "com.microsoft.QuantizeLinear": .likeFirst(3, type: .uint8), "com.microsoft.DequantizeLinear": .likeFirst(2, type: .float32),
  ]
}
