import Execution
import Glibc
import ModelGraph
import Threads
import TimeBase

/// Times the built-in heads on a CUDA device: batches one after the other, device time (inputs there to last kernel over) and the time from the
/// call to readable outputs, as CSV. Which kernel ran is the device's choice.
///
///     benchmark-gpu [--cuda-path PATH] [--seconds 1] [--precision fp16]
@main struct BenchmarkGPU {
  static func main() {
    var arguments = Array(CommandLine.arguments.dropFirst())
    func option(_ name: String) -> String? {
      guard let place = arguments.firstIndex(of: name), place + 1 < arguments.count else { return nil }
      defer { arguments.removeSubrange(place...place + 1) }
      return arguments[place + 1]
    }
    var search = CUDASearch.standard
    if let path = option("--cuda-path") { search.explicitPath = path }
    let seconds = option("--seconds").flatMap(Double.init) ?? 1
    let precision = option("--precision").flatMap(LoadOptions.Precision.init) ?? .fp16
    do {
      let device = try CUDADevice(CUDADeviceOptions(search: search))
      print("# \(device.description.hardware), NVRTC \(device.compilerVersion), \(precision.rawValue)")
      print("head,rows,graphs,batches,device_us_median,device_us_p10,device_us_p90,total_us_median")
      for head in [BuiltInHead.linear(), .stacked(), .seqlen()] {
        let graph = try head.graph().withRowsFirst()
        for graphs in [true, false] {
          let options = LoadOptions(
            maximumBatchRows: 256, precision: precision, preferredRows: [1, 8, 16, 32], cudaGraphs: graphs)
          let model = try device.load(.graph(graph), options)
          for rows in [1, 8, 32, 64, 128, 256] { try time(head, model, rows: rows, graphs: graphs, seconds: seconds) }
        }
      }
    } catch {
      let text = Array("benchmark-gpu: \(error)\n".utf8)
      _ = write(2, text, text.count)
      exit(1)
    }
  }

  private static func time(_ head: BuiltInHead, _ model: any LoadedModel, rows: Int, graphs: Bool, seconds: Double) throws {
    let instance = try model.makeInstance()
    defer { instance.close() }
    let shapes = model.signature.inputs.map { [rows] + $0.dims }
    var (device, total): ([Double], [Double]) = ([], [])
    let end = MonotonicClock.now + .nanoseconds(Int64(seconds * 1e9))
    var round = 0
    while round < 20 || MonotonicClock.now < end, round < 100_000 {
      let slot = try instance.prepare(shapes)
      if round < 2 { for input in slot.inputs { input.memory.initializeMemory(as: UInt8.self, repeating: 0x3C) } }
      let done = Completion()
      let start = MonotonicClock.now
      instance.run(slot, events: nil) { done.set($0) }
      let times = try done.wait()
      // The first batches of each slot choose kernels.
      if round >= 4 {
        device.append(Double((times.computeEnd - times.inputsReady).nanoseconds) / 1e3)
        total.append(Double((times.outputsReady - start).nanoseconds) / 1e3)
      }
      round += 1
    }
    device.sort()
    total.sort()
    func quantile(_ values: [Double], _ share: Double) -> String {
      let tenths = Int((values[min(values.count - 1, Int(Double(values.count) * share))] * 10).rounded())
      return "\(tenths / 10).\(tenths % 10)"
    }
    print(
      "\(head.name),\(rows),\(graphs),\(device.count),\(quantile(device, 0.5)),\(quantile(device, 0.1)),\(quantile(device, 0.9)),"
        + quantile(total, 0.5))
    fflush(nil)
  }
}

/// `@unchecked Sendable`: `result` is used under the monitor's lock alone.
private final class Completion: @unchecked Sendable {
  private let monitor = Monitor()
  private var result: Result<BatchTimes, DeviceError>?

  func set(_ value: Result<BatchTimes, DeviceError>) {
    monitor.withLock { result = value }
    monitor.signal()
  }

  func wait() throws -> BatchTimes {
    monitor.lock()
    defer { monitor.unlock() }
    while true {
      if let result { return try result.get() }
      monitor.wait()
    }
  }
}
