import CheckedNumbers
import GPUModel
import ModelGraph

extension Plan {
  /// Evaluates every step at a number of rows and predicts it.
  func makeBatch(rows: Int) throws(PlanError) -> BatchPlan {
    var launches: [Launch] = []
    launches.reserveCapacity(steps.count)
    var notes: [String] = []
    for (index, step) in steps.enumerated() {
      let repetitions = try elements(step.repetitions, rows, step.layer)
      guard repetitions <= Self.maximumRepetitions else {
        throw .size(layer: step.layer, shape: "\(Shapes.text(step.repetitions)) launches in turn", rows: rows)
      }
      guard let launch = try launch(step, index: index, rows: rows, &notes) else { continue }
      launches.append(contentsOf: repeatElement(launch, count: Int(saturating: repetitions)))
    }
    if launches.contains(where: { $0.gemm != nil && Self.isPredictedAsGEMM(steps[$0.step].operation) }) {
      notes.append(
        "convolutions, recurrences and attention are predicted as GEMMs; the error band (+-) was measured on plain GEMMs only")
    }
    if steps.contains(where: { if case .attention = $0.kind { true } else { false } }) {
      notes.append(
        "attention: one kernel each, from two measured ones and published rates (FlashAttention-3 on an H100); the error band (+-) is assumed"
      )
    }
    // A tenth less clock is no more than boards of one kind differ by.
    let slowed = launches.filter { ($0.powerLimitedGigahertz ?? .infinity) < 0.95 * gpu.modelGigahertz }
    if let lowest = slowed.compactMap(\.powerLimitedGigahertz).min() {
      notes.append(
        "power: \(slowed.count) of \(launches.count) kernels ask for more than the board's \(Int(saturating: gpu.boardPowerWatts)) W: their times are those "
          + "of down to \(Int(saturating: (lowest / gpu.modelGigahertz * 100).rounded())) % of the usual clock; under sustained load it falls further"
      )
    }
    let runs = fixedRows.map { (rows - 1) / $0 + 1 } ?? 1
    func total(_ values: [ValueID]) throws(PlanError) -> Int {
      let (bytes, overflow) = try bytes(of: values, rows).multipliedReportingOverflow(by: runs)
      return overflow ? Int.max : bytes
    }
    return BatchPlan(
      rows: rows, runs: runs, computedRows: fixedRows.map { $0 * runs }, launches: launches, inputBytes: try total(graph.inputs),
      outputBytes: try total(graph.outputs), notes: notes)
  }

  /// A recurrence over more steps than this is refused rather than listed.
  static let maximumRepetitions = 65536.0

  /// Operators that are no GEMM by themselves: the kernel model's constants, and its error band, were fitted to plain GEMMs.
  private static func isPredictedAsGEMM(_ operation: String) -> Bool {
    let name = operation.prefix { $0 != "+" }
    return name.contains("conv") || ["lstm", "gru", "rnn", "attention"].contains(name)
  }

  /// Bytes that a request's tensors take on the network and over PCIe: the model's own types, not the compute type.
  private func bytes(of values: [ValueID], _ rows: Int) throws(PlanError) -> Int {
    var total = 0.0
    for id in values { total += try elements(graph[id].shape, rows, graph[id].name) * Double(graph[id].type.bytesPerElement) }
    return total < 0x1p62 ? Int(saturating: total) : Int.max
  }

  private func elements(_ shape: Shape, _ rows: Int, _ layer: String) throws(PlanError) -> Double {
    guard let sizes = Shapes.sizes(shape, rows: rows) else { throw .size(layer: layer, shape: Shapes.text(shape), rows: rows) }
    return sizes.reduce(1) { $0 * Double($1) }
  }

