import Glibc

/// Memory aligned to 64 bytes that only grows: a batch as large as one before allocates nothing.
final class GrowingMemory {
  private var pointer: UnsafeMutableRawPointer?
  private var capacity = 0
  private var used = 0

  var base: UnsafeMutableRawPointer? { pointer }
  /// What was reserved last.
  var current: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: pointer, count: pointer == nil ? 0 : used) }

  /// Exactly `bytes`; what the memory held before is lost where it has to grow. Nil where the system has no more.
  func reserve(_ bytes: Int) -> UnsafeMutableRawBufferPointer? {
    guard bytes >= 0, bytes <= Int.max - 64 else { return nil }
    // Never empty, so that even a tensor without elements has an address.
    let needed = max((bytes + 63) & ~63, 64)
    if needed > capacity {
      var fresh: UnsafeMutableRawPointer?
      guard posix_memalign(&fresh, 64, needed) == 0, let fresh else { return nil }
      free(pointer)
      pointer = fresh
      capacity = needed
    }
    used = bytes
    return current
  }

  deinit { free(pointer) }
}
