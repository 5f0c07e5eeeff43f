import CheckedNumbers
import GPUModel
import ModelGraph

extension Plan {
  /// Evaluates every step at a number of rows and predicts it.
  func makeBatch(rows: Int) throws(PlanError) -> BatchPlan {
    var launches: [Launch] = []
    launches.reserveCapacity(steps.count)
    for (index, step) in steps.enumerated() { launches.append(try launch(step, index: index, rows: rows)) }
    return BatchPlan(
      rows: rows, launches: launches, inputBytes: try bytes(of: graph.inputs, rows), outputBytes: try bytes(of: graph.outputs, rows))
  }

  /// Bytes a request's tensors take on the wire and over PCIe: the model's own types, not the compute type.
  private func bytes(of values: [ValueID], _ rows: Int) throws(PlanError) -> Int {
    var total = 0.0
    for id in values { total += try elements(graph[id].shape, rows, graph[id].name) * Double(graph[id].type.bytesPerElement) }
    return total < 0x1p62 ? Int(saturating: total) : Int.max
  }

  private func elements(_ shape: Shape, _ rows: Int, _ layer: String) throws(PlanError) -> Double {
    guard let sizes = Shapes.sizes(shape, rows: rows) else { throw .size(layer: layer, shape: Shapes.text(shape), rows: rows) }
    return sizes.reduce(1) { $0 * Double($1) }
  }

  private func launch(_ step: PlanStep, index: Int, rows: Int) throws(PlanError) -> Launch {
    let redundantShare: Double
    if let remaining = remainingShares[step.layer] {
      let before = try elements(remaining.before, rows, step.layer)
      redundantShare = before > 0 ? 1 - (try elements(remaining.after, rows, step.layer)) / before : 0
    } else {
      redundantShare = 0
    }
    switch step.kind {
    case .gemm(let batch, let m, let n, let k, let weighted):
      let (b, rowsOfA) = (try elements(batch, rows, step.layer), try elements(m, rows, step.layer))
      guard b < 0x1p40, rowsOfA < 0x1p40 else { throw .size(layer: step.layer, shape: Shapes.text(batch + m), rows: rows) }
      let gemm = GEMM(
        batch: Int(saturating: b), m: Int(saturating: rowsOfA), n: n, k: k, type: type,
        // All weights of the plan pass between two uses of one; an operand that is an activation has just been written.
        footprintBytes: weighted ? weightBytes : b * Double(n) * Double(k) * Double(type.bytesPerElement))
      let predicted: GEMMPrediction
      do throws(KernelModelError) { predicted = try model.explain(gemm) } catch { throw .kernel(layer: step.layer, error) }
      let tile = predicted.tile
      return Launch(
        step: index, layer: step.layer,
        kernelName: "gemm_\(type.rawValue)_\(step.operation)_tile\(tile.name)" + (predicted.splitK > 1 ? "_splitk\(predicted.splitK)" : ""),
        gemm: gemm, floatingPointOperations: gemm.floatingPointOperations, bytes: gemm.bytes,
        redundantFloatingPointOperations: gemm.floatingPointOperations * redundantShare, predictedNanoseconds: predicted.microseconds * 1e3,
        relativeErrorBand: predicted.relativeErrorBand, bound: predicted.bound,
        shape: .gpu(
          GPULaunchShape(
            tileM: tile.m, tileN: tile.n, splitK: predicted.splitK, grid: predicted.grid, block: [tile.threads, 1, 1],
            registersPerThread: tile.registersPerThread, sharedMemoryBytes: tile.sharedBytes, blocksPerSM: tile.blocksPerSM,
            waves: predicted.fit.waves, smFill: predicted.fit.smFill, slotEfficiency: predicted.fit.slotEfficiency)))
    case .memory(let warm, let cold, let written, let operations):
      let size = Double(type.bytesPerElement)
      var (warmBytes, coldBytes) = (0.0, 0.0)
      for shape in warm { warmBytes += try elements(shape, rows, step.layer) * size }
      let outputElements = try elements(written, rows, step.layer)
      // A gather reads only the rows it takes of a table.
      for shape in cold { coldBytes += min(try elements(shape, rows, step.layer), outputElements) * size }
      let kernel = MemoryKernel(warmReadBytes: warmBytes, coldReadBytes: coldBytes, writtenBytes: outputElements * size)
      let predicted = model.predict(kernel)
      let threads = KernelModel.memoryKernelThreads
      // Eight elements a thread, 16 bytes in fp16: one vector load.
      let blocks = max(1, Int(saturating: min(0x1p40, (outputElements / Double(threads * 8)).rounded(.up))))
      let occupancy = Occupancy(threads: threads, registersPerThread: 32, sharedBytes: 0, on: gpu)
      let fit = GridFit(blocks: blocks, blocksPerSM: max(1, occupancy.blocksPerSM), smCount: gpu.smCount)
      return Launch(
        step: index, layer: step.layer, kernelName: "\(step.operation)_\(type.rawValue)", gemm: nil,
        floatingPointOperations: outputElements * operations, bytes: kernel.bytes,
        redundantFloatingPointOperations: outputElements * operations * redundantShare, predictedNanoseconds: predicted.microseconds * 1e3,
        relativeErrorBand: predicted.relativeErrorBand, bound: predicted.bound,
        shape: .gpu(
          GPULaunchShape(
            tileM: nil, tileN: nil, splitK: 1, grid: [blocks, 1, 1], block: [threads, 1, 1], registersPerThread: 32, sharedMemoryBytes: 0,
            blocksPerSM: max(1, occupancy.blocksPerSM), waves: fit.waves, smFill: fit.smFill, slotEfficiency: fit.slotEfficiency)))
    }
  }
}