  /// nil where there is nothing to launch.
  private func launch(_ step: PlanStep, index: Int, rows: Int, _ notes: inout [String]) throws(PlanError) -> Launch? {
    let redundantShare: Double
    if let remaining = remainingShares[step.layer] {
      let before = try elements(remaining.before, rows, step.layer)
      redundantShare = before > 0 ? 1 - (try elements(remaining.after, rows, step.layer)) / before : 0
    } else {
      redundantShare = 0
    }
    switch step.kind {
    case .gemm(let batch, let m, let n, let k, let weighted, let source):
      let sizes = [
        ("batch", try elements(batch, rows, step.layer)), ("m", try elements(m, rows, step.layer)),
        ("n", try elements(n, rows, step.layer)), ("k", try elements(k, rows, step.layer)),
      ]
      guard sizes.allSatisfy({ $0.1 < 0x1p40 }) else { throw .size(layer: step.layer, shape: Shapes.text(batch + m + n + k), rows: rows) }
      let (b, height, width, depth) = (sizes[0].1, sizes[1].1, sizes[2].1, sizes[3].1)
      if let empty = sizes.first(where: { $0.1 == 0 }) {
        notes.append(
          "layer \"\(step.layer)\": its GEMM is empty (\(empty.0) = 0)\(b * height * width > 0 ? "; zeros are written" : ""))")
        guard b * height * width > 0 else { return nil }
        return memoryLaunch(step, index, MemoryKernel(warmReadBytes: 0, writtenBytes: b * height * width * elementSize), operations: 0, 0)
      }
      var gemm = GEMM(
        batch: Int(saturating: b), m: Int(saturating: height), n: Int(saturating: width), k: Int(saturating: depth), type: type)
      // All weights of the plan pass between two uses of one; an operand that is an activation has just been written.
      gemm.footprintBytes = weighted ? weightBytes : b * width * depth * elementSize
      gemm.isAmongOthers = true
      if let source { gemm.sourceBytes = min(try elements(source, rows, step.layer), b * height * depth) * elementSize }
      let predicted: GEMMPrediction
      do throws(KernelModelError) { predicted = try model.explain(gemm) } catch { throw .kernel(layer: step.layer, error) }
      let tile = predicted.tile
      var shape = GPULaunchShape(
        tileM: tile.m, tileN: tile.n, splitK: predicted.splitK, grid: predicted.grid, block: [tile.threads, 1, 1],
        registersPerThread: tile.registersPerThread, sharedMemoryBytes: tile.sharedBytes,
        blocksPerSM: predicted.isPersistent ? 1 : tile.blocksPerSM, waves: predicted.fit.waves,
        residentSMShare: predicted.fit.residentSMShare,
        slotEfficiency: predicted.fit.slotEfficiency)
      shape.isPersistent = predicted.isPersistent
      let misalignment = try misalignment(gemm, step.layer)
      if let misalignment, weighted, misalignment.isWorthPadding(predicted.microseconds * 1e3) {
        notes.append(Self.padding(gemm, misalignment, predicted, gpu, step.layer))
      }
      var launch = Launch(
        step: index, layer: step.layer,
        kernelName: "gemm_\(type.rawValue)_\(step.operation)_tile\(tile.name)" + (predicted.splitK > 1 ? "_splitk\(predicted.splitK)" : ""),
        gemm: gemm, floatingPointOperations: gemm.floatingPointOperations, bytes: gemm.bytes,
        redundantFloatingPointOperations: gemm.floatingPointOperations * redundantShare, predictedNanoseconds: predicted.microseconds * 1e3,
        relativeErrorBand: predicted.relativeErrorBand, bound: predicted.bound,
        shape: .gpu(shape), unplanned: step.unplanned, misalignment: misalignment)
      launch.roofNanoseconds = predicted.roofMicroseconds * 1e3
      launch.isWeighted = weighted
      launch.powerLimitedGigahertz = predicted.powerLimitedGigahertz
      return launch
    case .attention(let heads, let queries, let keys, let depth, let valueDepth):
      func size(_ shape: Shape) throws(PlanError) -> Int { Int(saturating: min(0x1p41, try elements(shape, rows, step.layer))) }
      let kernel = AttentionKernel(
        heads: try size(heads), queries: try size(queries), keys: try size(keys), depth: try size(depth), valueDepth: try size(valueDepth),
        type: type)
      if [kernel.heads, kernel.queries, kernel.keys, kernel.depth, kernel.valueDepth].contains(0) { return nil }
      let predicted: AttentionPrediction
      do throws(KernelModelError) { predicted = try model.predict(kernel) } catch { throw .kernel(layer: step.layer, error) }
      var launch = Launch(
        step: index, layer: step.layer, kernelName: "attention_\(type.rawValue)", floatingPointOperations: kernel.floatingPointOperations,
        bytes: kernel.bytes, redundantFloatingPointOperations: kernel.floatingPointOperations * redundantShare,
        predictedNanoseconds: predicted.microseconds * 1e3, relativeErrorBand: predicted.relativeErrorBand, bound: predicted.bound,
        shape: .gpu(
          GPULaunchShape(
            tileM: nil, tileN: nil, splitK: 1, grid: [predicted.fit.blocks, 1, 1], block: [384, 1, 1], registersPerThread: 168,
            sharedMemoryBytes: 0, blocksPerSM: 1, waves: predicted.fit.waves, residentSMShare: predicted.fit.residentSMShare,
            slotEfficiency: predicted.fit.slotEfficiency)))
      launch.roofNanoseconds = predicted.roofMicroseconds * 1e3
      return launch
    case .memory(let warm, let cold, let written, let operations, let counted, let kind, let columns):
      var (warmBytes, coldBytes, writtenElements) = (0.0, 0.0, 0.0)
      for shape in warm { warmBytes += try elements(shape, rows, step.layer) * elementSize }
      for shape in written { writtenElements += try elements(shape, rows, step.layer) }
      // A gather reads only the rows it takes of a table.
      for shape in cold { coldBytes += min(try elements(shape, rows, step.layer), writtenElements) * elementSize }
      // At one row nothing is repeated: the framework takes its kernel without computed addresses.
      let repeats = warmBytes + coldBytes < Double(warm.count + cold.count) * writtenElements * elementSize
      let kind = kind == .broadcast && !repeats ? .elementwise : kind
      let values = try elements(counted, rows, step.layer)
      let width = columns.isEmpty ? 0 : try elements(columns, rows, step.layer)
      let kernel = MemoryKernel(
        warmReadBytes: warmBytes, coldReadBytes: coldBytes, writtenBytes: writtenElements * elementSize, kind: kind,
        rows: width > 0 ? values / width : kind == .broadcast ? 2 : 1,
        columns: width > 0 ? width : nil, elementBytes: type.bytesPerElement)
      return memoryLaunch(step, index, kernel, operations: try elements(counted, rows, step.layer) * operations, redundantShare)
    }
  }

