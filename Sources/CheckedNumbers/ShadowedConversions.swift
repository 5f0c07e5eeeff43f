// The standard library's conversions without a label, which end the process when the value does not fit, are shadowed here: where a
// module that imports this one uses such a conversion, the compiler warns (an error in CI), and what runs saturates. Conversions that
// always fit, from a narrower type, stay as they are. The compiler knows the types, which a search through the text would not.
//
// A declaration of another module is preferred to one of the standard library's with the same signature (swiftlang/swift
// `lib/AST/NameLookup.cpp`, shadowing), and a member of the type itself to a protocol's.

extension Int {
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int(saturating:) or Int(exactly:)")
  @inlinable public init(_ value: Double) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int(saturating:) or Int(exactly:)")
  @inlinable public init(_ value: Float) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int(clamping:) or Int(exactly:)")
  @inlinable public init<Source: BinaryInteger>(_ value: Source) { self = Self(clamping: value) }
  /// The same value.
  @_transparent public init(_ value: Int) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: Int64) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: Int32) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: Int16) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: Int8) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt32) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt16) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt8) { self.init(truncatingIfNeeded: value) }
}

extension Int64 {
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int64(saturating:) or Int64(exactly:)")
  @inlinable public init(_ value: Double) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int64(saturating:) or Int64(exactly:)")
  @inlinable public init(_ value: Float) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int64(clamping:) or Int64(exactly:)")
  @inlinable public init<Source: BinaryInteger>(_ value: Source) { self = Self(clamping: value) }
  /// The same value.
  @_transparent public init(_ value: Int) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: Int64) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: Int32) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: Int16) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: Int8) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt32) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt16) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt8) { self.init(truncatingIfNeeded: value) }
}

extension Int32 {
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int32(saturating:) or Int32(exactly:)")
  @inlinable public init(_ value: Double) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int32(saturating:) or Int32(exactly:)")
  @inlinable public init(_ value: Float) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int32(clamping:) or Int32(exactly:)")
  @inlinable public init<Source: BinaryInteger>(_ value: Source) { self = Self(clamping: value) }
  /// The same value.
  @_transparent public init(_ value: Int32) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: Int16) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: Int8) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt16) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt8) { self.init(truncatingIfNeeded: value) }
}

extension Int16 {
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int16(saturating:) or Int16(exactly:)")
  @inlinable public init(_ value: Double) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int16(saturating:) or Int16(exactly:)")
  @inlinable public init(_ value: Float) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int16(clamping:) or Int16(exactly:)")
  @inlinable public init<Source: BinaryInteger>(_ value: Source) { self = Self(clamping: value) }
  /// The same value.
  @_transparent public init(_ value: Int16) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: Int8) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt8) { self.init(truncatingIfNeeded: value) }
}

extension Int8 {
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int8(saturating:) or Int8(exactly:)")
  @inlinable public init(_ value: Double) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int8(saturating:) or Int8(exactly:)")
  @inlinable public init(_ value: Float) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: Int8(clamping:) or Int8(exactly:)")
  @inlinable public init<Source: BinaryInteger>(_ value: Source) { self = Self(clamping: value) }
  /// The same value.
  @_transparent public init(_ value: Int8) { self.init(truncatingIfNeeded: value) }
}

extension UInt {
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt(saturating:) or UInt(exactly:)")
  @inlinable public init(_ value: Double) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt(saturating:) or UInt(exactly:)")
  @inlinable public init(_ value: Float) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt(clamping:) or UInt(exactly:)")
  @inlinable public init<Source: BinaryInteger>(_ value: Source) { self = Self(clamping: value) }
  /// The same value.
  @_transparent public init(_ value: UInt) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt64) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt32) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt16) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt8) { self.init(truncatingIfNeeded: value) }
}

extension UInt64 {
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt64(saturating:) or UInt64(exactly:)")
  @inlinable public init(_ value: Double) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt64(saturating:) or UInt64(exactly:)")
  @inlinable public init(_ value: Float) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt64(clamping:) or UInt64(exactly:)")
  @inlinable public init<Source: BinaryInteger>(_ value: Source) { self = Self(clamping: value) }
  /// The same value.
  @_transparent public init(_ value: UInt) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt64) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt32) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt16) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt8) { self.init(truncatingIfNeeded: value) }
}

extension UInt32 {
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt32(saturating:) or UInt32(exactly:)")
  @inlinable public init(_ value: Double) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt32(saturating:) or UInt32(exactly:)")
  @inlinable public init(_ value: Float) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt32(clamping:) or UInt32(exactly:)")
  @inlinable public init<Source: BinaryInteger>(_ value: Source) { self = Self(clamping: value) }
  /// The same value.
  @_transparent public init(_ value: UInt32) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt16) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt8) { self.init(truncatingIfNeeded: value) }
}

extension UInt16 {
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt16(saturating:) or UInt16(exactly:)")
  @inlinable public init(_ value: Double) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt16(saturating:) or UInt16(exactly:)")
  @inlinable public init(_ value: Float) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt16(clamping:) or UInt16(exactly:)")
  @inlinable public init<Source: BinaryInteger>(_ value: Source) { self = Self(clamping: value) }
  /// The same value.
  @_transparent public init(_ value: UInt16) { self.init(truncatingIfNeeded: value) }
  /// The same value.
  @_transparent public init(_ value: UInt8) { self.init(truncatingIfNeeded: value) }
}

extension UInt8 {
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt8(saturating:) or UInt8(exactly:)")
  @inlinable public init(_ value: Double) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt8(saturating:) or UInt8(exactly:)")
  @inlinable public init(_ value: Float) { self = Self(saturating: Double(value)) }
  /// What fits; else the nearest value that does.
  @available(*, deprecated, message: "traps when the value does not fit: UInt8(clamping:) or UInt8(exactly:)")
  @inlinable public init<Source: BinaryInteger>(_ value: Source) { self = Self(clamping: value) }
  /// The same value.
  @_transparent public init(_ value: UInt8) { self.init(truncatingIfNeeded: value) }
}
