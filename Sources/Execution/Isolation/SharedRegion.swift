import CheckedNumbers
import CLinux
import Glibc

/// Memory with a descriptor, mapped here and by another process. It only grows: neither process can take back what the other has mapped
/// (F_SEAL_SHRINK), so that reading a mapping never faults.
///
/// Not Sendable: one owner.
final class SharedRegion {
  let descriptor: Int32
  private(set) var base: UnsafeMutableRawPointer?
  /// Bytes that are mapped.
  private(set) var count = 0

  /// New memory, empty.
  init(_ name: String) throws(DeviceError) {
    descriptor = headroom_shared_memory(name)
    guard descriptor >= 0 else {
      throw DeviceError(.instanceLost, "no shared memory can be had: \(String(cString: strerror(errno)))")
    }
  }

  /// Memory that the other process made; the descriptor belongs to it from now on.
  init(taking descriptor: Int32) { self.descriptor = descriptor }

  deinit {
    if let base { munmap(base, count) }
    close(descriptor)
  }

  private static let page = 4096

  /// At least `bytes`, by making the memory larger where it has to be. What it holds stays; its address may change.
  func reserve(_ bytes: Int) throws(DeviceError) {
    guard bytes > count || base == nil else { return }
    guard bytes >= 0, bytes < 1 << 46 else { throw DeviceError(.badInput, "a batch of \(bytes) bytes is out of range") }
    let size = (max(bytes, count + count / 2, Self.page) + Self.page - 1) / Self.page * Self.page
    // Reserved now: a page that is missing later would be a fault, not an error.
    let status = posix_fallocate(descriptor, 0, size)
    guard status == 0 else {
      throw DeviceError(
        .badInput,
        "cannot allocate \(bytes) bytes of shared memory for a batch: \(String(cString: strerror(status))); send smaller requests")
    }
    try map(size)
  }

  /// Maps what the other process says is there, if it is: pages that were never had do not count, whatever size the file claims.
  func follow(_ bytes: Int) throws(DeviceError) {
    guard bytes > count else { return }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw DeviceError(.instanceLost, "shared memory cannot be looked at: \(String(cString: strerror(errno)))")
    }
    let there = min(Int(clamping: status.st_size), Int(clamping: status.st_blocks).multipliedReportingOverflow(by: 512).partialValue)
    guard bytes <= there else { throw DeviceError(.instanceLost, "\(bytes) bytes of shared memory are claimed; there are \(there)") }
    try map(there)
  }

  private func map(_ size: Int) throws(DeviceError) {
    let address = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard let address, address != MAP_FAILED else {
      throw DeviceError(.instanceLost, "\(size) bytes of shared memory cannot be mapped: \(String(cString: strerror(errno)))")
    }
    if let base { munmap(base, count) }
    (base, count) = (address, size)
  }

  /// A part of it; empty where it is not mapped.
  subscript(_ offset: Int, _ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    guard let base, offset >= 0, byteCount >= 0, byteCount <= count, offset <= count - byteCount else {
      return UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }
    return UnsafeMutableRawBufferPointer(start: base + offset, count: byteCount)
  }
}