  private var elementSize: Double { Double(type.bytesPerElement) }

  /// What padding n and k to 16 bytes would make of a product; nil where its rows are aligned.
  private func misalignment(_ gemm: GEMM, _ layer: String) throws(PlanError) -> Launch.Misalignment? {
    let kernels = KernelClass(gemm)
    guard kernels == .misaligned16 || kernels == .misaligned32 else { return nil }
    let unit = KernelClass.alignment(gemm.type)
    func padded(_ size: Int) -> Int { (size + unit - 1) / unit * unit }
    var aligned = gemm
    (aligned.n, aligned.k) = (padded(gemm.n), padded(gemm.k))
    do throws(KernelModelError) {
      return Launch.Misalignment(paddedN: aligned.n, paddedK: aligned.k, paddedNanoseconds: try model.microseconds(aligned) * 1e3)
    } catch { throw .kernel(layer: layer, error) }
  }

  private static func padding(
    _ gemm: GEMM, _ misalignment: Launch.Misalignment, _ predicted: GEMMPrediction, _ gpu: GPU, _ layer: String
  ) -> String {
    let unit = KernelClass.alignment(gemm.type)
    let places = [("n", gemm.n, misalignment.paddedN), ("k", gemm.k, misalignment.paddedK)].filter { $0.1 != $0.2 }
    let sizes = places.map { "\($0.0) = \($0.1)" }.joined(separator: ", ")
    let padded = places.map { "\($0.0) = \($0.2)" }.joined(separator: ", ")
    func microseconds(_ value: Double) -> String {
      let tenths = Int(saturating: (value * 10).rounded())
      return "\(tenths / 10).\(tenths % 10) us"
    }
    return
      "layer \"\(layer)\": \(sizes) is no multiple of \(unit), so that an older, slower class of kernels runs it: "
      + "\(microseconds(predicted.microseconds)); padded to \(padded) \(microseconds(misalignment.paddedNanoseconds / 1e3)) (HR203)"
  }

