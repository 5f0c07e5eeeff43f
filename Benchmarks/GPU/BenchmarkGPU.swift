import Execution
import Glibc
import ModelGraph
import Threads
import TimeBase

/// Times models on a CUDA device: batches one after the other, device time (inputs there to last kernel over) and the time from the call to readable
/// outputs, as CSV, each line as soon as it is known. Which kernel ran is the device's choice. What fails is said and does not end the rest; the
/// exit status is then 1.
///
///     benchmark-gpu [--cuda-path PATH] [--seconds 1] [--precision fp16] [--models linear,stacked,seqlen,bert-base,minilm,layer-norm] [--rows 1,8]
///                   [--layers 20] [--hidden 1024] [--without-chain-kernels] [--graphs-only]
@main struct BenchmarkGPU {
  private var arguments = Array(CommandLine.arguments.dropFirst())
  private var hasFailed = false

  static func main() {
    var benchmark = BenchmarkGPU()
    benchmark.run()
    exit(benchmark.hasFailed ? 1 : 0)
  }

  private mutating func option(_ name: String) -> String? {
    guard let place = arguments.firstIndex(of: name), place + 1 < arguments.count else { return nil }
    defer { arguments.removeSubrange(place...place + 1) }
    return arguments[place + 1]
  }

  private mutating func flag(_ name: String) -> Bool {
    guard let place = arguments.firstIndex(of: name) else { return false }
    arguments.remove(at: place)
    return true
  }

  private static func say(_ text: String) {
    let bytes = Array("benchmark-gpu: \(text)\n".utf8)
    _ = write(2, bytes, bytes.count)
  }

  private mutating func run() {
    var search = CUDASearch.standard
    if let path = option("--cuda-path") { search.explicitPath = path }
    let seconds = option("--seconds").flatMap(Double.init) ?? 1
    let precision = option("--precision").flatMap(LoadOptions.Precision.init) ?? .fp16
    let names = (option("--models") ?? "linear,stacked,seqlen").split(separator: ",").map(String.init)
    let rows = option("--rows").map { $0.split(separator: ",").compactMap { Int($0) } }
    let (layers, hidden) = (option("--layers").flatMap { Int($0) } ?? 20, option("--hidden").flatMap { Int($0) } ?? 1024)
    let (usesChains, graphsOnly) = (!flag("--without-chain-kernels"), flag("--graphs-only"))
    guard arguments.isEmpty else {
      Self.say("unknown: \(arguments.joined(separator: " "))")
      exit(64)
    }
    do {
      var options = CUDADeviceOptions(search: search)
      options.usesChainKernels = usesChains
      let device = try CUDADevice(options)
      print("# \(device.description.hardware), NVRTC \(device.compilerVersion), \(precision.rawValue)")
      print("model,rows,graphs,chain_kernels,batches,device_us_median,device_us_p10,device_us_p90,total_us_median")
      for name in names {
        let models = try Self.models(name, layers: layers, hidden: hidden)
        for (label, graph, usualRows) in models {
          for graphs in graphsOnly ? [true] : [true, false] {
            attempt("\(label), \(graphs ? "graph" : "eager")") {
              let sizes = rows ?? usualRows
              let model = try device.load(
                .graph(try graph.withRowsFirst()),
                LoadOptions(
                  maximumBatchRows: max(1, sizes.max() ?? 1), precision: precision, preferredRows: sizes.filter { $0 <= 32 },
                  cudaGraphs: graphs))
              for rows in sizes {
                let times = try Self.times(model, rows: rows, seconds: seconds)
                print("\(label),\(rows),\(graphs),\(usesChains),\(times)")
                fflush(nil)
              }
            }
          }
        }
      }
    } catch {
      Self.say("\(error)")
      hasFailed = true
    }
  }

  private mutating func attempt(_ what: String, _ body: () throws -> Void) {
    do { try body() } catch {
      Self.say("\(what): \(error)")
      hasFailed = true
    }
  }

  /// Graphs by a name, with the rows that are usual for them.
  private static func models(_ name: String, layers: Int, hidden: Int) throws -> [(name: String, graph: Graph, rows: [Int])] {
    let heads = [1, 8, 32, 64, 128, 256]
    switch name {
    case "linear": return [(name, try BuiltInHead.linear(layers: layers, hidden: hidden).graph(), heads)]
    case "stacked": return [(name, try BuiltInHead.stacked(layers: layers, hidden: hidden).graph(), heads)]
    case "seqlen": return [(name, try BuiltInHead.seqlen(layers: layers, hidden: hidden).graph(), heads)]
    case "bert-base": return [(name, try BuiltInHead.encoder(layers: 12, hidden: 768, heads: 12, sequence: 128).graph(), [1, 32])]
    case "minilm": return [(name, try BuiltInHead.encoder(layers: 6, hidden: 384, heads: 12, sequence: 128).graph(), [1, 32])]
    case "small-encoder": return [(name, try BuiltInHead.encoder(layers: 1, hidden: 32, heads: 2, sequence: 8).graph(), [1, 2])]
    // One pair's time is a ninth of the difference: what stands around them is in both.
    case "layer-norm":
      return [
        ("layer-norm x 1", try normalizations(1, width: hidden), [32_768]),
        ("layer-norm x 10", try normalizations(10, width: hidden), [32_768]),
      ]
    default: throw DeviceError(.unsupported, "no model is called \(name)")
    }
  }

  /// Pairs of LayerNorm and ReLU, one after the other.
  private static func normalizations(_ count: Int, width: Int) throws -> Graph {
    var graph = Graph(name: "layer-norm")
    var value = graph.addInput("x", .float32, [.rows, .fixed(width)])
    guard let ones = Tensor(float32: [Float](repeating: 1, count: width), shape: [width]) else { return graph }
    for index in 0..<count {
      let (scale, bias) = (graph.addConstant("scale.\(index)", ones), graph.addConstant("bias.\(index)", ones))
      value = try graph.apply(.layerNormalization(axis: -1, epsilon: 1e-5), "norm.\(index)", [value, scale, bias])
      value = try graph.apply(.unary(.relu), "relu.\(index)", [value])
    }
    graph.outputs = [value]
    return graph
  }

  /// "batches,median,p10,p90,total".
  private static func times(_ model: any LoadedModel, rows: Int, seconds: Double) throws -> String {
    let instance = try model.makeInstance()
    defer { instance.close() }
    let shapes = model.signature.inputs.map { [rows] + $0.dims }
    var (device, total): ([Double], [Double]) = ([], [])
    let end = MonotonicClock.now + .nanoseconds(Int64(seconds * 1e9))
    var round = 0
    while round < 12 || MonotonicClock.now < end, round < 100_000 {
      let slot = try instance.prepare(shapes)
      if round < 2 {
        for (input, tensor) in zip(model.signature.inputs, slot.inputs) {
          // Whole numbers may be positions in a table: 0 is one of every table's.
          tensor.memory.initializeMemory(as: UInt8.self, repeating: input.dataType == .float32 ? 0x3C : 0)
        }
      }
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
    return "\(device.count),\(quantile(device, 0.5)),\(quantile(device, 0.1)),\(quantile(device, 0.9)),\(quantile(total, 0.5))"
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
