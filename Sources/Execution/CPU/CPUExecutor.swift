import CheckedNumbers
import CKernels
import ModelGraph
import Threads
import TimeBase

/// Runs a program's steps over an instance's memory.
struct CPUExecutor {
  let model: CPUModel
  let program: CPUProgram
  let arena: UnsafeMutableRawPointer
  let inputs: [UnsafeMutableRawPointer]
  let outputs: [UnsafeMutableRawPointer]
  let scratch: UnsafeMutableRawPointer
  let bf16Scratch: UnsafeMutableRawPointer

  private var level: Int32 { model.level.rawValue }
  private var pool: WorkerPool { model.pool }

  func run(_ events: (any LaunchRecorder)?) throws(DeviceError) {
    guard let events else {
      for index in program.steps.indices { try run(program.steps[index].work) }
      return
    }
    var start = MonotonicClock.now
    for index in program.steps.indices {
      try run(program.steps[index].work)
      let end = MonotonicClock.now
      events.record(step: index, from: start, to: end)
      start = end
    }
  }

  func address(_ view: TensorView) -> UnsafeMutableRawPointer {
    switch view.buffer {
    case .arena: arena + view.offset
    case .input(let index): inputs[index] + view.offset
    case .output(let index): outputs[index] + view.offset
    case .constant(let index): UnsafeMutableRawPointer(mutating: model.constants[index]) + view.offset
    }
  }

  private func floats(_ view: TensorView) -> UnsafeMutablePointer<Float> { address(view).assumingMemoryBound(to: Float.self) }

  private func run(_ work: CPUStep.Work) throws(DeviceError) {
    switch work {
    case .linear(let weight, let bias, let activation, let source, let target, let product):
      try linear(model.weights[weight], bias, activation, source, target, product)
    case .product(let a, let b, let target, let bytes): product(a, b, target, bytes)
    case .layerNorm(let source, let scale, let bias, let epsilon, let activation, let width, let target):
      guard width > 0 else { return }
      rows(
        .layerNorm(
          source: floats(source), scale: floats(scale), bias: bias.map { UnsafePointer(floats($0)) }, epsilon: epsilon,
          activation: activation.kernelCode, target: floats(target)), source.count / width, width: width, cost: 4)
    case .softmax(let source, let width, let target):
      guard width > 0 else { return }
      rows(.softmax(source: floats(source), target: floats(target)), source.count / width, width: width, cost: 8)
    case .softmaxStrided(let source, let axis, let target):
      ElementLoops.softmax(floats(source), floats(target), shape: source.shape, axis: axis)
    case .activate(let activation, let source, let target):
      rows(
        .activate(activation.kernelCode, source: floats(source), target: floats(target)), source.count, width: 1,
        cost: activation == .relu ? 1 : 8)
    case .unary(let operation, let source, let target): ElementLoops.unary(operation, floats(source), floats(target), target.count)
    case .binary(let operation, let a, let b, let target): try binary(operation, a, b, target)
    case .clip(let minimum, let maximum, let source, let target):
      let (x, y) = (floats(source), floats(target))
      // NaN stays: neither comparison holds.
      for index in 0..<target.count {
        let raised = x[index] < minimum ? minimum : x[index]
        y[index] = raised > maximum ? maximum : raised
      }
    case .attributed(let function, let first, let second, let source, let target):
      ElementLoops.attributed(function, first, second, floats(source), floats(target), target.count)
    case .reduce(let reduction, let source, let axes, let target):
      ReductionLoops.run(reduction, floats(source), shape: source.shape, axes: axes, floats(target), count: target.count)
    case .copy(let source, let target): copy(source, target)
    case .cast(let source, let target): ElementLoops.cast(address(source), source.type, address(target), target.type, target.count)
    case .gather(let source, let indices, let axis, let target): try gather(source, indices, axis, target)
    case .select(let condition, let a, let b, let target): select(condition, a, b, target)
    case .defined(let step):
      switch step.loop {
      case .alongAxis(let loop, let size, let stride):
        let source = step.sources[0]
        AxisLoops.run(
          loop, floats(source), count: source.count, size: size, stride: stride,
          kept: step.targets[0].count / max(1, source.count / max(1, size)),
          step.targets.map { (address($0), $0.type.memorySize) })
      case .elementwise(let loop):
        loop(
          step.sources.map { CombinationLoops.Operand(elements: floats($0), places: StridedReader($0)) }, floats(step.targets[0]),
          step.targets[0].count)
      case .normalized(let loop, let layout):
        let rows = step.targets[0].count / max(1, layout.width)
        // As `RowWork` has it: below this one thread is as fast.
        let parts = step.targets[0].count > 1 << 14 && pool.threads > 1 ? min(rows, pool.threads * 4) : 1
        pool.run(
          parts,
          NormalizationWork(
            loop: loop, layout: layout, rows: rows, parts: parts, source: floats(step.sources[0]),
            parameters: step.sources.dropFirst().map { UnsafePointer(floats($0)) }, target: floats(step.targets[0])))
      case .indexed(let lookup):
        try IndexLoops(lookup: lookup, source: step.sources[0], indices: step.sources[1], target: step.targets[0])
          .run(address(step.sources[0]), address(step.sources[1]), address(step.targets[0]))
      }
    case .fill(let bits, let target): fill(bits, target)
    case .scaleAdd(let alpha, let beta, let c, let target):
      let y = floats(target)
      guard let c else {
        for index in 0..<target.count { y[index] *= alpha }
        return
      }
      let (z, reader) = (floats(c), StridedReader(c))
      reader.forEach { index, offset in y[index] = alpha * y[index] + beta * z[offset] }
    }
  }

