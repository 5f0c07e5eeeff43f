import CheckedNumbers
import FileAccess
import JSONText
import ModelGraph
import ONNXFormat
import Trace
import TraceFormats
import Vocabulary

/// A planted program as files, as a user would have them: the trace as an Nsight export and as a Kineto trace, without a table of our own, and
/// beside them a load result, the server's request trace and statistics, the model and what nvidia-smi said.
public struct PlantedFiles: Sendable {
  /// The program.
  public var program: PlantedProgram
  /// Where the files are.
  public var folder: String

  /// The two forms of the trace.
  public enum Form: String, Sendable, Hashable, CaseIterable {
    case nsight, kineto

    /// File in the folder.
    public var file: String { self == .nsight ? "trace.sqlite" : "trace.json" }
  }

  /// Files of a program in a folder that exists.
  public init(_ program: PlantedProgram, in folder: String) {
    self.program = program
    self.folder = folder
  }

  private func path(_ name: String) -> String { "\(folder)/\(name)" }

  /// Names of all files that a program may have.
  public static let names = [
    "trace.sqlite", "trace.json", "load.json", "triton-trace.json", "stats-before.json", "stats-after.json", "config.json", "model.onnx",
    "smi.csv", "apps.csv",
  ]

  /// What Triton's clock shows when the trace's shows 0.
  static let tritonClock: Int64 = 8_123_456_789_012

  /// The program's model: a head that computes each row once, or one that computes 128 copies of it.
  private var head: BuiltInHead {
    program.cause == .redundantWork ? .seqlen(layers: 4, hidden: 512, sequence: 128) : .linear(layers: 2, hidden: 128)
  }

  /// Makes the program and writes it.
  public func write(steps: Int = 60) throws(CompanionError) {
    let recording = program.recording(steps: steps)
    do throws(TraceStoreError) { try TraceStore.writeExport(recording.trace, to: path("trace.sqlite")) } catch {
      throw CompanionError(path: path("trace.sqlite"), reason: error.description)
    }
    do throws(FileError) {
      try ChromeTrace.write(recording.trace, to: path("trace.json"))
      if !recording.requests.isEmpty {
        try Files.write(path("triton-trace.json"), tritonTrace(recording))
        try Files.write(path("load.json"), loadResult(recording).serialized(pretty: true))
        try Files.write(path("stats-before.json"), statistics(recording, isAfter: false).serialized(pretty: true))
        try Files.write(path("stats-after.json"), statistics(recording, isAfter: true).serialized(pretty: true))
        try Files.write(path("config.json"), configuration.serialized(pretty: true))
      }
      try Files.write(path("smi.csv"), smi(recording))
      try Files.write(path("apps.csv"), apps)
    } catch {
      throw CompanionError(path: folder, reason: error.description)
    }
    do {
      try Files.write(path("model.onnx"), try ONNXWriter.write(try head.graph(seed: 1)))
    } catch {
      throw CompanionError(path: path("model.onnx"), reason: "\(error)")
    }
  }

  /// Explains the trace alone.
  public func explainAlone(_ form: Form) throws(CompanionError) -> TraceExplanation {
    TraceExplanation(of: try read(form).trace, name: path(form.file))
  }

  /// Explains it with all files beside it.
  public func explainWithEverything(_ form: Form) throws(CompanionError) -> TraceExplanation {
    let imported = try read(form)
    var trace = imported.trace
    var context = TraceContext()
    var companions = TraceCompanions()
    if Files.kind(of: path("load.json")) == .file { companions.load = path("load.json") }
    if Files.kind(of: path("triton-trace.json")) == .file { companions.tritonTrace = path("triton-trace.json") }
    companions.gpuMetrics = [path("smi.csv"), path("apps.csv")]
    try companions.read(into: &context, &trace) { try Files.readText($0) }
    let graph: Graph
    do { graph = try ONNXReader.read(path: path("model.onnx"), options: ONNXReader.Options(purpose: .plan)) } catch {
      throw CompanionError(path: path("model.onnx"), reason: "\(error)")
    }
    context.model = ModelBesideTrace(name: path("model.onnx"), graph: graph, rows: 50, type: "fp16")
    return TraceExplanation(of: trace, name: path(form.file), context: context)
  }

  /// The same with the server's statistics in place of its request trace.
  public func explainWithStatistics(_ form: Form) throws -> TraceExplanation {
    var context = TraceContext()
    func models(_ name: String) throws -> [ModelStatistics] {
      try ModelStatistics.all(in: try JSONValue.parse(try Files.readText(path(name))))
    }
    context.server = try ServerWindow(
      before: try models("stats-before.json"), after: try models("stats-after.json"), metricsBefore: nil, metricsAfter: nil,
      seconds: program.recording().seconds, model: nil,
      configuration: ServerConfiguration(try JSONValue.parse(try Files.readText(path("config.json")))))
    return TraceExplanation(of: try read(form).trace, name: path(form.file), context: context)
  }

  private func read(_ form: Form) throws(CompanionError) -> ImportedTrace {
    do throws(TraceImportError) {
      let imported = try TraceImporters.read(path(form.file))
      guard imported.format == (form == .nsight ? .nsight : .kineto) else {
        throw TraceImportError(path: path(form.file), reason: "taken for \(imported.format.rawValue)")
      }
      return imported
    } catch {
      throw CompanionError(path: path(form.file), reason: error.description)
    }
  }

  // MARK: - What stands beside the trace

