import CheckedNumbers
import JSONReading

/// Device work that is told from others by the track it is drawn on, not by its category: profiles of JAX and TensorFlow (processes
/// "/device:GPU:0", threads "Stream #14(Compute)"; tsl's `xplane_to_trace_events.cc`) and rocprof's JSON (processes "GPU0").
struct DeviceTracks {
  private struct Track: Hashable {
    var process: Int64
    var thread: Int64
  }

  /// Ordinals of the devices that processes stand for.
  private var devices: [Int64: Int64] = [:]
  /// Whether a named track of such a process is a stream; the others repeat its work by module, operator or line of source.
  private var isStream: [Track: Bool] = [:]

  /// Names of more processes than any machine has devices are a file's mistake.
  private static let maximum = 4096

  /// Takes a name that metadata gives a process or a thread.
  mutating func note(_ event: KinetoEvent, _ label: String, isProcess: Bool) {
    guard case .number(let process) = event.process else { return }
    if isProcess {
      if let device = Self.device(label), devices.count < Self.maximum { devices[process] = device }
    } else if devices[process] != nil, case .number(let thread) = event.thread, isStream.count < Self.maximum {
      isStream[Track(process: process, thread: thread)] = label.hasPrefix("Stream")
    }
  }

  /// The device an event without a category worked on; nil for host work.
  func device(of event: KinetoEvent) -> Int64? {
    if devices.isEmpty { return nil }
    guard case .number(let process) = event.process, let device = devices[process] else { return nil }
    if case .number(let thread) = event.thread, isStream[Track(process: process, thread: thread)] == false { return nil }
    return device
  }

  /// "/device:GPU:0", "GPU0".
  private static func device(_ name: String) -> Int64? {
    for prefix in ["/device:GPU:", "GPU"] where name.hasPrefix(prefix) {
      let digits = name.dropFirst(prefix.count).prefix { $0 != " " }
      if !digits.isEmpty, digits.utf8.count < 5, digits.utf8.allSatisfy({ (48...57).contains($0) }) { return Int64(digits) }
    }
    return nil
  }

  /// What a device's event without a category is, by its name.
  static func category(ofWork name: String) -> KinetoEvent.Category {
    if name.hasPrefix("Memcpy") || name.hasPrefix("CopyHostToDevice") || name.hasPrefix("CopyDeviceTo") { return .copy }
    return name.hasPrefix("Memset") || name.hasPrefix("FillBuffer") ? .memset : .kernel
  }

  /// "regs:32 static_shared:0 dynamic_shared:0 grid:108,1,1 block:256,1,1 occ_pct:100", as tsl writes a launch.
  static func read(details text: String, into event: inout KinetoEvent) {
    var shared: Int64?
    for part in text.prefix(512).split(whereSeparator: { $0 == " " || $0 == "\n" }) {
      guard let colon = part.firstIndex(of: ":") else { continue }
      let value = part[part.index(after: colon)...]
      let numbers = value.split(separator: ",").compactMap { Int32($0) }
      let triple = numbers.count == 3 ? (numbers[0], numbers[1], numbers[2]) : nil
      switch part[..<colon] {
      case "regs": event.registers = Int64(value)
      case "static_shared", "dynamic_shared": shared = Int64(value).map { (shared ?? 0).addingSaturated($0) } ?? shared
      case "grid": event.grid = triple
      case "block": event.block = triple
      default: break
      }
    }
    if let shared { event.sharedMemory = shared }
  }
}
