import ModelGraph

extension CostRule {
  /// Operators that pick, place or make elements. Where the number of results depends on the data, the most there can be is counted.
  static let indexing: [String: CostRule] = {
    var rules: [String: CostRule] = [:]
    func copy(_ shape: @escaping @Sendable (CostedNode) -> Shape?) -> CostRule {
      CostRule(shapes: { node in [shape(node)] }, work: perResult(0))
    }
    rules["Gather"] = copy { node in
      guard let data = node.shape(0), let indices = node.shape(1), let axis = node.axis(node.integer("axis") ?? 0, rank: data.count) else {
        return nil
      }
      return data[..<axis] + indices + data[(axis + 1)...]
    }
    for name in ["Scatter", "TensorScatter"] { rules[name] = .likeFirst(0) }
    rules["OneHot"] = CostRule(
      types: { node in [node.elementType(2)] },
      shapes: { node in
        guard var shape = node.shape(0),
          let depth = node.operand(1)?.sizes?.first ?? node.operand(1)?.reals?.first.flatMap({ Int(exactly: $0) }).map({ .fixed($0) }),
          let axis = node.axis(node.integer("axis") ?? -1, rank: shape.count + 1)
        else { return [nil] }
        shape.insert(depth, at: axis)
        return [shape]
      }, work: perResult(0))
    rules["EyeLike"] = CostRule(types: { node in [node.elementType(of: "dtype")] }, shapes: { node in [node.shape(0)] }, work: perResult(0))
    rules["Range"] = copy { node in
      guard let start = node.operand(0)?.reals?.first, let limit = node.operand(1)?.reals?.first, let step = node.operand(2)?.reals?.first,
        step != 0, let count = Int(exactly: max(0, ((limit - start) / step).rounded(.up)))
      else { return nil }
      return [.fixed(count)]
    }
    rules["ConstantOfShape"] = CostRule(
      types: { node in [node.attributes["value"]?.tensor.flatMap { ONNXTypes.anyType($0.type) } ?? .float32] },
      shapes: { node in [node.operand(0)?.sizes] }, work: perResult(0))
    for name in ["Shape", "Size"] {
      rules[name] = CostRule(
        types: { _ in [.int64] },
        shapes: { node in
          if name == "Size" { return [[]] }
          guard let rank = node.shape(0)?.count else { return [nil] }
          let start = min(max(node.integer("start").map { $0 < 0 ? $0 &+ rank : $0 } ?? 0, 0), rank)
          let end = min(max(node.integer("end").map { $0 < 0 ? $0 &+ rank : $0 } ?? rank, start), rank)
          return [[.fixed(end - start)]]
        }, work: { _, _ in [] }, isBookkeeping: true)
    }
    rules["Constant"] = CostRule(
      types: { node in
        let attributes = node.attributes
        if let tensor = attributes["value"]?.tensor { return [ONNXTypes.anyType(tensor.type)] }
        if attributes["value_float"] != nil || attributes["value_floats"] != nil { return [.float32] }
        return [attributes["value_int"] != nil || attributes["value_ints"] != nil ? .int64 : .string]
      },
      shapes: { node in
        guard let tensor = node.attributes["value"]?.tensor else { return [nil] }
        return [tensor.sizes.compactMap { Int(exactly: $0) }.map { .fixed($0) }]
      }, work: { _, _ in [] })
    // As many as there are elements, at most.
    rules["NonZero"] = CostRule(
      types: { _ in [.int64] },
      shapes: { node in
        guard let shape = node.shape(0), let count = Shapes.elementCount(shape) else { return [nil] }
        return [[.fixed(max(1, shape.count)), count]]
      }, work: perInput(1), sizeNote: "as if every element were non-zero")
    rules["Compress"] = CostRule(
      shapes: { node in
        guard let shape = node.shape(0) else { return [nil] }
        return [node.integer("axis") == nil ? Shapes.elementCount(shape).map { [$0] } : shape]
      }, work: perInput(0), sizeNote: "as if everything were kept")
    rules["Unique"] = CostRule(
      types: { node in [node.elementType(0), .int64, .int64, .int64] },
      shapes: { node in
        guard let shape = node.shape(0), let count = Shapes.elementCount(shape) else { return [nil, nil, nil, nil] }
        let places = node.integer("axis").flatMap { node.axis($0, rank: shape.count) }.map { shape[$0] } ?? count
        return [node.integer("axis") == nil ? [count] : shape, [places], [places], [places]]
      }, work: perInput(8), sizeNote: "as if every element were different")
    rules["NonMaxSuppression"] = CostRule(
      types: { _ in [.int64] },
      shapes: { node in
        guard let boxes = node.shape(0), let scores = node.shape(1), boxes.count == 3, scores.count == 3, let count = boxes[1].fixedSize,
          let classes = scores[1].fixedSize
        else { return [nil] }
        let maximum = min(count, max(0, node.integers(2)?.first ?? count))
        let (perImage, overflow) = classes.multipliedReportingOverflow(by: maximum)
        return [overflow ? nil : Dimension.fixed(perImage).multiplied(by: scores[0]).map { [$0, .fixed(3)] }]
      },
      work: { node, _ in
        // Every box may be compared with every other: intersection over union takes about ten operations.
        guard let scores = node.shape(1), scores.count == 3 else { return [] }
        return [.traffic(operations: 10, elements: scores + [scores[2]])]
      }, sizeNote: "as if no box were suppressed")
    return rules
  }()
}
