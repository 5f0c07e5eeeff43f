import Glibc

/// Which constants describe a GPU: its own where it was measured, else its family's.
public enum KernelCalibrations {
  /// The calibration to use for `gpu`: its own; else that of a measured board with the same chip, the one nearest in SMs, clock, bandwidth
  /// and power; else its family's.
  public static func calibration(for gpu: GPU) -> KernelCalibration {
    if let own = measured.first(where: { $0.name == gpu.name }) { return own }
    let sisters = measured.compactMap { calibration -> (Double, KernelCalibration)? in
      guard let other = GPUCatalogue.table.first(where: { $0.name == calibration.name }), other.chip == gpu.chip else { return nil }
      return (distance(gpu, other), calibration)
    }
    guard var nearest = sisters.min(by: { $0.0 < $1.0 })?.1 else { return family(gpu.family) }
    nearest.isMeasured = false
    nearest.source = "constants of \(nearest.name), the same chip: \(nearest.source)"
    nearest.errorBands = family(gpu.family).errorBands
    return nearest
  }

  /// Sum of absolute log ratios of what differs between boards of one chip.
  private static func distance(_ left: GPU, _ right: GPU) -> Double {
    let pairs = [
      (Double(left.smCount), Double(right.smCount)), (left.modelGigahertz, right.modelGigahertz),
      (left.memoryGigabytesPerSecond, right.memoryGigabytesPerSecond), (left.boardPowerWatts, right.boardPowerWatts),
    ]
    return pairs.reduce(0) { $0 + abs(log($1.0 / $1.1)) }
  }

  /// What the family's measured members share: the prior of a new GPU.
  public static func family(_ family: KernelFamily) -> KernelCalibration {
    families.first { $0.name == "family \(family.rawValue)" } ?? assumed
  }

  /// For families without any measurement (fp32 units before tensor cores): round figures from the literature, with a band to match.
  static let assumed = KernelCalibration(
    name: "assumed", isMeasured: false,
    source: "not fitted: typical values (launch 2 us, 85 % of the rated throughput, 80 % of the rated bandwidth)",
    constants: assumedConstants, ensemble: [assumedConstants], errorBands: [0.5, 0.5, 0.5])

  /// In the order of `KernelConstants.Name`.
  private static let assumedConstants = KernelConstants.clamped([
    2, 150, 500, 0.85, 64, 0.8, 2, 2, 1, 3, 500, 0.5, 1, 2, 0.3, 300,
  ])

  /// Memory-kernel constants of the board whose records were fitted, for boards without any.
  public static let borrowedMemory: MemoryConstants =
    measured.compactMap(\.memory).last
    ?? MemoryConstants(
      [1, 32, 0.85, 0.5, 0.5, 3], kinds: MemoryKernel.Kind.allCases.map { _ in [0.2, 0, 1, 0.15, 0.2] }, errorBands: [0.3, 0.3, 0.3])

  /// Matrix-vector constants of the board whose records were fitted.
  static let borrowedVectors: VectorConstants? = measured.compactMap(\.vectors).last
}
