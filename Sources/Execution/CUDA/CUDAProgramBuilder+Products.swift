import CCUDAKernels
import CheckedNumbers
import ModelGraph

extension CUDAProgramBuilder {
  /// A product with what an epilogue can do fused into it, the rest behind it. cuBLASLt's GELU is the tanh approximation, and none for float32.
  mutating func product(
    a: CUDAPlace, isTransposedA: Bool, distanceA: Int, strideA: Int, source: TensorView, columns: Int, distanceB: Int, isTransposedB: Bool,
    strideB: Int, batches: Int, strideD: Int, target: TensorView, rows: Int, depth: Int, bias: TensorView?, biasStride: Int,
    _ activation: Activation
  ) throws(DeviceError) {
    guard source.type == type, target.type == type else { throw unsupported("a product of \(source.type.rawValue) is not available") }
    guard depth > 0, rows > 0, columns > 0 else { throw unsupported("a product over nothing is not available") }
    let fusesBias =
      bias.map { $0.type == type && $0.shape.last == rows && ($0.strides.last == 1 || rows == 1) && $0.offset % 16 == 0 } ?? false
    let isLast = bias == nil || fusesBias
    let fuses = isLast && (activation == .relu || activation == .geluTanh && type != .float32)
    let matrix = target.matrixRows
    appendMatmul(
      CUDAMatmul(
        shape: CUDAMatmul.Shape(
          rows: rows, columns: columns, depth: depth, batches: batches, isTransposedA: isTransposedA, isTransposedB: isTransposedB,
          distanceA: distanceA, distanceB: distanceB, distanceD: batches > 1 ? rows : max(matrix?.distance ?? rows, rows), strideA: strideA,
          strideB: strideB, strideD: strideD, biasStride: fusesBias ? biasStride : 0, hasBias: fusesBias,
          activation: fuses ? activation : .none, type: type),
        a: a, b: .view(source), d: .view(target), bias: fusesBias ? bias.map { .view($0) } ?? .null : .null))
    if !isLast || (!fuses && activation != .none) {
      try addScaled(target, isLast ? nil : bias, alpha: 1, beta: 1, activation)
    }
  }

  /// Products of two activations, leading dimensions as strided batches; those that have no common stride one after the other.
  mutating func product(_ a: TensorView, _ b: TensorView, _ target: TensorView) throws(DeviceError) {
    let rank = target.shape.count
    let (m, n) = (target.shape[rank - 2], target.shape[rank - 1])
    let k = a.shape[rank - 1]
    var right = b
    let (down, across) = (b.strides[rank - 2], b.strides[rank - 1])
    // One of the two dimensions has to be dense.
    if !(across == 1 || n == 1) && !(down == 1 || k == 1) || (across == 0 && n > 1) || (down == 0 && k > 1) {
      let copied = temporary(b.type, b.shape)
      try addCopy(b, copied)
      right = copied
    }
    let isTransposed = !(right.strides[rank - 1] == 1 || n == 1)
    let rightDistance = isTransposed ? max(right.strides[rank - 1], k) : max(right.strides[rank - 2], n)
    let leftDistance = max(a.strides[rank - 2], k)
    let leading = CUDAWalk(
      Array(target.shape.dropLast(2)),
      [Array(a.strides.dropLast(2)), Array(right.strides.dropLast(2)), Array(target.strides.dropLast(2))])
    // The innermost of the joined dimensions is the batch.
    let batches = leading.sizes.last ?? 1
    let outer = leading.sizes.dropLast().reduce(1, *)
    guard outer <= 1024 else { throw unsupported("so many products that have no common stride are not available") }
    for index in 0..<outer {
      var (rest, offsets) = (index, [0, 0, 0])
      for axis in leading.sizes.indices.dropLast().reversed() {
        for operand in 0..<3 { offsets[operand] += rest % leading.sizes[axis] * leading.strides[operand][axis] }
        rest /= leading.sizes[axis]
      }
      func moved(_ view: TensorView, _ elements: Int) -> TensorView {
        var view = view
        view.offset += elements * view.type.memorySize
        return view
      }
      let last = leading.sizes.count - 1
      try product(
        a: .view(moved(right, offsets[1])), isTransposedA: isTransposed, distanceA: rightDistance, strideA: leading.strides[1][last],
        source: moved(a, offsets[0]), columns: m, distanceB: leftDistance, isTransposedB: false, strideB: leading.strides[0][last],
        batches: batches, strideD: leading.strides[2][last], target: moved(target, offsets[2]), rows: n, depth: k, bias: nil, biasStride: 0,
        .none)
    }
  }

