import CheckedNumbers
import Execution
import Glibc
import ModelGraph
import Planning
import Synchronization
import Threads
import TimeBase

/// A model on a device in this process, ready to run batches one after the other.
///
/// `@unchecked Sendable`: nothing of it changes after `init` but the instance, which one thread at a time uses: the one that holds the loop.
final class BatchLoop: @unchecked Sendable {
  let model: any LoadedModel
  private let instance: any ModelInstance

  init(_ model: any LoadedModel) throws(ExperimentError) {
    self.model = model
    do throws(DeviceError) { instance = try model.makeInstance() } catch { throw ExperimentError("an instance cannot be made: \(error)") }
  }

  /// Runs a batch; from its inputs' being in place to its outputs' being readable, milliseconds.
  func batch(rows: Int) throws(ExperimentError) -> Double {
    do throws(DeviceError) { return try BatchTimer.time(model, instance, rows: rows) / 1e6 } catch {
      throw ExperimentError("a batch of \(rows) rows failed: \(error)")
    }
  }

  func close() { instance.close() }

  /// What runs the models of a sweep: "cpu" or "cuda:0".
  static func device(_ name: String) throws(ExperimentError) -> any Device {
    do throws(DeviceError) {
      if name == "cpu" { return try CPUDevice(CPUDeviceOptions(threads: max(1, Int(sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN)))))) }
      guard name.hasPrefix("cuda:"), let ordinal = Int(name.dropFirst(5)), ordinal >= 0 else {
        throw DeviceError(.unsupported, "write cpu, or cuda:NUMBER as in cuda:0")
      }
      return try CUDADevice(CUDADeviceOptions(ordinal: ordinal, usesGraphs: false))
    } catch { throw ExperimentError("--device \(name): \(error.description)") }
  }

  /// A model of this graph, in the device's usual arithmetic: fp16 on a GPU.
  static func load(
    _ graph: Graph, on device: any Device, largestRows: Int, graphs: Bool = false
  ) throws(ExperimentError) -> any LoadedModel {
    do {
      return try device.load(
        .graph(try graph.withRowsFirst()),
        LoadOptions(
          maximumBatchRows: largestRows, precision: device.description.deviceClass == .processor ? .fp32 : .fp16, cudaGraphs: graphs))
    } catch { throw ExperimentError("the model cannot be loaded: \(error)") }
  }
}

/// Settings measured in turn, in an order that is drawn anew each round, so that what drifts falls on all of them alike.
struct Sweep {
  /// One setting: `run` gives the times of a few batches.
  struct Setting {
    var point: SweepPoint
    var run: () throws(ExperimentError) -> [Double]
  }

  var settings: [Setting] = []

  /// Rounds until the time is over, three at least; each setting's first visit is a warm-up and left out.
  mutating func measure(seconds: Double, seed: UInt64 = 1, progress: (Double) -> Void = { _ in }) throws(ExperimentError) -> [SweepPoint] {
    for setting in settings { _ = try setting.run() }
    var random = SplitMix64(seed: seed)
    let start = MonotonicClock.now
    var round = 0
    while round < 3 || (MonotonicClock.now - start).seconds < seconds, round < 2000 {
      for index in Self.order(settings.count, &random) { settings[index].point.milliseconds += try settings[index].run() }
      round += 1
      progress(min(1, (MonotonicClock.now - start).seconds / max(0.001, seconds)))
    }
    return settings.map(\.point)
  }

  /// The numbers below `count`, shuffled.
  static func order(_ count: Int, _ random: inout SplitMix64) -> [Int] { Array(0..<max(0, count)).shuffled(using: &random) }
}
