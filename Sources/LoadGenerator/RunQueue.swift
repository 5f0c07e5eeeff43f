import Glibc

/// How long the calling thread has waited for a core though it had something to do: /proc/thread-self/schedstat.
struct RunQueue {
  private let descriptor: Int32

  /// For the thread that calls; open it there.
  init() { descriptor = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC) }

  /// Since the thread began; nil where the kernel does not count.
  var waitedNanoseconds: Int64? {
    guard descriptor >= 0 else { return nil }
    var text = (UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0))
    return withUnsafeMutableBytes(of: &text) { bytes in
      let count = pread(descriptor, bytes.baseAddress, bytes.count, 0)
      return Self.waitedNanoseconds(in: UnsafeRawBufferPointer(rebasing: bytes[0..<max(0, count)]))
    }
  }

  func close() { if descriptor >= 0 { Glibc.close(descriptor) } }

  /// The second of three numbers: time on a core, time on the run queue, turns (torvalds/linux `Documentation/scheduler/sched-stats.rst`).
  static func waitedNanoseconds(in text: UnsafeRawBufferPointer) -> Int64? {
    guard let first = text.firstIndex(of: UInt8(ascii: " ")) else { return nil }
    var value: Int64?
    for byte in text[(first + 1)...] {
      if byte == UInt8(ascii: " ") { return value }
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      value = (value ?? 0) &* 10 &+ Int64(byte - UInt8(ascii: "0"))
    }
    return nil
  }
}
