import ModelGraph

extension CostRule {
  /// Sequences and optionals hold tensors: making one moves nothing, taking tensors out of one copies them at most.
  static let sequences: [String: CostRule] = {
    var rules: [String: CostRule] = [:]
    for name in [
      "SequenceEmpty", "SequenceConstruct", "SequenceInsert", "SequenceErase", "SplitToSequence", "Optional", "SequenceLength",
      "OptionalHasElement", "SequenceAt", "OptionalGetElement",
    ] {
      let type: DataType? = name == "SequenceLength" ? .int64 : name == "OptionalHasElement" ? .bool : nil
      rules[name] = CostRule(
        types: { _ in [type] }, shapes: { _ in [type == nil ? nil : []] }, work: { _, _ in [] }, isBookkeeping: true)
    }
    rules["ConcatFromSequence"] = CostRule(shapes: { _ in [nil] }, work: perResult(0))
    return rules
  }()
}
