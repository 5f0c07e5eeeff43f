import CheckedNumbers
import CKernels
import Glibc
import ModelGraph

/// A weight matrix as the kernels read it: panels of 32 columns, k outermost within a panel, in the storage of the chosen precision.
///
/// `@unchecked Sendable`: written in `init` alone, read-only afterwards.
final class PackedWeight: @unchecked Sendable {
  let k: Int
  let n: Int
  let precision: LoadOptions.Precision
  let byteCount: Int
  private let memory: UnsafeMutableRawPointer

  /// Panels of 32 columns.
  var panels: Int { (n + 31) / 32 }

  /// Packs `weight`, [k][n], or [n][k] where `isTransposed`.
  init(_ weight: UnsafeBufferPointer<Float>, k: Int, n: Int, isTransposed: Bool, precision: LoadOptions.Precision, pool: WorkerPool)
    throws(DeviceError)
  {
    guard let base = weight.baseAddress, weight.count >= k * n, k > 0, n > 0 else {
      throw DeviceError(.unsupported, "a weight of \(weight.count) elements cannot be a \(k) x \(n) matrix")
    }
    self.k = k
    self.n = n
    self.precision = precision
    let panels = (n + 31) / 32
    let depth = precision == .bf16 ? (k + 1) / 2 * 2 : k
    let size = precision == .fp32 ? 4 : 2
    let (elements, overflow) = (panels * 32).multipliedReportingOverflow(by: depth * size)
    var fresh: UnsafeMutableRawPointer?
    // A line behind the end: kernels prefetch there.
    guard !overflow, posix_memalign(&fresh, 64, elements + 4096) == 0, let fresh else {
      throw DeviceError(.unsupported, "\(k) x \(n) weights do not fit into memory")
    }
    memory = fresh
    byteCount = elements
    pool.run(panels) { panel in
      switch precision {
      case .fp32:
        headroom_pack_f32(base, Int64(k), Int64(n), isTransposed ? 1 : 0, Int64(panel), 1, fresh.assumingMemoryBound(to: Float.self))
      case .fp16:
        headroom_pack_f16(base, Int64(k), Int64(n), isTransposed ? 1 : 0, Int64(panel), 1, fresh.assumingMemoryBound(to: UInt16.self))
      case .bf16:
        headroom_pack_bf16(base, Int64(k), Int64(n), isTransposed ? 1 : 0, Int64(panel), 1, fresh.assumingMemoryBound(to: UInt16.self))
      }
    }
  }

  deinit { free(memory) }

  /// c[m][n] = activation(a[m][k] W + bias) for some panels. `bf16Scratch`: a in bfloat16 where the precision is bf16.
  @inline(__always)
  func multiply(
    level: Int32, a: UnsafePointer<Float>, bf16Scratch: UnsafePointer<UInt16>?, lda: Int, rows: Int, panels: Range<Int>,
    bias: UnsafePointer<Float>?,
    activation: Int32, c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    switch precision {
    case .fp32:
      headroom_gemm_f32(
        level, a, Int64(lda), Int64(rows), Int64(k), memory.assumingMemoryBound(to: Float.self), Int64(panels.lowerBound),
        Int64(panels.count),
        Int64(n), bias, activation, c, Int64(ldc))
    case .fp16:
      headroom_gemm_f16(
        level, a, Int64(lda), Int64(rows), Int64(k), memory.assumingMemoryBound(to: UInt16.self), Int64(panels.lowerBound),
        Int64(panels.count),
        Int64(n), bias, activation, c, Int64(ldc))
    case .bf16:
      if let bf16Scratch {
        headroom_gemm_bf16(
          level, bf16Scratch, Int64((k + 1) / 2 * 2), Int64(rows), Int64(k), memory.assumingMemoryBound(to: UInt16.self),
          Int64(panels.lowerBound),
          Int64(panels.count), Int64(n), bias, activation, c, Int64(ldc))
      }
    }
  }
}

extension Activation {
  /// The kernels' number.
  var kernelCode: Int32 {
    switch self {
    case .none: Int32(clamping: HEADROOM_NONE)
    case .relu: Int32(clamping: HEADROOM_RELU)
    case .gelu: Int32(clamping: HEADROOM_GELU)
    case .geluTanh: Int32(clamping: HEADROOM_GELU_TANH)
    case .tanh: Int32(clamping: HEADROOM_TANH)
    case .sigmoid: Int32(clamping: HEADROOM_SIGMOID)
    }
  }
}