  /// Triton's form: a list of objects, in which those of one id belong to one request.
  private func tritonTrace(_ recording: PlantedRecording) -> String {
    var lines: [String] = []
    for (id, request) in recording.requests.enumerated() {
      let batch = recording.batches[request.batch]
      func stamp(_ name: String, _ time: Int64) -> String { "{\"name\":\"\(name)\",\"ns\":\(time + Self.tritonClock)}" }
      let stamps = [
        stamp("HTTP_RECV_START", request.received), stamp("HTTP_RECV_END", request.received + 5_000),
        stamp("REQUEST_START", request.queued - 1),
        stamp("QUEUE_START", request.queued), stamp("COMPUTE_START", batch.begin), stamp("COMPUTE_INPUT_END", batch.begin + 1_000),
        stamp("COMPUTE_OUTPUT_START", batch.end - 1), stamp("COMPUTE_END", batch.end), stamp("REQUEST_END", batch.end + 1_000),
        stamp("HTTP_SEND_START", request.answered - 10_000), stamp("HTTP_SEND_END", request.answered),
      ]
      lines.append("{\"id\":\(id + 1),\"model_name\":\"planted\",\"model_version\":1,\"request_id\":\"\(id + 1)\"}")
      lines.append("{\"id\":\(id + 1),\"timestamps\":[\(stamps.joined(separator: ","))]}")
    }
    return "[" + lines.joined(separator: ",\n") + "]\n"
  }

  private func loadResult(_ recording: PlantedRecording) -> JSONValue {
    let mean = recording.requests.reduce(0.0) { $0 + Double($1.answered - $1.received) } / Double(max(1, recording.requests.count))
    let isOpen = program.cause == .healthyLoadLimited
    return [
      "schema": "headroom.load/2", "requestsPerSecond": JSONValue(Double(recording.requests.count) / recording.seconds),
      "responsesInWindow": JSONValue(recording.requests.count), "windowSeconds": JSONValue(recording.seconds),
      "load": ["kind": .string(isOpen ? "open" : "closed"), "users": JSONValue(16)],
      "latency": ["meanMicroseconds": JSONValue(mean / 1e3)],
      "generator": ["verdict": .string((program.cause == .client ? ClientVerdictKind.clientBound : .notClientBound).rawValue)],
    ]
  }

  private func statistics(_ recording: PlantedRecording, isAfter: Bool) -> JSONValue {
    let requests = isAfter ? recording.requests : []
    func sum(_ time: (PlantedRecording.Request) -> Int64) -> JSONValue {
      ["count": JSONValue(requests.count), "ns": JSONValue(requests.reduce(Int64(0)) { $0 + max(0, time($1)) })]
    }
    let batches = recording.batches
    let zero: JSONValue = ["count": JSONValue(requests.count), "ns": JSONValue(Int64(0))]
    return [
      "model_stats": [
        [
          "name": "planted", "version": "1", "last_inference": JSONValue(Int64(0)), "inference_count": JSONValue(requests.count * 50),
          "execution_count": JSONValue(isAfter ? batches.count : 0),
          "inference_stats": [
            "success": sum { $0.answered - $0.received }, "fail": ["count": JSONValue(0), "ns": JSONValue(Int64(0))],
            "queue": sum { batches[$0.batch].begin - $0.queued }, "compute_input": zero,
            "compute_infer": sum { batches[$0.batch].end - batches[$0.batch].begin }, "compute_output": zero,
            "cache_hit": ["count": JSONValue(0), "ns": JSONValue(Int64(0))],
            "cache_miss": ["count": JSONValue(0), "ns": JSONValue(Int64(0))],
          ], "batch_stats": [],
        ]
      ]
    ]
  }

  private var configuration: JSONValue {
    [
      "name": "planted", "max_batch_size": JSONValue(256), "instance_group": [["count": JSONValue(1), "kind": "KIND_GPU"]],
      "dynamic_batching": ["max_queue_delay_microseconds": JSONValue(program.cause == .batchingDelay ? 10_000 : 0)],
    ]
  }

  /// nvidia-smi --query-gpu=..., a sample every 200 ms.
  private func smi(_ recording: PlantedRecording) -> String {
    var lines = [
      "timestamp, utilization.gpu [%], clocks.current.sm [MHz], clocks.max.sm [MHz], power.draw [W], power.limit [W], clocks_event_reasons.active"
    ]
    // The share of time in which a kernel ran, by the generator's own books.
    let busy = recording.trace.kernels.indices.reduce(0.0) {
      $0 + Double(recording.trace.kernels.end[$1] - recording.trace.kernels.start[$1])
    }
    let share = min(1, busy / (recording.seconds * 1e9))
    for sample in 0..<10 {
      var clock = 1980.0
      if program.cause == .clockLimited { clock /= 1 + (0.15 + 0.15 * Double(program.strength)) * (Double(sample) + 0.5) / 10 }
      let isHeld = program.cause == .clockLimited
      lines.append(
        "2026/01/01 00:00:0\(sample).000, \(Int(saturating: (share * 100).rounded())) %, \(Int(saturating: clock.rounded())) MHz, 1980 MHz, \(isHeld ? "699.10" : "320.00") W, 700.00 W, \(isHeld ? "0x0000000000000004" : "0x0000000000000000")"
      )
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// nvidia-smi --query-compute-apps=pid,process_name,used_gpu_memory --format=csv.
  private var apps: String {
    var lines = ["pid, process_name, used_gpu_memory [MiB]", "4242, tritonserver, 8192 MiB"]
    if program.cause == .coTenant { lines.append("5151, python3, 4096 MiB") }
    return lines.joined(separator: "\n") + "\n"
  }
}