  private mutating func addCopy(_ source: TensorView, _ target: TensorView) throws(DeviceError) {
    let bytes = source.type.memorySize
    guard let walk = CUDAWalk(source.shape, [source.strides, source.shape.map { _ in 0 }, target.strides]).argument(count: source.count),
      [1, 2, 4, 8].contains(bytes)
    else { throw unsupported("operands of so many dimensions are not available") }
    append(
      CUDALaunch(
        source: .elements, function: "copy_\(bytes)", blocks: max(1, min((source.count + 255) / 256, smCount * 32)), threads: 256,
        arguments: [.place(.view(source)), .place(.view(target)), CUDALaunch.value(walk)]))
  }

  /// Products of neighbouring steps that are the slices of one weight (heads side by side) as one strided batch. How many steps it took.
  mutating func stackedLinear(at start: Int) throws(DeviceError) -> Int? {
    guard case .linear(let first, let bias, let activation, let source, let target, _) = program.steps[start].work,
      let matrix = source.matrixRows, let written = target.matrixRows, written.distance == written.width
    else { return nil }
    var (count, strideB, strideD, biasStride) = (1, 0, 0, 0)
    while start + count < program.steps.count,
      case .linear(let weight, let nextBias, let nextActivation, let nextSource, let nextTarget, _) = program.steps[start + count].work,
      program.steps[start + count].layer == program.steps[start].layer, weights[weight].follows(weights[first], by: count),
      nextActivation == activation, nextSource.shape == source.shape, nextSource.strides == source.strides,
      nextSource.buffer == source.buffer, nextTarget.shape == target.shape, nextTarget.buffer == target.buffer,
      (nextBias == nil) == (bias == nil)
    {
      let size = source.type.memorySize
      let steps = [nextSource.offset - source.offset, nextTarget.offset - target.offset, (nextBias?.offset ?? 0) - (bias?.offset ?? 0)]
      if count == 1 {
        guard steps.allSatisfy({ $0 >= 0 && $0 % size == 0 }), nextBias?.buffer == bias?.buffer else { break }
        (strideB, strideD, biasStride) = (steps[0] / size, steps[1] / size, steps[2] / size)
      } else if steps != [strideB * count * size, strideD * count * size, biasStride * count * size] || nextBias?.buffer != bias?.buffer {
        break
      }
      count += 1
    }
    let shape = weights[first]
    guard count > 1, strideD >= written.rows * written.width else { return nil }
    // A bias that cannot be fused is added to each slice by itself.
    if let bias, !(bias.strides.last == 1 || shape.n == 1) || bias.offset % 16 != 0 || biasStride * source.type.memorySize % 16 != 0 {
      return nil
    }
    var all = target
    all.shape = [count] + target.shape
    all.strides = [strideD] + target.strides
    try product(
      a: .weight(first, offset: 0), isTransposedA: shape.isTransposed, distanceA: shape.isTransposed ? shape.k : shape.n,
      strideA: shape.k * shape.n, source: source, columns: matrix.rows, distanceB: max(matrix.distance, shape.k), isTransposedB: false,
      strideB: strideB, batches: count, strideD: strideD, target: all, rows: shape.n, depth: shape.k, bias: bias, biasStride: biasStride,
      activation)
    return count
  }

  // MARK: - Attention

