import Glibc
import ModelGraph

extension CostRule {
  /// Losses, transforms and windows.
  static let signals: [String: CostRule] = {
    var rules: [String: CostRule] = [:]
    for (name, first) in [("NegativeLogLikelihoodLoss", 1.0), ("SoftmaxCrossEntropyLoss", 6.0)] {
      rules[name] = CostRule(
        shapes: { node in
          [node.text("reduction") ?? "mean" == "none" ? node.shape(1) : [], node.shape(0)]
        }, work: perInput(first))
    }
    for name in ["DFT", "STFT"] {
      rules[name] = CostRule(
        shapes: { _ in [nil] },
        work: { node, results in
          // A fast Fourier transform: 5 n log2 n operations for n complex elements.
          guard let result = results.first ?? nil, result.count > 1 else { return [] }
          let length = result.dropLast().compactMap(\.fixedSize).max() ?? 2
          return [.traffic(operations: 2.5 * log2(Double(max(2, length))), elements: result)]
        })
    }
    for name in ["HannWindow", "HammingWindow", "BlackmanWindow"] {
      rules[name] = CostRule(
        types: { node in [node.elementType(of: "output_datatype") ?? .float32] },
        shapes: { node in [node.operand(0)?.sizes?.first.map { [$0] }] }, work: perResult(6))
    }
    rules["MelWeightMatrix"] = CostRule(
      types: { node in [node.elementType(of: "output_datatype") ?? .float32] },
      shapes: { node in
        guard let bins = node.integers(0)?.first, let length = node.integers(1)?.first, length >= 0 else { return [nil] }
        return [[.fixed(length / 2 + 1), .fixed(bins)]]
      }, work: perResult(6))
    rules["Det"] = CostRule(
      shapes: { node in [node.shape(0).flatMap { $0.count >= 2 ? Array($0.dropLast(2)) : nil }] },
      work: { node, _ in
        // Elimination takes 2/3 n^3 operations of a matrix of n x n elements.
        guard let x = node.shape(0), let size = x.last?.fixedSize else { return [] }
        return [.traffic(operations: 2.0 / 3 * Double(size), elements: x)]
      })
    return rules
  }()
}
