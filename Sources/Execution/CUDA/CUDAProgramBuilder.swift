import CCUDAKernels
import CheckedNumbers
import ModelGraph

/// Turns a program that is bound to a number of rows (views, memory, order: as the CPU device has it) into kernels and products for a GPU.
struct CUDAProgramBuilder {
  let program: CPUProgram
  /// k and n of each weight, by number.
  let weights: [CUDAWeight.Shape]
  /// Constants of one element, by their place.
  let scalars: [Int: Double]
  let type: DataType
  let smCount: Int

  private var steps: [CUDAStep] = []
  private var extraBytes = 0
  private var usesFlag = false
  private var layer = ""
  private var name = ""

  init(program: CPUProgram, weights: [CUDAWeight.Shape], scalars: [Int: Double], type: DataType, smCount: Int) {
    self.program = program
    self.weights = weights
    self.scalars = scalars
    self.type = type
    self.smCount = smCount
  }

  mutating func build() throws(DeviceError) -> CUDAProgram {
    var index = 0
    var linear: [(step: Int, work: CPUStep.Work)] = []
    while index < program.steps.count {
      (layer, name) = (program.steps[index].layer, program.steps[index].name)
      if let found = try attention(at: index) {
        index += found
        continue
      }
      if let found = try stackedLinear(at: index) {
        index += found
        continue
      }
      let work = program.steps[index].work
      if case .linear = work { linear.append((steps.count, work)) }
      try add(work)
      index += 1
    }
    return CUDAProgram(
      rows: program.rows, steps: steps, chains: chains(linear), arenaBytes: program.arenaBytes + extraBytes, inputs: program.inputs,
      outputs: program.outputs, usesFlag: usesFlag)
  }

  // MARK: - Steps

  func unsupported(_ reason: String) -> DeviceError {
    DeviceError(.unsupported, "layer \"\(layer)\": \(reason) on a CUDA device")
  }

  mutating func append(_ launch: CUDALaunch) { steps.append(CUDAStep(name: launch.function, layer: layer, work: .launch(launch))) }

  /// Memory of the arena that nothing else uses.
  mutating func temporary(_ type: DataType, _ shape: [Int]) -> TensorView {
    let view = TensorView(
      buffer: .arena, offset: program.arenaBytes + extraBytes, type: type, shape: shape, strides: TensorView.contiguousStrides(shape))
    extraBytes += (view.byteCount + 255) & ~255
    return view
  }

  func element(_ view: TensorView) throws(DeviceError) -> CUDACompiler.Element {
    guard let element = view.type.element else { throw unsupported("\(name) of \(view.type.rawValue) is not available") }
    return element
  }

  private func walk(_ shape: [Int], _ operands: [[Int]], count: Int) throws(DeviceError) -> CUDALaunch.Argument {
    guard let walk = CUDAWalk(shape, operands).argument(count: count) else {
      throw unsupported("\(name) over \(shape.count) dimensions of which more than \(HR_MAX_RANK) cannot be joined is not available")
    }
    return CUDALaunch.value(walk)
  }

  private func elementwise(_ function: String, count: Int, _ arguments: [CUDALaunch.Argument]) -> CUDALaunch {
    CUDALaunch(
      source: .elements, function: function, blocks: max(1, min((count + 255) / 256, smCount * 32)), threads: 256, arguments: arguments)
  }

  private func byRows(_ function: String, blocks: Int, _ arguments: [CUDALaunch.Argument]) -> CUDALaunch {
    CUDALaunch(source: .rows, function: function, blocks: max(1, min(blocks, smCount * 64)), threads: 128, arguments: arguments)
  }