  /// Scores, scale, mask, softmax and the product with the values as one kernel, where nothing else reads what lies between. How many steps it
  /// took.
  mutating func attention(at start: Int) throws(DeviceError) -> Int? {
    guard type != .float32, case .product(let q, let keys, let scores, _) = program.steps[start].work else { return nil }
    let all = program.steps
    var (index, current, scale, mask) = (start + 1, scores, 1.0, TensorView?.none)
    func isSame(_ a: TensorView, _ b: TensorView) -> Bool { a.buffer == b.buffer && a.offset == b.offset && a.count == b.count }
    var between = [scores]
    while index < all.count, case .binary(let operation, let a, let b, let target) = all[index].work, isSame(a, current), a.isContiguous {
      if case .constant(let place) = b.buffer, let value = scalars[place], mask == nil, operation == .multiply || operation == .divide {
        scale *= operation == .multiply ? value : 1 / value
      } else if operation == .add, mask == nil, b.type == type {
        mask = b
      } else {
        return nil
      }
      between.append(target)
      current = target
      index += 1
    }
    guard index + 1 < all.count, case .softmax(let source, let width, let weights) = all[index].work, isSame(source, current),
      case .product(let left, let values, let target, _) = all[index + 1].work, isSame(left, weights), left.isContiguous
    else { return nil }
    between.append(weights)
    let rank = scores.shape.count
    guard rank == 3 || rank == 4, width == scores.shape[rank - 1], target.shape.count == rank else { return nil }
    let (queries, keyCount, depth) = (scores.shape[rank - 2], scores.shape[rank - 1], q.shape[rank - 1])
    guard depth == target.shape[rank - 1], depth <= 128, depth % 8 == 0, queries > 0, keyCount > 0 else { return nil }
    // Keys come transposed: [depth, keys] with depth dense.
    guard q.strides[rank - 1] == 1, keys.strides[rank - 2] == 1, values.strides[rank - 1] == 1, target.strides[rank - 1] == 1 else {
      return nil
    }
    for view in between where isRead(view, after: index + 1) { return nil }
    // The memory plan lets what the first product read end there: the result may have been given its place, and one kernel reads it to the end.
    for view in [q, keys, mask].compactMap({ $0 })
    where view.buffer == target.buffer && view.offset < target.offset + target.extent && target.offset < view.offset + view.extent {
      return nil
    }
    let (batch, heads) = rank == 4 ? (scores.shape[0], scores.shape[1]) : (1, scores.shape[0])
    func leading(_ view: TensorView) -> (Int, Int) { rank == 4 ? (view.strides[0], view.strides[1]) : (0, view.strides[0]) }
    let (qs, ks, vs, ts) = (leading(q), leading(keys), leading(values), leading(target))
    let strides = [
      qs.0, qs.1, q.strides[rank - 2], ks.0, ks.1, keys.strides[rank - 1], vs.0, vs.1, values.strides[rank - 2], ts.0, ts.1,
      target.strides[rank - 2],
    ]
    // 16 bytes at once.
    guard strides.allSatisfy({ $0 % 8 == 0 }), [q, keys, values, target].allSatisfy({ $0.offset % 16 == 0 && $0.type == type }) else {
      return nil
    }
    var shape = HRAttention()
    (shape.heads, shape.queries, shape.keys, shape.width) = (
      Int32(clamping: heads), Int32(clamping: queries), Int32(clamping: keyCount), Int32(clamping: depth)
    )
    shape.scale = Float(scale)
    (shape.queryBatch, shape.queryHead, shape.queryRow) = (Int64(strides[0]), Int64(strides[1]), Int64(strides[2]))
    (shape.keyBatch, shape.keyHead, shape.keyRow) = (Int64(strides[3]), Int64(strides[4]), Int64(strides[5]))
    (shape.valueBatch, shape.valueHead, shape.valueRow) = (Int64(strides[6]), Int64(strides[7]), Int64(strides[8]))
    (shape.targetBatch, shape.targetHead, shape.targetRow) = (Int64(strides[9]), Int64(strides[10]), Int64(strides[11]))
    if let mask {
      let given = mask.broadcast(to: scores.shape).strides
      let (batchStride, headStride) = rank == 4 ? (given[0], given[1]) : (0, given[0])
      (shape.maskBatch, shape.maskHead, shape.maskRow, shape.maskColumn) = (
        Int64(batchStride), Int64(headStride), Int64(given[rank - 2]), Int64(given[rank - 1])
      )
    }
    guard let element = type.element else { return nil }
    append(
      CUDALaunch(
        source: .attention, function: "attention_\(element.suffix)", blocks: (queries + 63) / 64 * batch * heads, threads: 128,
        arguments: [
          .place(.view(q)), .place(.view(keys)), .place(.view(values)), .place(mask.map { .view($0) } ?? .null), .place(.view(target)),
          CUDALaunch.value(shape),
        ]))
    return index + 2 - start
  }

