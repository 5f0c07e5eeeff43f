/// How a request ended. Stored as its number; numbers written by a later version are kept as they are.
@frozen public struct RequestStatus: RawRepresentable, Sendable, Hashable {
  /// The number on disk.
  public var rawValue: Int32

  /// The status with that number.
  @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Answered.
  @inlinable public static var ok: RequestStatus { RequestStatus(rawValue: 0) }
  /// Refused because the queue was full.
  @inlinable public static var rejected: RequestStatus { RequestStatus(rawValue: 1) }
  /// Its queue deadline passed.
  @inlinable public static var timedOut: RequestStatus { RequestStatus(rawValue: 2) }
  /// The client went away.
  @inlinable public static var cancelled: RequestStatus { RequestStatus(rawValue: 3) }
  /// It failed for another reason.
  @inlinable public static var failed: RequestStatus { RequestStatus(rawValue: 4) }
  /// Still in flight when the run ended.
  @inlinable public static var unfinished: RequestStatus { RequestStatus(rawValue: 5) }
}