  private mutating func add(_ work: CPUStep.Work) throws(DeviceError) {
    switch work {
    case .linear(let weight, let bias, let activation, let source, let target, _):
      guard let matrix = source.matrixRows else { throw unsupported("rows that are not evenly strided are not available") }
      let shape = weights[weight]
      try product(
        a: .weight(weight, offset: 0), isTransposedA: shape.isTransposed, distanceA: shape.isTransposed ? shape.k : shape.n, strideA: 0,
        source: source, columns: matrix.rows, distanceB: max(matrix.distance, shape.k), isTransposedB: false, strideB: 0, batches: 1,
        strideD: 0,
        target: target, rows: shape.n, depth: shape.k, bias: bias, biasStride: 0, activation)
    case .product(let a, let b, let target, _): try product(a, b, target)
    case .layerNorm(let source, let scale, let bias, let epsilon, let activation, let width, let target):
      let rows = target.count / max(1, width)
      append(
        byRows(
          "layer_norm_\(try element(target).suffix)", blocks: rows,
          [
            .place(.view(source)), .place(.view(scale)), .place(bias.map { .view($0) } ?? .null), .place(.view(target)),
            CUDALaunch.value(Int64(rows)), CUDALaunch.value(Int32(clamping: width)), CUDALaunch.value(epsilon),
            CUDALaunch.value(activation.kernelNumber),
          ]))
    case .softmax(let source, let width, let target): try softmax(source, width: width, stride: 1, target)
    case .softmaxStrided(let source, let axis, let target):
      try softmax(source, width: source.shape[axis], stride: source.shape[(axis + 1)...].reduce(1, *), target)
    case .activate(let activation, let source, let target):
      let function: Int32 =
        switch activation {
        case .none: UnaryOperation.identity.kernelNumber
        case .relu: UnaryOperation.relu.kernelNumber
        case .gelu: UnaryOperation.gelu.kernelNumber
        case .geluTanh: UnaryOperation.geluTanh.kernelNumber
        case .tanh: UnaryOperation.tanh.kernelNumber
        case .sigmoid: UnaryOperation.sigmoid.kernelNumber
        }
      try unary(function, source, target)
    case .unary(let operation, let source, let target): try unary(operation.kernelNumber, source, target)
    case .clip(let minimum, let maximum, let source, let target):
      try unary(Int32(clamping: HR_UNARY_CLIP), source, target, minimum, maximum)
    case .attributed(let function, let first, let second, let source, let target):
      try unary(function.kernelNumber, source, target, first, second)
    case .binary(let operation, let a, let b, let target): try binary(operation, a, b, target)
    case .reduce(let reduction, let source, let axes, let target): try reduce(reduction, source, axes, target)
    case .copy(let source, let target):
      let bytes = source.type.memorySize
      guard [1, 2, 4, 8].contains(bytes) else { throw unsupported("elements of \(source.type.rawValue) are not available") }
      append(
        elementwise(
          "copy_\(bytes)", count: source.count,
          [
            .place(.view(source)), .place(.view(target)),
            try walk(source.shape, [source.strides, source.shape.map { _ in 0 }, target.strides], count: source.count),
          ]))
    case .cast(let source, let target):
      guard let from = source.type.kernelNumber, let to = target.type.kernelNumber else {
        throw unsupported("a cast from \(source.type.rawValue) to \(target.type.rawValue) is not available")
      }
      append(
        elementwise(
          "convert", count: target.count,
          [
            .place(.view(source)), .place(.view(target)), try walk(target.shape, [source.strides], count: target.count),
            CUDALaunch.value(from),
            CUDALaunch.value(to),
          ]))
    case .gather(let source, let indices, let axis, let target):
      usesFlag = true
      let outer = source.shape[..<axis].reduce(1, *)
      let inner = source.shape[(axis + 1)...].reduce(1, *) * source.type.memorySize
      append(
        CUDALaunch(
          source: .elements, function: "gather", blocks: max(1, min(outer * indices.count, smCount * 32)),
          threads: inner >= 1024 ? 256 : 64,
          arguments: [
            .place(.view(source)), .place(.view(indices)), .place(.view(target)), CUDALaunch.value(Int64(outer)),
            CUDALaunch.value(Int64(source.shape[axis])), CUDALaunch.value(Int64(indices.count)), CUDALaunch.value(Int64(inner)),
            CUDALaunch.value(Int32(clamping: indices.type == .int64 ? 1 : 0)), .place(.flag),
          ]))
    case .select(let condition, let a, let b, let target):
      let bytes = target.type.memorySize
      guard condition.type == .bool, a.type == target.type, b.type == target.type, [1, 2, 4, 8].contains(bytes) else {
        throw unsupported("a choice of unlike types is not available")
      }
      append(
        elementwise(
          "select_\(bytes)", count: target.count,
          [
            .place(.view(condition)), .place(.view(a)), .place(.view(b)), .place(.view(target)),
            try walk(target.shape, [a.strides, b.strides, condition.strides], count: target.count),
          ]))
    case .defined(let step): try defined(step)
    case .fill(let bits, let target):
      let bytes = target.type.memorySize
      guard [1, 2, 4, 8].contains(bytes) else { throw unsupported("elements of \(target.type.rawValue) are not available") }
      append(
        elementwise(
          "fill_\(bytes)", count: target.count,
          [.place(.view(target)), CUDALaunch.value(Int64(target.count)), CUDALaunch.value(bits)]))
    case .scaleAdd(let alpha, let beta, let c, let target):
      try addScaled(target, c, alpha: alpha, beta: beta, .none)
    }
  }