  /// Whether what a view holds after a step is read by a later one: whichever comes first of a read of some of it and a write of all of it.
  private func isRead(_ view: TensorView, after index: Int) -> Bool {
    func range(_ view: TensorView) -> (Int, Int) { (view.offset, view.offset + view.extent) }
    let (start, end) = range(view)
    if case .output = view.buffer { return true }
    for step in program.steps.dropFirst(index + 1) {
      let target = step.work.target
      var isRead = false
      step.work.forEachView { other in
        if other == target { return }
        let (first, last) = range(other)
        if other.buffer == view.buffer, first < end, last > start { isRead = true }
      }
      if isRead { return true }
      let (first, last) = range(target)
      if target.buffer == view.buffer, first <= start, last >= end, target.isContiguous { return false }
    }
    return false
  }

  // MARK: - Chains

  /// Runs of three and more layers of one width, each reading what the one before wrote, for few rows.
  func chains(_ linear: [(step: Int, work: CPUStep.Work)]) -> [CUDAChain] {
    guard type != .float32, program.rows > 0 else { return [] }
    var found: [CUDAChain] = []
    var open: CUDAChain?
    func close() {
      if let chain = open, chain.weights.count >= 3 { found.append(chain) }
      open = nil
    }
    for (step, work) in linear {
      guard case .linear(let weight, let bias, let activation, let source, let target, _) = work, let matrix = source.matrixRows,
        let written = target.matrixRows, matrix.rows <= 32, weights[weight].k == weights[weight].n, weights[weight].k % 32 == 0,
        matrix.distance % 8 == 0, source.offset % 16 == 0, source.buffer.isDevice, target.buffer.isDevice,
        bias.map({ $0.strides.last == 1 && $0.count == weights[weight].n }) ?? true
      else {
        close()
        continue
      }
      // One step per layer: the activation was fused into the product.
      let isWhole = activation == .none || activation == .relu || activation == .geluTanh
      if var chain = open, chain.steps.upperBound == step, chain.width == weights[weight].k, chain.activation == activation,
        chain.rows == matrix.rows, chain.targets.last.map({ $0.buffer == source.buffer && $0.offset == source.offset }) == true,
        matrix.distance == chain.targets.last?.matrixRows?.distance, isWhole
      {
        chain.steps = chain.steps.lowerBound..<step + 1
        chain.weights.append(weight)
        chain.biases.append(bias.map { .view($0) } ?? .null)
        chain.sources.append(source)
        chain.targets.append(target)
        open = chain
      } else {
        close()
        guard isWhole, written.distance >= written.width else { continue }
        open = CUDAChain(
          steps: step..<step + 1, rows: matrix.rows, width: weights[weight].k, activation: activation, weights: [weight],
          biases: [bias.map { .view($0) } ?? .null], sources: [source], targets: [target])
      }
    }
    close()
    return found
  }
}

extension TensorView {
  /// Bytes from its first element to behind its last.
  var extent: Int {
    if count == 0 { return 0 }
    return (zip(shape, strides).reduce(0) { $0 + max(0, $1.0 - 1) * max(0, $1.1) } + 1) * type.memorySize
  }
}

extension TensorView.Buffer {
  /// Memory that only this program's kernels read and write.
  var isDevice: Bool { self == .arena }
}

extension CPUStep.Work {
  /// What it writes; of several results the first. The others count as read: fewer steps are fused then, and none wrongly.
  var target: TensorView {
    switch self {
    case .linear(_, _, _, _, let target, _), .product(_, _, let target, _), .layerNorm(_, _, _, _, _, _, let target),
      .softmax(_, _, let target), .softmaxStrided(_, _, let target), .activate(_, _, let target), .unary(_, _, let target),
      .binary(_, _, _, let target), .clip(_, _, _, let target), .attributed(_, _, _, _, let target), .reduce(_, _, _, let target),
      .copy(_, let target), .cast(_, let target), .gather(_, _, _, let target), .select(_, _, _, let target),
      .fill(_, let target), .scaleAdd(_, _, _, let target):
      target
    case .defined(let step): step.targets[0]
    }
  }
}
