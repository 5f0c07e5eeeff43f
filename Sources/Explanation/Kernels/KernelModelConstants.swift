/// Constants that turn kernel records into what hardware counters would show. Each was measured on H100 and H200 boards, where GPM's counters
/// were read beside profiler records of the same work, or fitted to kernel records of single products there.
public enum CounterConstants {
  /// The graphics engine stays active so long around a kernel that starts on an idle device, nanoseconds: in seven loops of 41 to 153
  /// kernels it came to 1.2 to 1.6 us per kernel.
  public static let engineNanosecondsPerStart = 1_300.0
  /// Of a kernel's record so long no warp is resident yet or any more, nanoseconds: launch, drain and flush (1.06 to 1.26 us per kernel
  /// in five loops, 1.65 in one).
  public static let emptyNanosecondsPerKernel = 1_100.0
  /// A kernel shorter than that still has warps resident for this share of its record.
  public static let smallestResidentShare = 0.3
  /// Time for which warps are resident in a kernel whose record is so long, nanoseconds.
  public static func residentNanoseconds(_ record: Double) -> Double {
    max(smallestResidentShare * record, record - emptyNanosecondsPerKernel)
  }
  /// Blocks of a grid of several waves do not end together: share of the SM time that is left (0.95 to 0.99 found, 0.92 with clusters).
  public static let tailShare = 0.95
  /// Share of the rated tensor cycles that the main loop of a product reaches.
  public static let mainLoopShare = 0.97
  /// Share of the time of a pageable copy that nvidia-smi counts as busy: (18.6 - 1.1) / 89.8 measured.
  public static let smiShareOfCopyTime = 0.195
  /// nvidia-smi reads this much above the graphics engine, of the whole: 0.2 to 3.1 points measured over eleven situations.
  public static let smiOverGraphics = 0.013
  /// Values of utilization.gpu that polls of a steady load show. One poll's window holds no whole number of steps, and the driver counts the
  /// engine's time around launches by a clock of its own: 18 to 31 % was polled where the engine was active for 25 % of the time, 13 to 22 %
  /// where for 14 %, 79 to 85 % where for 84 %, 82 % where for 81 %.
  public static func polledRange(graphicsActive: Double, nonOverlappedMemcpy: Double) -> ClosedRange<Double> {
    let low = graphicsActive - min(0.27 * graphicsActive, 0.065) + 0.15 * nonOverlappedMemcpy
    let high = graphicsActive + min(0.55 * graphicsActive, 0.08) + 0.22 * nonOverlappedMemcpy
    return max(0, min(low, 1))...min(1, max(high, low))
  }
  /// Launches cost a traced program so much more each, nanoseconds, at least: 3.2 and 3.3 us in two loops under PyTorch's profiler, 4.8
  /// and 30 in two models; CUPTI alone 1.0.
  public static let profilerNanosecondsPerLaunch: ClosedRange<Double> = 1_000...30_000
}

/// Constants of a tensor-core product's time on Hopper, fitted to 1,195 kernel records of H100 and H200 boards (mean absolute error of the
/// time 12 %): time = start + tiles per SM x (epilogue + steps x step).
enum ProductConstants {
  /// Microseconds before the first and after the last step. 2.2 in the records of single products, launched warm; 2.55 in loops of
  /// real models, which begin colder.
  static let start = 2.55
  /// Microseconds of one step that nothing hides.
  static let step = 0.109
  /// See `CounterConstants`.
  static let mathShare = CounterConstants.mainLoopShare
  /// Thousand bytes per microsecond from L2 into one SM.
  static let l2Rate = 98.2
  /// How sharply the largest limit wins.
  static let exponent = 3.21
  /// Microseconds of an epilogue per 10,000 elements of tile.
  static let epilogue = 0.806
  /// What each further block of a cluster spares of the bytes.
  static let multicast = 0.744
}