  // MARK: - Parallel loops

  /// Splits rows over the threads where there is enough to do; `cost`: rough work an element.
  private func rows(_ kernel: RowWork.Kernel, _ rows: Int, width: Int, cost: Int) {
    let work = RowWork(kernel, level: level, rows: rows, width: width, cost: cost, threads: pool.threads)
    pool.run(work.parts, work)
  }

  // MARK: - Products

  private func linear(
    _ weight: CPUWeight, _ bias: TensorView?, _ activation: Activation, _ source: TensorView, _ target: TensorView,
    _ product: OneDNNProduct?
  ) throws(DeviceError) {
    // Else the target would keep what an earlier batch left there.
    guard let shape = source.matrixRows else { throw DeviceError(.batchFailed, "a GEMM's rows are not evenly strided") }
    let (m, lda) = (shape.rows, max(shape.distance, 1))
    let (a, c, b) = (floats(source), floats(target), bias.map { UnsafePointer(floats($0)) })
    var low: UnsafeMutablePointer<UInt16>?
    if model.precision == .bf16 {
      let start = bf16Scratch.assumingMemoryBound(to: UInt16.self)
      low = start
      rows(.toBrain(source: a, distance: lda, target: start), m, width: weight.k, cost: 1)
    }
    try CPULinear(pool: pool, level: level).run(
      weight, product, a: a, bf16Scratch: low, lda: lda, rows: m, bias: b, activation: activation, c: c)
  }

  private func product(_ a: TensorView, _ b: TensorView, _ target: TensorView, _ packedBytes: Int) {
    let blocks = target.shape.dropLast(2).reduce(1, *)
    let (m, k, n) = (a.shape[a.shape.count - 2], a.shape[a.shape.count - 1], b.shape[b.shape.count - 1])
    guard m > 0, n > 0, blocks > 0 else { return }
    let (x, z, y) = (floats(a), floats(b), floats(target))
    if k == 0 {
      y.update(repeating: 0, count: target.count)
      return
    }
    let lda = a.shape[a.shape.count - 2] == 1 ? k : a.strides[a.strides.count - 2]
    // A packed operand a thread: as many tasks as there are scratch areas, each with its share of the blocks.
    let parts = min(blocks, pool.threads)
    pool.run(
      parts,
      BlockProducts(
        level: level, parts: parts, blocks: blocks, m: m, k: k, n: n, a: x, lda: lda, offsetsA: StridedReader(a, droppingLast: 2), b: z,
        rowStride: b.strides[b.strides.count - 2], columnStride: b.strides[b.strides.count - 1],
        offsetsB: StridedReader(b, droppingLast: 2), scratch: scratch, scratchBytes: program.scratchBytes, c: y))
  }

  // MARK: - Elements

  private func binary(_ operation: BinaryOperation, _ a: TensorView, _ b: TensorView, _ target: TensorView) throws(DeviceError) {
    switch target.type {
    case .float32:
      let (x, z, y) = (floats(a), floats(b), floats(target))
      // The second operand repeats: a bias, a mask row.
      if let code = operation.kernelCode, a.isContiguous, let period = b.period {
        let count = target.count
        guard count > 0 else { return }
        let kernel: RowWork.Kernel = period == count ? .binary(code, x, z, target: y) : .binaryRepeated(code, x, z, target: y)
        rows(kernel, period == count ? count : count / period, width: period == count ? 1 : period, cost: 1)
        return
      }
      let (left, right) = (StridedReader(a), StridedReader(b))
      for index in 0..<target.count { y[index] = ElementLoops.apply(operation, x[left[index]], z[right[index]]) }
    case .int64: try integers(Int64.self, operation, a, b, target)
    case .int32: try integers(Int32.self, operation, a, b, target)
    default: throw DeviceError(.unsupported, "\(operation.rawValue) of \(target.type.rawValue) is not available on this device")
    }
  }

