import Explanation
import GPUModel
import Planning
import Simulation

/// What the board's power makes of a loop that never pauses: a kernel's own prediction knows a few launches in a row, whose first ones run before
/// the regulators have reacted.
enum LoopPower {
  /// Energy of a FLOP under sustained load over what kernel records of seven launches in a row show: fitted to one product of 8,192 on an H200,
  /// which took 1.50 ms in its first launches and 1.69 to 1.77 ms after a second.
  static let sustainedEnergy = 1.115

  /// The clock at which a product takes so long, GHz. Every long product that the constants were fitted to was limited by power, so that the fit
  /// cannot tell clock from work per clock; how much of the tensor pipe's cycles a main loop reaches was measured by itself.
  static func gigahertz(_ launch: Launch, _ gemm: GEMM, lasting nanoseconds: Double, on gpu: GPU) -> Double {
    let unlimited = launch.predictedNanoseconds * (launch.powerLimitedGigahertz ?? gpu.modelGigahertz) / gpu.modelGigahertz
    let share = KernelCalibrations.calibration(for: gpu).constants[.sustainedMathShare]
    guard let peak = gpu.peakFLOPs(gemm.type), nanoseconds > 0, share < CounterConstants.mainLoopShare else {
      return gpu.modelGigahertz * unlimited / max(1, nanoseconds)
    }
    var fill = 1.0
    if case .gpu(let shape) = launch.shape { fill = max(0.1, shape.slotEfficiency) }
    let math = min(unlimited, gemm.floatingPointOperations / (peak * share) * 1e9 / fill)
    return gpu.modelGigahertz * (unlimited - math * (1 - share / CounterConstants.mainLoopShare)) / nanoseconds
  }

  /// Times of products, multiplied so that the loop's mean power is the board's; 1 where it is below.
  static func stretch(_ run: DeviceLoopResult, on gpu: GPU) -> Double {
    let constants = KernelCalibrations.calibration(for: gpu).constants
    var joules = 0.0
    for kernel in run.kernels {
      guard let gemm = kernel.launch.gemm, gemm.type != .fp32 else { continue }
      joules += gemm.floatingPointOperations * constants[.picojoulesPerFLOP] * 1e-12 * sustainedEnergy
    }
    return run.span.seconds > 0 ? max(1, joules / run.span.seconds / max(1, gpu.boardPowerWatts)) : 1
  }

  /// A loop whose products take so many times as long, at a clock that is as much lower.
  static func stretched(_ loop: DeviceLoop, _ factor: Double, on gpu: GPU) -> DeviceLoop {
    func slower(_ launches: [Launch]) -> [Launch] {
      launches.map { launch in
        guard let gemm = launch.gemm, gemm.type != .fp32 else { return launch }
        var slower = launch
        slower.predictedNanoseconds *= factor
        slower.powerLimitedGigahertz = gigahertz(launch, gemm, lasting: slower.predictedNanoseconds, on: gpu)
        return slower
      }
    }
    var copy = loop
    copy.work = loop.work.map { work in
      switch work {
      case .kernels(let launches, let perOperator, let stream): .kernels(slower(launches), perOperator: perOperator, stream: stream)
      case .graph(let launches, let stream): .graph(slower(launches), stream: stream)
      default: work
      }
    }
    return copy
  }
}
