import Glibc
import Threads

/// Writes trace records on a thread of its own, which sleeps while there are none. A file is a whole JSON array after every write: each one
/// goes over the closing bracket of the one before.
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
  }

  /// Beyond that a disk is slower than the traffic, and records are dropped rather than memory filled.
  private static let waitingLimit = 100_000

  private let monitor = Monitor(conditions: 2)
  private var waiting: [(text: String, sample: RequestTracer.Sample)] = []
  private var isRunning = false
  private var isWriting = false
  private var files: [String: File] = [:]

  func append(_ text: String, to sample: RequestTracer.Sample) {
    monitor.lock()
    if waiting.count < Self.waitingLimit { waiting.append((text, sample)) }
    if !isRunning {
      isRunning = true
      DetachedThread.start(named: "trace writer") { [weak self] in
        while let writer = self, writer.writeOnce() {}
      }
    }
    monitor.unlock()
    monitor.signal()
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
    // A file that cannot be opened is tried again with the next record: a folder may be made meanwhile.
    guard file.descriptor >= 0 else { return }
    let bytes = Array(((file.records == 0 ? "[\n" : ",\n") + text + "\n]\n").utf8)
    let written = bytes.withUnsafeBytes { pwrite(file.descriptor, $0.baseAddress, $0.count, off_t(file.end)) }
    if written == bytes.count {
      file.end += bytes.count - 3
      file.records += 1
      if sample.recordsPerFile > 0, file.records >= sample.recordsPerFile { file.index += 1 }
    }
    files[sample.file] = file
  }
}
