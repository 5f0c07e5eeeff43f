import ModelGraph
import Synchronization

/// Multiplies by a packed weight on the pool's threads.
struct CPULinear {
  let pool: WorkerPool
  let level: Int32

  /// c [rows][n] = activation(a * weight + bias), by oneDNN where `product` says so. `brain`: the rows of `a` in bfloat16, where the weight is.
  func run(
    _ weight: CPUWeight, _ product: OneDNNProduct?, a: UnsafeMutablePointer<Float>, brain: UnsafeMutablePointer<UInt16>?, lda: Int,
    rows: Int,
    bias: UnsafeMutablePointer<Float>?, activation: Activation, c: UnsafeMutablePointer<Float>
  ) throws(DeviceError) {
    if let product, let packed = weight.oneDNN {
      let failure = Atomic<Int32>(0)
      let source = brain.map { UnsafeMutableRawPointer($0) } ?? UnsafeMutableRawPointer(a)
      pool.run(product.tasks) { task in
        let status = product.run(task, packed, source: source, bias: bias, target: c)
        if status != 0 { failure.store(status, ordering: .relaxed) }
      }
      let status = failure.load(ordering: .relaxed)
      if status != 0 {
        throw DeviceError(
          .batchFailed, "a product of \(rows) x \(weight.k) x \(weight.n): oneDNN says \(OneDNNLibrary.reason(status)); try --engine own")
      }
      return
    }
    guard let packed = weight.own else {
      throw DeviceError(.batchFailed, "a \(weight.k) x \(weight.n) weight was not packed for its kernel")
    }
    let (even, n, code) = ((weight.k + 1) / 2 * 2, weight.n, activation.kernelCode)
    let split = GEMMSplit(rows: rows, panels: packed.panels, depth: weight.k, threads: pool.threads)
    pool.run(split.tasks) { task in
      let (rowRange, panelRange) = split[task]
      packed.multiply(
        level: level, a: a + rowRange.lowerBound * lda, brain: brain.map { UnsafePointer($0 + rowRange.lowerBound * even) }, lda: lda,
        rows: rowRange.count, panels: panelRange, bias: bias.map { UnsafePointer($0) }, activation: code, c: c + rowRange.lowerBound * n,
        ldc: n)
    }
  }
}