  /// An operator with a definition: the kernel of its name, called as its family's are.
  private mutating func defined(_ step: DefinedStep) throws(DeviceError) {
    guard let source = step.sources.first else { throw unsupported("no inputs are not available") }
    func function() throws(DeviceError) -> String { "\(step.name)_\(try element(source).suffix)" }
    let numbers = [0, 1].map { index in CUDALaunch.value(index < step.operation.numbers.count ? step.operation.numbers[index] : 0) }
    switch step.loop {
    case .alongAxis(_, let size, let stride):
      let rows = source.count / max(1, size)
      guard step.targets.count <= 3 else { throw unsupported("so many results are not available") }
      // Of several results: null where there are fewer than three, and how many elements of a row are in each.
      let isOne = step.targets.count == 1
      let kept = isOne ? [] : [CUDALaunch.value(Int32(clamping: step.targets[0].count / max(1, rows)))]
      let targets = (0..<(isOne ? 1 : 3)).map { $0 < step.targets.count ? CUDAPlace.view(step.targets[$0]) : .null }
      append(
        byRows(
          try function(), blocks: (rows + 3) / 4,
          [
            .place(.view(source))
          ] + targets.map { .place($0) } + [
            CUDALaunch.value(Int64(rows)), CUDALaunch.value(Int32(clamping: size)), CUDALaunch.value(Int64(stride)),
          ]
            + kept + numbers))
    case .elementwise:
      guard step.sources.count <= 3 else { throw unsupported("so many inputs are not available") }
      let places = (0..<3).map { $0 < step.sources.count ? CUDAPlace.view(step.sources[$0]) : .null }
      append(
        elementwise(
          try function(), count: step.targets[0].count,
          places.map { .place($0) } + [
            .place(.view(step.targets[0])), try walk(step.targets[0].shape, step.sources.map(\.strides), count: step.targets[0].count),
          ] + numbers))
    case .normalized(_, let layout):
      guard step.sources.count <= 5 else { throw unsupported("so many inputs are not available") }
      let places = (0..<5).map { $0 < step.sources.count ? CUDAPlace.view(step.sources[$0]) : .null } + [.view(step.targets[0])]
      let rows = source.count / max(1, layout.width)
      guard let width = Int32(exactly: layout.width), let period = Int32(exactly: layout.period), let stepped = Int32(exactly: layout.step),
        let share = Int32(exactly: layout.share)
      else { throw unsupported("rows of so many elements are not available") }
      let argument = HRRows(rows: Int64(rows), width: width, period: period, step: stepped, share: share)
      append(byRows(try function(), blocks: rows, places.map { .place($0) } + [CUDALaunch.value(argument)] + numbers))
    case .indexed(let lookup): try indexed(lookup, source, indices: step.sources[1], step.targets[0])
    }
  }

  /// Elements that integers of another tensor say the places of, whatever their type.
  private mutating func indexed(
    _ lookup: ElementMove.Lookup, _ source: TensorView, indices: TensorView, _ target: TensorView
  ) throws(DeviceError) {
    let bytes = source.type.memorySize
    guard [1, 2, 4, 8].contains(bytes), let argument = lookup.argument(isLong: indices.type == .int64) else {
      throw unsupported("\(name) of \(source.type.rawValue) by \(lookup.axes.count) integers is not available")
    }
    if !lookup.isLenient { usesFlag = true }
    append(
      elementwise(
        "copy_indexed_\(bytes)", count: target.count,
        [
          .place(.view(source)), .place(.view(indices)), .place(.view(target)),
          try walk(target.shape, [source.strides, indices.strides, target.strides], count: target.count), CUDALaunch.value(argument),
          .place(lookup.isLenient ? .null : .flag),
        ]))
  }

  private mutating func softmax(_ source: TensorView, width: Int, stride: Int, _ target: TensorView) throws(DeviceError) {
    let rows = target.count / max(1, width)
    append(
      byRows(
        "softmax_\(try element(target).suffix)", blocks: (rows + 3) / 4,
        [
          .place(.view(source)), .place(.view(target)), CUDALaunch.value(Int64(rows)), CUDALaunch.value(Int32(clamping: width)),
          CUDALaunch.value(Int64(stride)),
        ]))
  }

