/// What an `OperatorEvent` is a call of.
@frozen public struct OperatorKind: RawRepresentable, Sendable, Hashable {
  /// As stored.
  public var rawValue: UInt8
  /// A kind as stored; others than those below may come from later versions.
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// An operator of the framework: it may have launched device work.
  @inlinable public static var `operator`: OperatorKind { OperatorKind(rawValue: 0) }
  /// A Python function.
  @inlinable public static var pythonFunction: OperatorKind { OperatorKind(rawValue: 1) }
}
