import ModelGraph
import Synchronization

/// Multiplies by a packed weight on the pool's threads.
struct CPULinear {
  let pool: WorkerPool
  let level: Int32

  /// c [rows][n] = activation(a * weight + bias), by oneDNN where `product` says so. `bf16Scratch`: the rows of `a` in bfloat16, where the weight is.
  func run(
    _ weight: CPUWeight, _ product: OneDNNProduct?, a: UnsafeMutablePointer<Float>, bf16Scratch: UnsafeMutablePointer<UInt16>?, lda: Int,
    rows: Int,
    bias: UnsafePointer<Float>?, activation: Activation, c: UnsafeMutablePointer<Float>
  ) throws(DeviceError) {
    if let product, let packed = weight.oneDNN {
      let failure = Atomic<Int32>(0)
      let source = bf16Scratch.map { UnsafeMutableRawPointer($0) } ?? UnsafeMutableRawPointer(a)
      pool.run(product.tasks) { task in
        let status = product.run(task, packed, source: source, bias: bias.map { UnsafeMutablePointer(mutating: $0) }, target: c)
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
    let split = GEMMSplit(rows: rows, panels: packed.panels, depth: weight.k, threads: pool.threads)
    pool.run(
      split.tasks,
      PackedProduct(
        split: split, level: level, weight: packed, a: a, bf16Scratch: bf16Scratch, lda: lda, bias: bias, code: activation.kernelCode, c: c)
    )
  }
}

/// A product with a packed weight by the own kernels.
private struct PackedProduct: PoolWork {
  let split: GEMMSplit
  let level: Int32
  let weight: PackedWeight
  let a: UnsafePointer<Float>
  let bf16Scratch: UnsafePointer<UInt16>?
  let lda: Int
  let bias: UnsafePointer<Float>?
  let code: Int32
  let c: UnsafeMutablePointer<Float>

  func run(_ task: Int) {
    let (rows, panels) = split[task]
    weight.multiply(
      level: level, a: a + rows.lowerBound * lda, bf16Scratch: bf16Scratch.map { $0 + rows.lowerBound * ((weight.k + 1) / 2 * 2) },
      lda: lda,
      rows: rows.count, panels: panels, bias: bias, activation: code, c: c + rows.lowerBound * weight.n, ldc: weight.n)
  }
}
