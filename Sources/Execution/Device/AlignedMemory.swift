import Glibc

/// Memory of a device's own, aligned to a cache line, that grows when more is asked for and never shrinks. Not Sendable: one owner.
final class AlignedMemory {
  private var base: UnsafeMutableRawPointer
  private var capacity: Int

  init() {
    capacity = 64
    base = .allocate(byteCount: 64, alignment: 64)
  }

  deinit { base.deallocate() }

  /// Where it is now; another place after growth.
  var address: UnsafeMutableRawPointer { base }

  /// The first `byteCount` bytes; what they hold is undefined after growth.
  func reserve(_ byteCount: Int) throws(DeviceError) -> UnsafeMutableRawBufferPointer {
    if byteCount > capacity {
      let (doubled, overflow) = byteCount.addingReportingOverflow(byteCount / 2)
      var fresh: UnsafeMutableRawPointer?
      guard byteCount >= 0, !overflow, posix_memalign(&fresh, 64, doubled) == 0, let fresh else {
        throw DeviceError(.badInput, "cannot allocate \(byteCount) bytes for a batch; send smaller requests or lower max_batch_size")
      }
      base.deallocate()
      base = fresh
      capacity = doubled
    }
    return UnsafeMutableRawBufferPointer(start: base, count: byteCount)
  }
}