  private func memoryLaunch(
    _ step: PlanStep, _ index: Int, _ kernel: MemoryKernel, operations: Double, _ redundantShare: Double
  ) -> Launch {
    let predicted = model.predict(kernel)
    let threads = KernelModel.memoryKernelThreads
    // Eight elements a thread, 16 bytes in fp16: one vector load.
    let blocks = max(1, Int(saturating: min(0x1p40, (kernel.writtenBytes / elementSize / Double(threads * 8)).rounded(.up))))
    let occupancy = Occupancy(threads: threads, registersPerThread: 32, sharedBytes: 0, on: gpu)
    let fit = GridFit(blocks: blocks, blocksPerSM: max(1, occupancy.blocksPerSM), smCount: gpu.smCount)
    var launch = Launch(
      step: index, layer: step.layer, kernelName: "\(step.operation)_\(type.rawValue)", gemm: nil,
      floatingPointOperations: operations, bytes: kernel.bytes,
      redundantFloatingPointOperations: operations * redundantShare, predictedNanoseconds: predicted.microseconds * 1e3,
      relativeErrorBand: predicted.relativeErrorBand, bound: predicted.bound,
      shape: .gpu(
        GPULaunchShape(
          tileM: nil, tileN: nil, splitK: 1, grid: [blocks, 1, 1], block: [threads, 1, 1], registersPerThread: 32, sharedMemoryBytes: 0,
          blocksPerSM: max(1, occupancy.blocksPerSM), waves: fit.waves, residentSMShare: fit.residentSMShare,
          slotEfficiency: fit.slotEfficiency)),
      unplanned: step.unplanned)
    launch.roofNanoseconds = predicted.roofMicroseconds * 1e3
    launch.memoryKernel = kernel
    return launch
  }
}

extension BatchPlan {
  /// Floating-point operations of all launches.
  public var floatingPointOperations: Double { Double(runs) * launches.reduce(0) { $0 + $1.floatingPointOperations } }
  /// Bytes that all launches must move.
  public var bytes: Double { Double(runs) * launches.reduce(0) { $0 + $1.bytes } }
  /// Share of the operations that compute copies of other rows.
  public var redundantShare: Double {
    let total = floatingPointOperations
    return total > 0 ? Double(runs) * launches.reduce(0) { $0 + $1.redundantFloatingPointOperations } / total : 0
  }
  /// SMs with a resident block, averaged over the launches' time.
  public var residentSMShare: Double {
    let time = predictedNanoseconds / Double(runs)
    guard time > 0 else { return 0 }
    return launches.reduce(0) { sum, launch in
      guard case .gpu(let shape) = launch.shape else { return sum }
      return sum + shape.residentSMShare * launch.predictedNanoseconds
    } / time
  }

  /// Share of the roofline: the least time that the binding roof of each launch allows (`Launch.roofNanoseconds`), over the predicted time;
  /// at most 1. nil where a launch's roof is not known, or nothing is launched.
  public var rooflineShare: Double? {
    guard predictedNanoseconds > 0 else { return nil }
    var minimum = 0.0
    for launch in launches {
      guard let roof = launch.roofNanoseconds else { return nil }
      minimum += roof
    }
    return minimum * Double(runs) / predictedNanoseconds
  }

  /// Half-width of the 80 % band of the batch's time: errors of kernels with one cause do not cancel, so shares add linearly.
  public var relativeErrorBand: Double {
    let time = predictedNanoseconds / Double(runs)
    return time > 0 ? launches.reduce(0) { $0 + $1.predictedNanoseconds * $1.relativeErrorBand } / time : 0
  }
}

extension Plan {
  /// GEMMs whose N and K are both the model's hidden size, taken as the largest N of its products with weights.
  public var largeGEMMCount: Int {
    let sizes = steps.compactMap { step -> (Int, Int)? in
      // A filter's taps are no layer's width: k of one dimension alone.
      if case .gemm(_, _, let n, let k, true, nil) = step.kind, n.count == 1, k.count == 1, let width = n[0].fixedSize,
        let depth = k[0].fixedSize
      {
        (width, depth)
      } else {
        nil
      }
    }
    guard let hidden = sizes.filter({ $0.0 == $0.1 }).map(\.0).max() else { return 0 }
    return sizes.count { $0 == (hidden, hidden) }
  }
}
