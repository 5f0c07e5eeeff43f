import ModelGraph

extension CostRule {
  /// Operators that move elements or only count them differently.
  static let layout: [String: CostRule] = {
    var rules: [String: CostRule] = [:]
    func view(_ shape: @escaping @Sendable (CostedNode) -> Shape?) -> CostRule {
      CostRule(shapes: { node in [shape(node)] }, work: { _, _ in [] })
    }
    func copy(_ shape: @escaping @Sendable (CostedNode) -> Shape?) -> CostRule {
      CostRule(shapes: { node in [shape(node)] }, work: perResult(0))
    }
    for name in ["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand"] { rules[name] = view { _ in nil } }
    rules["Slice"] = CostRule(shapes: { _ in [nil] }, work: { _, _ in [] }, sizeNote: nil)
    rules["Split"] = CostRule(shapes: { node in splitShapes(node) }, work: { _, _ in [] })
    rules["Transpose"] = copy { node in
      guard let x = node.shape(0) else { return nil }
      let order = node.list("perm") ?? Array(x.indices.reversed())
      return order.sorted() == Array(x.indices) ? order.map { x[$0] } : nil
    }
    rules["Concat"] = copy(concatenated)
    rules["Resize"] = CostRule(
      shapes: { node in [resized(node)] },
      work: { node, results in
        // Nearest copies; linear interpolation weighs two neighbours along an axis, cubic four.
        let mode = node.text("mode") ?? "nearest"
        return perResult(mode == "nearest" ? 0 : mode == "cubic" ? 32 : 8)(node, results)
      })
    rules["Upsample"] = rules["Resize"]
    rules["CenterCropPad"] = copy { node in
      guard var x = node.shape(0), let sizes = node.operand(1)?.sizes, let axes = node.axes(input: 9, rank: x.count) else { return nil }
      let places = axes.isEmpty ? Array(x.indices) : axes
      guard places.count == sizes.count else { return nil }
      for (axis, size) in zip(places, sizes) { x[axis] = size }
      return x
    }
    for name in ["ReverseSequence", "Trilu"] { rules[name] = .likeFirst(0) }
    rules["GridSample"] = CostRule(
      shapes: { node in
        guard let x = node.shape(0), let grid = node.shape(1), x.count == grid.count, x.count > 2 else { return [nil] }
        return [x.prefix(2) + grid.dropFirst().dropLast()]
      }, work: perResult(8))
    rules["AffineGrid"] = CostRule(
      shapes: { node in
        guard let sizes = node.operand(1)?.sizes, sizes.count > 2 else { return [nil] }
        return [[sizes[0]] + sizes[2...] + [.fixed(sizes.count - 2)]]
      }, work: perResult(6))
    rules["Col2Im"] = CostRule(
      shapes: { node in
        guard let x = node.shape(0), let image = node.operand(1)?.sizes, let block = node.integers(2), x.count == 3,
          let channels = x[1].fixedSize
        else { return [nil] }
        let area = block.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
        return area > 0 && channels % area == 0 ? [[x[0], .fixed(channels / area)] + image] : [nil]
      }, work: perInput(1))
    return rules
  }()

  private static func splitShapes(_ node: CostedNode) -> [Shape?] {
    let unknown: [Shape?] = (0..<node.outputCount).map { _ in nil }
    guard let x = node.shape(0), let axis = node.axis(node.integer("axis") ?? 0, rank: x.count), let size = x[axis].fixedSize else {
      return unknown
    }
    // Sizes that come with a request are nobody's to guess.
    if node.list("split") == nil && node.has(1) && node.integers(1) == nil { return unknown }
    let parts = max(1, node.outputCount)
    let chunk = (size + parts - 1) / parts
    let sizes = node.list("split") ?? node.integers(1) ?? (0..<parts).map { min(chunk, max(0, size - $0 * chunk)) }
    guard sizes.count == node.outputCount else { return unknown }
    return sizes.map { size in
      var shape = x
      shape[axis] = .fixed(size)
      return shape
    }
  }

  private static func concatenated(_ node: CostedNode) -> Shape? {
    guard var shape = node.shape(0), let axis = node.axis(node.integer("axis") ?? 1, rank: shape.count) else { return nil }
    for index in node.inputs.indices.dropFirst() {
      guard let other = node.shape(index), other.count == shape.count, let sum = shape[axis].adding(other[axis]) else { return nil }
      shape[axis] = sum
    }
    return shape
  }

  /// Resize and Upsample: scales as an attribute (opset 7), as the second input (9, 10), or behind the region of interest, with sizes (11).
  private static func resized(_ node: CostedNode) -> Shape? {
    guard let x = node.shape(0) else { return nil }
    let isOld = node.type == "Upsample" || node.opset < 11
    let axes = node.axes(input: 99, rank: x.count) ?? []
    let places = axes.isEmpty ? Array(x.indices) : axes
    var result = x
    if !isOld, node.has(3), let sizes = node.operand(3)?.sizes, sizes.count == places.count,
      node.text("keep_aspect_ratio_policy") ?? "stretch" == "stretch"
    {
      for (axis, size) in zip(places, sizes) { result[axis] = size }
      return result
    }
    let scales = node.attributes["scales"].map { $0.floats.map { Double($0) } } ?? node.operand(isOld ? 1 : 2)?.reals ?? []
    guard scales.count == places.count else { return nil }
    for (axis, scale) in zip(places, scales) where scale != 1 {
      guard let size = x[axis].fixedSize, scale > 0, let scaled = Int(exactly: (Double(size) * scale + 1e-6).rounded(.down)),
        scaled < 1 << 40
      else { return nil }
      result[axis] = .fixed(scaled)
    }
    return result
  }
}