extension BatchPlan {
  /// Floating-point operations of all launches.
  public var floatingPointOperations: Double { launches.reduce(0) { $0 + $1.floatingPointOperations } }
  /// Bytes that all launches must move.
  public var bytes: Double { launches.reduce(0) { $0 + $1.bytes } }
  /// Share of the operations that compute copies of other rows.
  public var redundantShare: Double {
    let total = floatingPointOperations
    return total > 0 ? launches.reduce(0) { $0 + $1.redundantFloatingPointOperations } / total : 0
  }
  /// SM fill averaged over the launches' time.
  public var smFill: Double {
    let time = predictedNanoseconds
    guard time > 0 else { return 0 }
    return launches.reduce(0) { sum, launch in
      guard case .gpu(let shape) = launch.shape else { return sum }
      return sum + shape.smFill * launch.predictedNanoseconds
    } / time
  }

  /// Share of the binding roof: for each launch the larger of FLOPs over peak and bytes over bandwidth, over its time; averaged by time.
  public func shareOfBindingRoof(on gpu: GPU, type: ComputeType) -> Double? {
    guard let peak = gpu.peakFLOPs(type), predictedNanoseconds > 0 else { return nil }
    let bandwidth = gpu.memoryGigabytesPerSecond * 1e9
    let ideal = launches.reduce(0) { sum, launch in
      let math = launch.gemm == nil ? 0 : launch.floatingPointOperations / peak
      return sum + max(math, launch.bytes / bandwidth) * 1e9
    }
    return ideal / predictedNanoseconds
  }

  /// Half-width of the 80 % band of the batch's time: errors of kernels with one cause do not cancel, so shares add linearly.
  public var relativeErrorBand: Double {
    let time = predictedNanoseconds
    return time > 0 ? launches.reduce(0) { $0 + $1.predictedNanoseconds * $1.relativeErrorBand } / time : 0
  }
}

extension Plan {
  /// GEMMs whose N and K are both the model's hidden size, taken as the largest N of its products with weights.
  public var largeGEMMCount: Int {
    let sizes = steps.compactMap { step -> (Int, Int)? in
      if case .gemm(_, _, let n, let k, true) = step.kind { (n, k) } else { nil }
    }
    guard let hidden = sizes.filter({ $0.0 == $0.1 }).map(\.0).max() else { return 0 }
    return sizes.count { $0 == (hidden, hidden) }
  }
}
