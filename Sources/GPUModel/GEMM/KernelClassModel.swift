/// A class of kernels on one GPU: what they are built from, how they cut products, and their constants.
struct KernelClassModel: Sendable {
  /// How tiles follow each other on an SM.
  enum Succession: Sendable, Hashable {
    /// One block computes tile after tile; half of an epilogue hides behind the next tile's loop.
    case persistent
    /// Blocks replace each other; what that and writing out take is outside the other limits.
    case replaced
    /// Blocks replace each other while memory and others of the SM work: starting and writing out are among the latencies, and only one
    /// block's are seen outside.
    case overlapped
    /// The same where the blocks an SM holds at a time start together.
    case overlappedTogether
  }

  let kernels: KernelClass
  let fit: KernelFit
  let tiles: [GEMMTile]
  let succession: Succession

  var isPersistent: Bool { succession == .persistent }

  init(_ kernels: KernelClass, gpu: GPU, calibration: KernelCalibration) {
    self.kernels = kernels
    fit = calibration.fit(for: kernels, on: gpu)
    let family = kernels.family(on: gpu)
    succession = kernels.succession(on: gpu, isFitted: calibration.others[kernels] != nil)
    let bytes = kernels == .tensor16 || kernels == .misaligned16 ? 2 : 4
    tiles = GEMMTile.sizes(of: family).compactMap { GEMMTile(m: $0.0, n: $0.1, elementBytes: bytes, family: family, on: gpu) }
  }
}

extension KernelClass {
  /// How the tiles of its kernels follow each other. Constants belong to one way: tf32 without a fit of its own takes the 16-bit class's.
  func succession(on gpu: GPU, isFitted: Bool) -> KernelClassModel.Succession {
    switch self {
    case .tensor16: gpu.family == .wgmma ? .persistent : .replaced
    case .misaligned16, .misaligned32: .replaced
    case .tensor32: isFitted ? .overlapped : .replaced
    case .scalar32: .overlappedTogether
    }
  }
}
