import CheckedNumbers
import JSONReading
import Trace

/// What a document of trace events says beside the events.
struct KinetoHeader {
  /// Names of the document's members, for errors.
  private(set) var keys: [String] = []
  private var gpus: [GPUDescription] = []
  private var run: [String: String] = [:]
  private var baseTime: Int64?

  static func isWanted(_ key: String) -> Bool {
    switch key {
    case "deviceProperties", "distributedInfo", "baseTimeNanoseconds", "cuda_runtime_version", "cuda_driver_version", "cupti_version",
      "hip_runtime_version", "hip_driver_version", "roctracer_version", "schemaVersion", "traceName", "record_shapes", "with_stack",
      "trace_id", "displayTimeUnit":
      true
    default: false
    }
  }

  mutating func note(key: String) { if keys.count < 32 { keys.append(String(key.prefix(40))) } }

  /// Reads the value of a member. What is not of the expected form is left out.
  mutating func read(_ key: String, _ text: UnsafeRawBufferPointer) {
    var tape = JSONTape()
    guard (try? tape.read(text)) != nil, let root = tape.nodes.first else { return }
    switch key {
    case "deviceProperties": devices(tape, text)
    case "distributedInfo":
      for (name, keys) in [("rank", ["rank"]), ("worldSize", ["world_size", "worldSize"]), ("distributedBackend", ["backend"])] {
        for key in keys {
          if let value = Self.member(tape, 0, key, text) { run[name] = Self.plain(tape, value, text) }
        }
      }
    case "baseTimeNanoseconds": if root.kind == .integer { baseTime = Int64(root.first) }
    default: run[key] = Self.plain(tape, 0, text)
    }
  }

  private mutating func devices(_ tape: JSONTape, _ text: UnsafeRawBufferPointer) {
    guard let root = tape.nodes.first, root.kind == .array else { return }
    var index = 1
    for position in 0..<min(root.count, 1024) {
      guard tape.nodes.indices.contains(index) else { return }
      let next = tape.nodes[index].next
      func number(_ keys: String...) -> Int64 {
        for key in keys {
          if let value = Self.member(tape, index, key, text), tape.nodes[value].kind == .integer { return Int64(tape.nodes[value].first) }
        }
        return Trace.unknown
      }
      if tape.nodes[index].kind == .object {
        let ordinal = number("id") == Trace.unknown ? Int64(position) : number("id")
        let name = Self.member(tape, index, "name", text).flatMap { Self.plain(tape, $0, text) } ?? ""
        var gpu = GPUDescription(
          id: ordinal, cudaDevice: ordinal, name: name, smCount: number("numSms"), totalMemoryBytes: number("totalGlobalMem"),
          computeMajor: number("computeMajor"), computeMinor: number("computeMinor"),
          maxRegistersPerSM: number("regsPerMultiprocessor"),
          maxSharedMemoryBytesPerSM: number("sharedMemPerMultiprocessor", "maxSharedMemoryPerMultiProcessor"))
        gpu.threadsPerWarp = number("warpSize")
        let threads = number("maxThreadsPerMultiprocessor")
        if threads > 0, gpu.threadsPerWarp > 0 { gpu.maxWarpsPerSM = threads / gpu.threadsPerWarp }
        gpus.append(gpu)
      }
      index = next
    }
  }

  private static func member(_ tape: JSONTape, _ object: Int, _ name: String, _ text: UnsafeRawBufferPointer) -> Int? {
    guard tape.nodes.indices.contains(object), tape.nodes[object].kind == .object else { return nil }
    var index = object + 1
    for _ in 0..<tape.nodes[object].count {
      guard tape.nodes.indices.contains(index + 1) else { return nil }
      if tape.string(index, in: text) == name { return index + 1 }
      index = tape.nodes[index + 1].next
    }
    return nil
  }

  /// A number, a text or a truth value as text; nil for others.
  private static func plain(_ tape: JSONTape, _ index: Int, _ text: UnsafeRawBufferPointer) -> String? {
    let node = tape.nodes[index]
    return switch node.kind {
    case .string: tape.string(index, in: text)
    case .integer: "\(node.first)"
    case .bool: node.first == 1 ? "true" : "false"
    case .double: "\(Double(bitPattern: UInt64(bitPattern: Int64(node.first))))"
    default: nil
    }
  }

  /// Puts what was read into the trace.
  func apply(to trace: inout Trace) {
    trace.gpus = gpus
    // Times are counted from this moment, in traces of PyTorch 2.4 and later; before, from 1970.
    trace.clockOrigin = baseTime ?? Trace.unknown
    for (key, value) in run { trace.run[key] = value }
  }

  /// The libraries that recorded it.
  var writer: String? {
    if let version = run["hip_runtime_version"] { return "PyTorch, HIP runtime \(version)" }
    if let version = run["cuda_runtime_version"] { return "PyTorch, CUDA runtime \(version), CUPTI \(run["cupti_version"] ?? "unknown")" }
    return nil
  }
}
