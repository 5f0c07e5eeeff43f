/// A setting of `--trace-config`, as tritonserver takes it: an optional mode, a setting, its value ("triton,file=PATH", "rate=1000").
public struct TraceSetting: Sendable, Hashable {
  /// Why a text is none.
  public struct Fault: Error, Sendable, Hashable {
    /// A sentence.
    public let message: String
  }

  /// As the trace calls of the protocol name it: "trace_file".
  public let key: String
  /// As written.
  public let value: String

  /// What the option calls a setting, and what the protocol does.
  static let keys = [
    "file": "trace_file", "level": "trace_level", "rate": "trace_rate", "count": "trace_count", "log-frequency": "log_frequency",
    "mode": "trace_mode",
  ]

  /// Of an option's value.
  public init(_ text: String) throws(Fault) {
    let parts = text.split(separator: ",", maxSplits: 1).map(String.init)
    guard let last = parts.last else { throw Fault(message: "give setting=value") }
    if parts.count > 1, let mode = parts.first, mode != "triton" {
      throw Fault(message: "there is no mode '\(mode)' here, only triton")
    }
    let pair = last.split(separator: "=", maxSplits: 1).map(String.init)
    guard pair.count == 2 else { throw Fault(message: "give setting=value") }
    guard let key = Self.keys[pair[0]] else {
      throw Fault(message: "there is no setting '\(pair[0])'; there are \(Self.keys.keys.sorted().joined(separator: ", "))")
    }
    (self.key, value) = (key, pair[1])
  }
}