  private mutating func unary(
    _ function: Int32, _ source: TensorView, _ target: TensorView, _ first: Float = 0, _ second: Float = 0
  ) throws(DeviceError) {
    append(
      elementwise(
        "unary_\(try element(target).suffix)", count: target.count,
        [
          .place(.view(source)), .place(.view(target)), try walk(target.shape, [source.strides], count: target.count),
          CUDALaunch.value(function), CUDALaunch.value(first), CUDALaunch.value(second),
        ]))
  }

  private mutating func binary(_ operation: BinaryOperation, _ a: TensorView, _ b: TensorView, _ target: TensorView) throws(DeviceError) {
    guard a.type == target.type, b.type == target.type else { throw unsupported("\(operation.rawValue) of unlike types is not available") }
    let suffix: String
    switch target.type {
    case .int32 where operation != .power: suffix = "i32"
    case .int64 where operation != .power: suffix = "i64"
    default: suffix = try element(target).suffix
    }
    append(
      elementwise(
        "binary_\(suffix)", count: target.count,
        [
          .place(.view(a)), .place(.view(b)), .place(.view(target)), try walk(target.shape, [a.strides, b.strides], count: target.count),
          CUDALaunch.value(operation.kernelNumber),
        ]))
  }

  private mutating func reduce(_ reduction: Reduction, _ source: TensorView, _ axes: [Int], _ target: TensorView) throws(DeviceError) {
    let kept = source.shape.indices.filter { !axes.contains($0) }
    let order = kept + axes
    let (sizes, strides) = (order.map { source.shape[$0] }, order.map { source.strides[$0] })
    // The two groups are joined apart from each other: the kernel is told where the second begins.
    let outer = CUDAWalk(kept.map { source.shape[$0] }, [kept.map { source.strides[$0] }])
    let inner = CUDAWalk(axes.map { source.shape[$0] }, [axes.map { source.strides[$0] }])
    guard outer.sizes.count + inner.sizes.count <= Int(HR_MAX_RANK), (sizes + strides).allSatisfy({ Int32(exactly: $0) != nil }) else {
      throw unsupported("a reduction over so many dimensions is not available")
    }
    var walk = HRWalk()
    walk.rank = Int32(clamping: outer.sizes.count + inner.sizes.count)
    walk.count = Int64(target.count)
    withUnsafeMutableBytes(of: &walk.sizes) { bytes in
      for (axis, size) in (outer.sizes + inner.sizes).enumerated() {
        bytes.storeBytes(of: Int32(clamping: size), toByteOffset: axis * 4, as: Int32.self)
      }
    }
    withUnsafeMutableBytes(of: &walk.a) { bytes in
      for (axis, stride) in (outer.strides[0] + inner.strides[0]).enumerated() {
        bytes.storeBytes(of: Int64(stride), toByteOffset: axis * 8, as: Int64.self)
      }
    }
    append(
      byRows(
        "reduce_\(try element(target).suffix)", blocks: (target.count + 3) / 4,
        [
          .place(.view(source)), .place(.view(target)), CUDALaunch.value(walk), CUDALaunch.value(Int32(clamping: outer.sizes.count)),
          CUDALaunch.value(Int64(axes.map { source.shape[$0] }.reduce(1, *))), CUDALaunch.value(reduction.kernelNumber),
        ]))
  }

  mutating func addScaled(
    _ target: TensorView, _ addend: TensorView?, alpha: Float, beta: Float, _ activation: Activation
  ) throws(DeviceError) {
    let addend = addend?.broadcast(to: target.shape)
    append(
      elementwise(
        "add_scaled_\(try element(target).suffix)", count: target.count,
        [
          .place(.view(target)), .place(addend.map { .view($0) } ?? .null),
          try walk(target.shape, [addend?.strides ?? target.shape.map { _ in 0 }], count: target.count), CUDALaunch.value(alpha),
          CUDALaunch.value(beta), CUDALaunch.value(activation.kernelNumber),
        ]))
  }

  mutating func appendMatmul(_ matmul: CUDAMatmul) {
    let shape = matmul.shape
    let suffix = (shape.hasBias ? "+bias" : "") + (shape.activation == .none ? "" : "+\(shape.activation.rawValue.lowercased())")
    steps.append(
      CUDAStep(
        name:
          "cublaslt_\(shape.type.rawValue)_\(shape.columns)x\(shape.rows)x\(shape.depth)\(shape.batches > 1 ? "x\(shape.batches)" : "")\(suffix)",
        layer: layer, work: .matmul(matmul)))
  }
}
