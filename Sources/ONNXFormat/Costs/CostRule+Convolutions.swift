import ModelGraph

extension CostRule {
  /// Convolutions as implicit products: the filters times the patches of the input, which a kernel gathers as it multiplies.
  static let convolutions: [String: CostRule] = [
    "Conv": convolution(filter: 1, type: nil), "ConvInteger": convolution(filter: 1, type: .int32),
    "QLinearConv": convolution(filter: 3, type: nil), "DeformConv": convolution(filter: 1, type: nil),
    "com.microsoft.FusedConv": convolution(filter: 1, type: nil),
    "ConvTranspose": CostRule(
      shapes: { node in [Transposed(node)?.result] }, work: { node, _ in Transposed(node).map { [$0.work] } ?? [] }),
  ]

  private static func convolution(filter: Int, type: DataType?) -> CostRule {
    CostRule(
      types: { node in [type ?? (node.type == "QLinearConv" ? node.elementType(7) : nil)] },
      shapes: { node in [Convolution(node, filter: filter)?.result] },
      work: { node, _ in Convolution(node, filter: filter).map { [$0.work] } ?? [] })
  }

  /// x [rows, channels, ...] by filters [features, channels / groups, ...].
  private struct Convolution {
    let result: Shape
    let work: Work

    init?(_ node: CostedNode, filter: Int) {
      guard let x = node.shape(0), let w = node.shape(filter), x.count >= 3, w.count == x.count, let features = w[0].fixedSize,
        let channels = w[1].fixedSize
      else { return nil }
      let sizes = w[2...].compactMap(\.fixedSize)
      guard sizes.count == w.count - 2, let window = Window(node, kernel: sizes), let spatial = window.positions(over: Array(x[2...]))
      else {
        return nil
      }
      let groups = node.integer("group") ?? 1
      guard groups > 0, features % groups == 0, channels.multipliedReportingOverflow(by: groups) == (x[1].fixedSize ?? -1, false) else {
        return nil
      }
      result = [x[0], .fixed(features)] + spatial
      if groups > 1 && channels == 1 {
        // A filter for each channel: nothing is shared between outputs, and such kernels are bound by bytes.
        work = .traffic(operations: 2 * window.area, elements: result)
      } else {
        work = .product(
          batch: [.fixed(groups)], m: [x[0]] + spatial, n: [.fixed(features / groups)], k: [.fixed(channels)] + sizes.map { .fixed($0) },
          source: x, repetitions: [])
      }
    }
  }

  /// x [rows, channels, ...] by filters [channels, features / groups, ...]: a product, whose results are added where they overlap.
  private struct Transposed {
    let result: Shape
    let work: Work

    init?(_ node: CostedNode) {
      guard let x = node.shape(0), let w = node.shape(1), x.count >= 3, w.count == x.count, let features = w[1].fixedSize,
        let channels = x[1].fixedSize
      else { return nil }
      let sizes = w[2...].compactMap(\.fixedSize)
      let groups = node.integer("group") ?? 1
      let padding = node.list("output_padding") ?? Array(repeating: 0, count: sizes.count)
      guard sizes.count == w.count - 2, groups > 0, channels % groups == 0, w[0] == x[1], let window = Window(node, kernel: sizes),
        let spatial = window.transposed(over: Array(x[2...]), outputPadding: padding, given: node.list("output_shape")),
        case let (all, overflow) = features.multipliedReportingOverflow(by: groups), !overflow
      else { return nil }
      result = [x[0], .fixed(all)] + spatial
      work = .product(
        batch: [.fixed(groups)], m: [x[0]] + x[2...], n: [.fixed(features)] + sizes.map { .fixed($0) }, k: [.fixed(channels / groups)],
        source: nil, repetitions: [])
    }
  }
}
