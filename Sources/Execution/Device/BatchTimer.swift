public import DeviceModel
import ModelConfiguration
import Threads
public import TimeBase

/// Times whole batches of a loaded model, so that a simulation can run it on this device.
public enum BatchTimer {
  /// Batches of each size in turn until the time is over, `minimumBatches` of each at least.
  ///
  /// What is timed is what a server's batch waits for: from the inputs' being in place to the outputs' being readable.
  ///
  /// - Parameters:
  ///   - sizes: Rows.
  ///   - budget: Time for all of it; a slow model takes longer.
  ///   - minimumBatches: Batches of each size, whatever they take.
  ///   - waiting: How long this process's threads have waited for a core so far, nanoseconds. A batch during which they waited for
  ///     more than a twentieth of its time was disturbed by others, and is left out where enough are left.
  ///   - progress: Told the share done, now and then.
  public static func measure(
    _ model: any LoadedModel, sizes: [Int], budget: TimeSpan, minimumBatches: Int = 5, waiting: () -> Int64 = { 0 },
    progress: (Double) -> Void = { _ in }
  ) throws(DeviceError) -> Timing {
    let instance = try model.makeInstance()
    defer { instance.close() }
    var times: [Int: [(nanoseconds: Double, isDisturbed: Bool)]] = [:]
    // The first batches of a size allocate and choose kernels.
    for rows in sizes { _ = try time(model, instance, rows: rows) }
    let start = MonotonicClock.now
    var round = 0
    while round < minimumBatches || MonotonicClock.now - start < budget {
      for rows in sizes {
        let before = waiting()
        let taken = try time(model, instance, rows: rows)
        times[rows, default: []].append((taken, Double(waiting() - before) > taken / 20))
      }
      round += 1
      progress(min(1, max(Double(round) / Double(minimumBatches), (MonotonicClock.now - start).seconds / max(1e-9, budget.seconds))))
      if round >= maximumRounds { break }
    }
    var disturbed = 0
    let points = times.compactMap { rows, times -> BatchDurations.Point? in
      let quiet = times.filter { !$0.isDisturbed }
      guard quiet.count >= minimumBatches else { return BatchDurations.Point(rows: rows, times: times.map(\.nanoseconds)) }
      disturbed += times.count - quiet.count
      return BatchDurations.Point(rows: rows, times: quiet.map(\.nanoseconds))
    }
    guard let durations = BatchDurations(points) else {
      throw DeviceError(.batchFailed, "no batch could be timed: no size was given, or batches took no time")
    }
    return Timing(durations: durations, disturbed: disturbed)
  }

  /// What came of it.
  public struct Timing: Sendable {
    /// Times by rows.
    public var durations: BatchDurations
    /// Batches that were left out: others had the cores.
    public var disturbed: Int
  }

  private static let maximumRounds = 2000

  /// One batch of ordinary numbers: from its inputs' being in place to its outputs' being readable, nanoseconds.
  public static func time(_ model: any LoadedModel, _ instance: any ModelInstance, rows: Int) throws(DeviceError) -> Double {
    let shapes = model.signature.inputs.map { input in (model.hasRowDimension ? [rows] : []) + input.dims.map { max(1, $0) } }
    let slot = try instance.prepare(shapes)
    for (input, tensor) in zip(model.signature.inputs, slot.inputs) { fill(tensor.memory, input.dataType) }
    let start = MonotonicClock.now
    let result = try BatchCompletion().wait { completion in instance.run(slot, events: nil) { completion($0) } }.get()
    // Simulated devices and GPUs say when; a processor's inputs are where they are.
    return Double((result.outputsReady - max(start, min(result.inputsReady, result.outputsReady))).nanoseconds)
  }

  /// Numbers of ordinary size: zeros, and worse, numbers next to zero, take other times on some processors.
  private static func fill(_ memory: UnsafeMutableRawBufferPointer, _ type: TensorDataType) {
    switch type {
    case .float32:
      for index in 0..<memory.count / 4 { memory.storeBytes(of: Float(index % 17) * 0.125 - 1, toByteOffset: 4 * index, as: Float.self) }
    case .float64:
      for index in 0..<memory.count / 8 { memory.storeBytes(of: Double(index % 17) * 0.125 - 1, toByteOffset: 8 * index, as: Double.self) }
    // Whole numbers may be positions: zero is valid in every table. Half precision's zero is one of its ordinary numbers.
    default: memory.initializeMemory(as: UInt8.self, repeating: 0)
    }
  }
}
