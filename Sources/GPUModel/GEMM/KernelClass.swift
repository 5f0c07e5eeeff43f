/// Which kind of kernel a library runs for a product. Type and alignment decide; each class has constants of its own.
public enum KernelClass: String, Sendable, Hashable, CaseIterable {
  /// fp16 and bf16 on tensor cores, rows of 16-byte multiples.
  case tensor16
  /// fp16 and bf16 with n or k no multiple of 8: rows are not 16-byte aligned, and an older, slower kind of kernel copies them in 2-byte or
  /// 4-byte pieces (sm_80 instructions on Hopper).
  case misaligned16
  /// tf32 on tensor cores, rows of 16-byte multiples.
  case tensor32
  /// tf32 with n or k no multiple of 4.
  case misaligned32
  /// fp32 on ordinary pipes.
  case scalar32

  /// The class of a product.
  public init(_ gemm: GEMM) {
    switch gemm.type {
    case .fp32: self = .scalar32
    case .tf32: self = Self.isAligned(gemm) ? .tensor32 : .misaligned32
    case .fp16, .bf16: self = Self.isAligned(gemm) ? .tensor16 : .misaligned16
    }
  }

  /// Elements that n and k must be multiples of: 16 bytes, what a tensor map and a vectorized copy need.
  public static func alignment(_ type: ComputeType) -> Int { 16 / type.bytesPerElement }

  private static func isAligned(_ gemm: GEMM) -> Bool {
    let unit = alignment(gemm.type)
    return gemm.n % unit == 0 && gemm.k % unit == 0
  }

  /// What its kernels are built from on a GPU. tf32 and misaligned 16-bit kernels are mma.sync ones on every GPU that has tensor cores:
  /// the libraries ship no others for the former below some thousand rows, and none at all for the latter.
  func family(on gpu: GPU) -> KernelFamily {
    switch self {
    case .tensor16: gpu.family
    case .misaligned16, .tensor32, .misaligned32:
      gpu.family == .ffma ? .ffma : gpu.family == .tcgen05 && self == .tensor32 ? .tcgen05 : .mma
    case .scalar32: .ffma
    }
  }
}
