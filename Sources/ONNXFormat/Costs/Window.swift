import ModelGraph

/// Where a filter or a pool stands along the spatial axes: kernel, strides, dilations, padding (ONNX Conv, MaxPool and their kin).
struct Window {
  let kernel: [Int]
  let strides: [Int]
  let dilations: [Int]
  let pads: [Int]
  let autoPad: String
  let ceils: Bool

  /// Nil where sizes are missing, contradict each other or are out of range.
  init?(_ node: CostedNode, kernel: [Int]) {
    let rank = kernel.count
    self.kernel = kernel
    strides = node.list("strides") ?? Array(repeating: 1, count: rank)
    dilations = node.list("dilations") ?? Array(repeating: 1, count: rank)
    pads = node.list("pads") ?? Array(repeating: 0, count: 2 * rank)
    autoPad = node.text("auto_pad") ?? "NOTSET"
    ceils = node.integer("ceil_mode") ?? 0 != 0
    guard strides.count == rank, dilations.count == rank, pads.count == 2 * rank,
      // Small enough for every product of two of them.
      (kernel + strides + dilations).allSatisfy({ $0 > 0 && $0 < 1 << 30 }), pads.allSatisfy({ $0 > -1 << 30 && $0 < 1 << 30 })
    else { return nil }
  }

  /// Elements a window covers.
  var area: Double { kernel.reduce(1) { $0 * Double($1) } }

  /// Positions along each spatial axis; nil where one is not fixed or the window does not fit.
  func positions(over spatial: Shape) -> Shape? {
    guard spatial.count == kernel.count else { return nil }
    var result: Shape = []
    for (axis, dimension) in spatial.enumerated() {
      guard let size = dimension.fixedSize, size >= 0, size < 1 << 40 else { return nil }
      if autoPad.hasPrefix("SAME") {
        result.append(.fixed((size + strides[axis] - 1) / strides[axis]))
        continue
      }
      let before = autoPad == "VALID" ? 0 : pads[axis]
      let padded = size + before + (autoPad == "VALID" ? 0 : pads[axis + kernel.count])
      let room = padded - (dilations[axis] * (kernel[axis] - 1) + 1)
      guard room >= 0 else { return nil }
      var count = (ceils ? room + strides[axis] - 1 : room) / strides[axis] + 1
      // A last window that begins behind the input is left out.
      if ceils && (count - 1) * strides[axis] >= size + before { count -= 1 }
      result.append(.fixed(count))
    }
    return result
  }

  /// Sizes of a transposed convolution's result.
  func transposed(over spatial: Shape, outputPadding: [Int], given: [Int]?) -> Shape? {
    guard spatial.count == kernel.count, outputPadding.count == kernel.count else { return nil }
    if let given, given.count == kernel.count { return given.allSatisfy { $0 >= 0 } ? given.map { .fixed($0) } : nil }
    var result: Shape = []
    for (axis, dimension) in spatial.enumerated() {
      guard let size = dimension.fixedSize, size > 0, size < 1 << 30, outputPadding[axis] >= 0, outputPadding[axis] < 1 << 30 else {
        return nil
      }
      if autoPad.hasPrefix("SAME") {
        result.append(.fixed(size * strides[axis]))
        continue
      }
      let padding = autoPad == "VALID" ? 0 : pads[axis] + pads[axis + kernel.count]
      let length = (size - 1) * strides[axis] + outputPadding[axis] + dilations[axis] * (kernel[axis] - 1) + 1 - padding
      guard length >= 0 else { return nil }
      result.append(.fixed(length))
    }
    return result
  }
}
