/// What no real capture has.
enum ImportLimits {
  /// 2^50 ns, 13 days: a record that claims to last longer is damaged, and one of them would hide all others in every share.
  static let longestNanoseconds: Int64 = 1 << 50
  /// Bytes of one JSON value that are looked at as a whole; a longer one is passed over.
  static let longestValueBytes = 16 << 20
}