  private func integers<Element: FixedWidthInteger>(
    _: Element.Type, _ operation: BinaryOperation, _ a: TensorView, _ b: TensorView, _ target: TensorView
  ) throws(DeviceError) {
    let (x, z, y) = (
      address(a).assumingMemoryBound(to: Element.self), address(b).assumingMemoryBound(to: Element.self),
      address(target).assumingMemoryBound(to: Element.self)
    )
    let (left, right) = (StridedReader(a), StridedReader(b))
    for index in 0..<target.count {
      let (p, q) = (x[left[index]], z[right[index]])
      switch operation {
      case .add: y[index] = p &+ q
      case .subtract: y[index] = p &- q
      case .multiply: y[index] = p &* q
      case .divide:
        if q == 0 { throw DeviceError(.badInput, "an integer is divided by zero") }
        y[index] = p.dividedReportingOverflow(by: q).partialValue
      case .minimum: y[index] = min(p, q)
      case .maximum: y[index] = max(p, q)
      case .power: throw DeviceError(.unsupported, "powers of integers are not available on this device")
      }
    }
  }

  private func copy(_ source: TensorView, _ target: TensorView) {
    if source.isContiguous && target.isContiguous {
      if address(source) != address(target) { address(target).copyMemory(from: address(source), byteCount: target.byteCount) }
      return
    }
    switch source.type.memorySize {
    case 8: ElementLoops.copy(UInt64.self, address(source), source, address(target), target)
    case 4: ElementLoops.copy(UInt32.self, address(source), source, address(target), target)
    case 2: ElementLoops.copy(UInt16.self, address(source), source, address(target), target)
    default: ElementLoops.copy(UInt8.self, address(source), source, address(target), target)
    }
  }

  private func fill(_ bits: UInt64, _ target: TensorView) {
    func fill<Element: FixedWidthInteger>(_: Element.Type) {
      address(target).assumingMemoryBound(to: Element.self).update(repeating: Element(truncatingIfNeeded: bits), count: target.count)
    }
    switch target.type.memorySize {
    case 8: fill(UInt64.self)
    case 4: fill(UInt32.self)
    case 2: fill(UInt16.self)
    default: fill(UInt8.self)
    }
  }

  private func gather(_ source: TensorView, _ indices: TensorView, _ axis: Int, _ target: TensorView) throws(DeviceError) {
    let size = source.shape[axis]
    let outer = source.shape[..<axis].reduce(1, *)
    let inner = source.shape[(axis + 1)...].reduce(1, *) * source.type.memorySize
    let count = indices.count
    let (from, to, places) = (address(source), address(target), address(indices))
    for place in 0..<count {
      let given =
        indices.type == .int64
        ? Int(places.load(fromByteOffset: place * 8, as: Int64.self)) : Int(places.load(fromByteOffset: place * 4, as: Int32.self))
      let index = given < 0 ? given + size : given
      guard index >= 0, index < size else {
        throw DeviceError(.badInput, "index \(given) is out of range for a dimension of size \(size)")
      }
      for block in 0..<outer {
        (to + (block * count + place) * inner).copyMemory(from: from + (block * size + index) * inner, byteCount: inner)
      }
    }
  }

  private func select(_ condition: TensorView, _ a: TensorView, _ b: TensorView, _ target: TensorView) {
    let (flags, x, z, y) = (address(condition), address(a), address(b), address(target))
    let size = target.type.memorySize
    let (which, left, right) = (StridedReader(condition), StridedReader(a), StridedReader(b))
    for index in 0..<target.count {
      let isTrue = flags.load(fromByteOffset: which[index], as: UInt8.self) != 0
      (y + index * size).copyMemory(from: isTrue ? x + left[index] * size : z + right[index] * size, byteCount: size)
    }
  }
}

/// A stack of products of two activations: the right one of each block is packed, then multiplied by.
struct BlockProducts: PoolWork {
  let level: Int32
  let parts: Int
  let blocks: Int
  let m: Int
  let k: Int
  let n: Int
  let a: UnsafePointer<Float>
  let lda: Int
  let offsetsA: StridedReader
  let b: UnsafePointer<Float>
  let rowStride: Int
  let columnStride: Int
  let offsetsB: StridedReader
  /// A packed operand for each part.
  let scratch: UnsafeMutableRawPointer
  let scratchBytes: Int
  let c: UnsafeMutablePointer<Float>

  func run(_ part: Int) {
    let packed = (scratch + part * scratchBytes).assumingMemoryBound(to: Float.self)
    for block in blocks * part / parts..<blocks * (part + 1) / parts {
      headroom_pack_strided_f32(b + offsetsB[block], Int64(k), Int64(n), Int64(rowStride), Int64(columnStride), packed)
      headroom_gemm_f32(
        level, a + offsetsA[block], Int64(lda), Int64(m), Int64(k), packed, 0, Int64((n + 31) / 32), Int64(n), nil, 0, c + block * m * n,
        Int64(n))
    }
  }
}
