/// A class of kernels on one GPU: what they are built from, how they cut products, and their constants.
struct KernelClassModel: Sendable {
  let kernels: KernelClass
  let fit: KernelFit
  let tiles: [GEMMTile]
  let isPersistent: Bool

  init(_ kernels: KernelClass, gpu: GPU, fit: KernelFit) {
    self.kernels = kernels
    self.fit = fit
    let family = kernels.family(on: gpu)
    isPersistent = kernels.isPersistent(on: gpu)
    let bytes = kernels == .tensor16 || kernels == .misaligned16 ? 2 : 4
    tiles = GEMMTile.sizes(of: family).compactMap { GEMMTile(m: $0.0, n: $0.1, elementBytes: bytes, family: family, on: gpu) }
  }
}
