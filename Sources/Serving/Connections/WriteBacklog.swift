import TimeBase

/// What one connection has written and its client has not taken, and since when it has taken nothing.
///
/// Asking a channel what it still holds costs more than a small answer may, so it is asked once in a few KiB of answers; while something is
/// known to wait, every time.
package struct WriteBacklog: Sendable, Hashable {
  /// Unsent at the last measurement.
  package private(set) var bytes = 0
  /// Written since.
  package private(set) var unmeasured = 0
  /// When the client last took something, or had nothing to take. Writing more does not renew it.
  package private(set) var lastTaken = Instant.zero

  /// Bytes that may be written without a measurement.
  package static let grain = 4 << 10

  /// Nothing is written yet.
  package init() {}

  /// Notes an answer that was written.
  package mutating func wrote(_ count: Int) { unmeasured += count }

  /// Whether the channel is to be asked.
  package var isDue: Bool { bytes > 0 || unmeasured >= Self.grain }

  /// What the channel says that it still holds.
  package mutating func measured(_ buffered: Int, at now: Instant) {
    if bytes == 0 || buffered < bytes + unmeasured { lastTaken = now }
    bytes = buffered
    unmeasured = 0
  }

  /// The client has taken nothing for so long while there was something to take.
  package func isStalled(for span: TimeSpan, at now: Instant) -> Bool { bytes > 0 && now - lastTaken >= span }
}
