import ModelGraph

extension CostRule {
  /// Matrix products that are none of the graph's own: of vectors, of integers, quantized, by an equation.
  static let products: [String: CostRule] = {
    var rules: [String: CostRule] = [:]
    rules["MatMul"] = matMul(a: 0, b: 1, type: nil)
    rules["com.microsoft.FusedMatMul"] = CostRule(
      shapes: { node in [matrices(node, 0, 1).map { $0.batch + [$0.m, $0.n] }] }, work: { node, _ in work(matrices(node, 0, 1)) })
    rules["MatMulInteger"] = matMul(a: 0, b: 1, type: .int32)
    rules["QLinearMatMul"] = matMul(a: 0, b: 3, type: nil)
    rules["Gemm"] = CostRule(
      shapes: { node in [gemm(node).map { [$0.m, $0.n] }] }, work: { node, _ in work(gemm(node)) })
    rules["Einsum"] = CostRule(
      shapes: { node in [EinsumEquation(node)?.result] },
      work: { node, results in
        guard let equation = EinsumEquation(node) else { return perResult(2)(node, results) }
        return equation.work
      })
    return rules
  }()

  struct Product {
    var batch: Shape
    var m: Dimension
    var n: Dimension
    var k: Dimension
  }

  private static func work(_ product: Product?) -> [Work] {
    guard let product else { return [] }
    return [.product(batch: product.batch, m: [product.m], n: [product.n], k: [product.k], source: nil, repetitions: [])]
  }

  private static func matMul(a: Int, b: Int, type: DataType?) -> CostRule {
    CostRule(
      types: { _ in [type] },
      shapes: { node in
        guard let product = matrices(node, a, b), let left = node.shape(a), let right = node.shape(b) else { return [nil] }
        // A vector's dimension of one is taken away again.
        return [product.batch + (left.count == 1 ? [] : [product.m]) + (right.count == 1 ? [] : [product.n])]
      }, work: { node, _ in work(matrices(node, a, b)) })
  }

  private static func matrices(_ node: CostedNode, _ a: Int, _ b: Int) -> Product? {
    guard var left = node.shape(a), var right = node.shape(b), !left.isEmpty, !right.isEmpty else { return nil }
    if left.count == 1 { left.insert(.fixed(1), at: 0) }
    if right.count == 1 { right.append(.fixed(1)) }
    if node.integer("transA") ?? 0 != 0 { left.swapAt(left.count - 1, left.count - 2) }
    if node.integer("transB") ?? 0 != 0 { right.swapAt(right.count - 1, right.count - 2) }
    guard left[left.count - 1] == right[right.count - 2],
      let batch = Shapes.broadcast(Array(left.dropLast(2)), Array(right.dropLast(2)))
    else { return nil }
    return Product(batch: batch, m: left[left.count - 2], n: right[right.count - 1], k: left[left.count - 1])
  }

  private static func gemm(_ node: CostedNode) -> Product? {
    guard let a = node.shape(0), let b = node.shape(1), a.count == 2, b.count == 2 else { return nil }
    let (m, k) = node.integer("transA") ?? 0 != 0 ? (a[1], a[0]) : (a[0], a[1])
    let (depth, n) = node.integer("transB") ?? 0 != 0 ? (b[1], b[0]) : (b[0], b[1])
    return depth == k ? Product(batch: [], m: m, n: n, k: k) : nil
  }
}

/// An Einsum of one or two operands: which letters are whose. Ellipses stay with what the file declares.
struct EinsumEquation {
  let result: Shape
  let work: [CostedOperator.Work]

  init?(_ node: CostedNode) {
    guard let text = node.text("equation")?.filter({ $0 != " " }), !text.contains(".") else { return nil }
    let sides = text.split(separator: ">", omittingEmptySubsequences: false)
    guard let left = sides.first.map({ $0.hasSuffix("-") ? $0.dropLast() : $0 }) else { return nil }
    let terms = left.split(separator: ",", omittingEmptySubsequences: false).map { Array($0) }
    guard terms.count == node.inputs.count, (1...2).contains(terms.count) else { return nil }
    var sizes: [Character: Dimension] = [:]
    var counts: [Character: Int] = [:]
    for (index, term) in terms.enumerated() {
      guard let shape = node.shape(index), shape.count == term.count else { return nil }
      for (letter, size) in zip(term, shape) {
        if let known = sizes[letter], known != size, known != .fixed(1), size != .fixed(1) { return nil }
        if sizes[letter] == nil || sizes[letter] == .fixed(1) { sizes[letter] = size }
        counts[letter, default: 0] += 1
      }
    }
    // Without an arrow the result has the letters that stand once, in alphabetical order.
    let output = sides.count > 1 ? Array(sides[1]) : counts.filter { $0.value == 1 }.keys.sorted()
    guard output.allSatisfy({ sizes[$0] != nil }) else { return nil }
    func shape(_ letters: [Character]) -> Shape { letters.compactMap { sizes[$0] } }
    result = shape(output)
    let all = counts.keys.sorted()
    guard terms.count == 2 else {
      work = [.traffic(operations: output.count < all.count ? 1 : 0, elements: shape(all))]
      return
    }
    let (first, second, kept) = (Set(terms[0]), Set(terms[1]), Set(output))
    let reduced = all.filter { !kept.contains($0) }
    guard !reduced.isEmpty else {
      work = [.traffic(operations: 1, elements: result)]
      return
    }
    work = [
      .product(
        batch: shape(all.filter { kept.contains($0) && first.contains($0) && second.contains($0) }),
        m: shape(all.filter { kept.contains($0) && !second.contains($0) }),
        n: shape(all.filter { kept.contains($0) && !first.contains($0) }), k: shape(reduced), source: nil, repetitions: [])
    ]
  }
}
