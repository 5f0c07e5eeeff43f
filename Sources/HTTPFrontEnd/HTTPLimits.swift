public import TimeBase

/// What a client may ask of the server's memory and timeout.
public struct HTTPLimits: Sendable, Hashable {
  /// Bytes of a request's head.
  public var headBytes = 64 << 10
  /// Bytes of a body, after decompression (the reference server's `--http-max-input-size`, 64 MiB).
  public var bodyBytes = 64 << 20
  /// From a request's first byte to the end of its head.
  public var headTime = TimeSpan.milliseconds(30_000)
  /// Without a byte of a body that was announced.
  public var readIdleTimeout = TimeSpan.milliseconds(60_000)
  /// Without a byte taken of an answer.
  public var writeIdleTimeout = TimeSpan.milliseconds(60_000)
  /// The same while the process holds more unsent bytes than it should (`UnsentBytes`).
  public var pressedWriteIdleTimeout = TimeSpan.milliseconds(2_000)
  /// From the last acknowledged byte of the last answer to the client's own end.
  public var closeIdleTimeout = TimeSpan.milliseconds(2_000)
  /// From the beginning of a TLS connection to the end of its handshake.
  public var handshakeTime = TimeSpan.milliseconds(30_000)
  /// Bytes of answers not taken above which a connection begins no request, and as many of requests read ahead. It is the channel's own high
  /// water mark, too.
  static let unsentBytes = 64 << 10
  /// Pipelined requests that a connection begins before others on its event loop have their turn.
  static let requestsPerTurn = 32
  /// Connections at one time.
  public var connections = 60_000

  /// The defaults.
  public init() {}
}
