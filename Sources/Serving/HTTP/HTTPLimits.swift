public import TimeBase

/// What a client may ask of the server's memory and patience.
public struct HTTPLimits: Sendable, Hashable {
  /// Bytes of a request's head.
  public var headBytes = 64 << 10
  /// Bytes of a body, after decompression (the reference server's `--http-max-input-size`, 64 MiB).
  public var bodyBytes = 64 << 20
  /// From a request's first byte to the end of its head.
  public var headTime = TimeSpan.milliseconds(30_000)
  /// Without a byte of a body that was announced.
  public var bodySilence = TimeSpan.milliseconds(60_000)
  /// Without a byte taken of an answer.
  public var writeSilence = TimeSpan.milliseconds(60_000)
  /// Connections at one time.
  public var connections = 60_000

  /// The defaults.
  public init() {}
}
