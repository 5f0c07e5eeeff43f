import Glibc
import Threads

/// Writes trace records on a thread of its own, which sleeps while there are none. A file is a whole JSON array after every write: each one
/// goes over the closing bracket of the one before, and one that does not go in whole (a full disk) is taken back.
///
/// `@unchecked Sendable`: every variable is guarded by `monitor`, except `files`, which only the writing thread uses.
final class TraceFileWriter: @unchecked Sendable {
  private struct File {
    var path: String
    var descriptor: Int32
    /// Where the next record goes.
    var end: Int
    var records: Int64
    /// Of files by `log_frequency`.
    var index: Int
    /// It was said that records are lost.
    var hasWarned = false
  }

  /// Beyond that a disk is slower than the traffic, and records are dropped rather than memory filled.
  private static let waitingLimit = 100_000

  private let monitor = Monitor(conditions: 2)
  private var waiting: [(text: String, sample: RequestTracer.Sample)] = []
  private var isRunning = false
  private var isWriting = false
  private var files: [String: File] = [:]
  private var hasDropped = false
  private let warn: @Sendable (String) -> Void

  init(warn: @escaping @Sendable (String) -> Void) { self.warn = warn }

  func append(_ text: String, to sample: RequestTracer.Sample) {
    monitor.lock()
    let isDropped = waiting.count >= Self.waitingLimit
    if !isDropped { waiting.append((text, sample)) }
    let isNews = isDropped && !hasDropped
    hasDropped = isDropped
    if !isRunning {
      isRunning = true
      DetachedThread.start(named: "trace writer") { [weak self] in
        while let writer = self, writer.writeOnce() {}
      }
    }
    monitor.unlock()
    monitor.signal()
    if isNews { warn("trace file '\(sample.file)': records come faster than they can be written; some are dropped (raise trace_rate)") }
  }

  /// Waits until everything given is written.
  func finish() {
    monitor.lock()
    while isRunning, !waiting.isEmpty || isWriting { monitor.wait(1) }
    monitor.unlock()
  }

  private func writeOnce() -> Bool {
    monitor.lock()
    while waiting.isEmpty { monitor.wait() }
    let records = waiting
    waiting = []
    isWriting = true
    monitor.unlock()
    for (text, sample) in records { write(text, sample) }
    monitor.lock()
    isWriting = false
    monitor.unlock()
    monitor.broadcast(1)
    return true
  }

  private func write(_ text: String, _ sample: RequestTracer.Sample) {
    var file = files[sample.file] ?? File(path: "", descriptor: -1, end: 0, records: 0, index: 0)
    let path = sample.recordsPerFile > 0 ? "\(sample.file).\(file.index)" : sample.file
    if file.path != path {
      if file.descriptor >= 0 { close(file.descriptor) }
      file.descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
      (file.path, file.end, file.records) = (path, 0, 0)
    }
    // A file that cannot be opened or written is tried again with the next record: a folder may be made meanwhile, a disk emptied.
    if let problem = file.descriptor < 0 ? "cannot be opened" : Self.add(text, to: &file) ? nil : "cannot be written" {
      let reason = String(cString: strerror(errno))
      if !file.hasWarned { warn("trace file '\(path)' \(problem) (\(reason)): records are lost until it can") }
      file.hasWarned = true
    } else {
      file.hasWarned = false
      if sample.recordsPerFile > 0, file.records >= sample.recordsPerFile { file.index += 1 }
    }
    files[sample.file] = file
  }

  private static let end = Array("\n]\n".utf8)

  /// Adds a record over the closing bracket; false where it does not go in whole, and then the file is what it was.
  private static func add(_ text: String, to file: inout File) -> Bool {
    let bytes = Array(((file.records == 0 ? "[\n" : ",\n") + text).utf8) + end
    if write(bytes, file.descriptor, at: file.end) {
      file.end += bytes.count - end.count
      file.records += 1
      return true
    }
    let reason = errno
    if file.records > 0 {
      // These bytes were there before: their block is still the file's.
      _ = write(end, file.descriptor, at: file.end)
      ftruncate(file.descriptor, off_t(file.end + end.count))
    } else {
      ftruncate(file.descriptor, 0)
      _ = write(Array("[\n]\n".utf8), file.descriptor, at: 0)
    }
    errno = reason
    return false
  }

  private static func write(_ bytes: [UInt8], _ descriptor: Int32, at start: Int) -> Bool {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done, off_t(start + done)) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }
}
