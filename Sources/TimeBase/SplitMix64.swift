/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014): 64 bits of state, one
/// addition and two multiply-xorshift rounds a draw. It is used wherever a run must be repeated bit for bit, on any machine.
public struct SplitMix64: RandomNumberGenerator, Sendable {
  @usableFromInline var state: UInt64

  /// A generator whose whole sequence follows from `seed`.
  @inlinable public init(seed: UInt64) { self.state = seed }

  /// The next 64 uniformly distributed bits.
  @inlinable public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ (bits &>> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits &>> 27)) &* 0x94D0_49BB_1331_11EB
    return bits ^ (bits &>> 31)
  }

  /// A double in [0, 1): the upper 53 bits over 2^53, exact on every machine.
  @inlinable public mutating func nextUnitDouble() -> Double { Double(next() &>> 11) * 0x1p-53 }

  /// A generator for a named purpose, independent of how many draws other purposes have made: common random numbers between
  /// two runs that differ in one parameter need streams that do not shift against each other.
  @inlinable public func split(_ purpose: UInt64) -> SplitMix64 {
    var mixed = SplitMix64(seed: state ^ (purpose &* 0xD6E8_FEB8_6659_FD93))
    return SplitMix64(seed: mixed.next())
  }
}
