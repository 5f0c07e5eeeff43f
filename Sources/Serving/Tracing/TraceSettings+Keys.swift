import CheckedNumbers
import KServe

extension TraceSettings {
  /// A setting by its key in the protocol.
  func values(_ key: String) -> [String] {
    switch key {
    case "trace_level": level
    case "trace_rate": [rate]
    case "trace_count": [count]
    case "log_frequency": [logFrequency]
    case "trace_file": [file]
    case "trace_mode": [mode]
    default: []
    }
  }

  mutating func set(_ key: String, _ values: [String]) {
    guard let first = values.first else { return }
    switch key {
    case "trace_level": level = values
    case "trace_rate": rate = first
    case "trace_count": count = first
    case "log_frequency": logFrequency = first
    case "trace_file": file = first
    case "trace_mode": mode = first
    default: break
    }
  }

  /// Refuses a value that means nothing. An empty list clears.
  static func check(_ key: String, _ values: [String]) throws(KServeError) {
    for value in values {
      switch key {
      case "trace_level":
        guard ["OFF", "TIMESTAMPS", "TENSORS"].contains(value) else {
          throw KServeError(.invalidArgument, "trace_level '\(value)' is unknown; use OFF, TIMESTAMPS or TENSORS")
        }
        if value == "TENSORS" {
          throw KServeError(.unsupported, "trace_level TENSORS is not available here; use TIMESTAMPS")
        }
      case "trace_rate", "trace_count", "log_frequency":
        guard let number = Int64(value), number >= (key == "trace_count" ? -1 : 0), key != "trace_rate" || number > 0 else {
          throw KServeError(.invalidArgument, "Unable to parse '\(key)', got: \(value)")
        }
      case "trace_file": break
      case "trace_mode":
        guard value == "triton" else {
          throw KServeError(.unsupported, "trace_mode '\(value)' is not available here; the mode is 'triton'")
        }
      default: throw KServeError(.invalidArgument, "Unknown trace setting: \(key)")
      }
    }
  }
}
