import CheckedNumbers
import Diagnosis
import HostModel
import Simulation
import TimeBase

extension VariantResult {
  /// What NVML and DCGM would read over the window: the usual batch's kernels, as they are launched, at the rate that came out. The constants
  /// that turn kernels into counters were measured on Hopper boards.
  public var predictedCounters: LoopCounters? {
    guard run.batches > 0, run.window > .zero, variant.processor == nil else { return nil }
    let perSecond = Double(run.batches) / run.window.seconds
    let launches = usualBatch.issued
    guard !launches.isEmpty else { return nil }
    let work: DeviceLoop.Work = variant.execution.usesCUDAGraphs ? .graph(launches) : .kernels(launches)
    let loop = DeviceLoop(
      [.upload(bytes: Double(usualBatch.inputBytes), isPinned: variant.execution.pinsMemory), work, .synchronize], host: variant.host,
      period: TimeSpan(clampingSeconds: 1 / perSecond))
    return LoopCounters(
      LoopSimulation.run(loop, steps: 12, bytesPerNanosecond: variant.gpu.memoryGigabytesPerSecond), on: variant.gpu)
  }

  /// A counter as a figure, with the range that polls would show where there is one.
  func counterFigure(_ value: (LoopCounters) -> Double, range: ((LoopCounters) -> ClosedRange<Double>)? = nil) -> Figure? {
    predictedCounters.map { counters in
      Figure(
        value(counters), .share, .estimated,
        source: "kernels of a batch of \(usualBatch.rows) rows at the run's rate; constants measured on Hopper",
        interval: range?(counters))
    }
  }
}
