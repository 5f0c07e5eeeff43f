/// Position of a `StreamDescription` in its trace.
@frozen public struct StreamID: Sendable, Hashable {
  /// Position in `Trace.streams`.
  public let rawValue: Int32
  /// The stream at a position.
  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }
}

/// Where device work ran.
public struct StreamDescription: Sendable, Hashable {
  /// Global process id (see `GlobalID`); `Trace.unknown` where not recorded.
  public var process: Int64
  /// The CUDA ordinal as that process counts devices: not an index into `Trace.gpus` (see `Trace.gpu(of:)`).
  public var device: Int64
  /// CUDA context.
  public var context: Int64
  /// CUDA stream.
  public var stream: Int64

  /// A stream.
  public init(process: Int64, device: Int64, context: Int64 = 1, stream: Int64) {
    self.process = process
    self.device = device
    self.context = context
    self.stream = stream
  }
}
