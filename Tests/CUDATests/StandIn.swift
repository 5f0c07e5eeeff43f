import Glibc
import Synchronization
import Testing
import Threads
import TimeBase

@testable import Execution

/// The stand-in for NVIDIA's libraries, as it was built beside the tests. Its state is the process's: suites that use it run one test at a time.
struct StandIn: @unchecked Sendable {
  // Unchecked: a library's handle is a number that any thread may use.
  private let library: UnsafeMutableRawPointer?
  let path: String

  /// `make test-gpu`: the same tests on the real driver; what looks behind the curtain then sees nothing.
  static var isGPUTested: Bool { getenv("HEADROOM_TEST_GPU") != nil }

  /// The test before this one, and what it may leave. Only the `OnStandIn` suites write it, one test at a time.
  private static let before = Mutex<(test: String, leaves: Bool)>(("", true))

  /// Nil where it was not built. What an earlier test left is an issue, and then forgotten: things are given back by threads that end after their
  /// test has looked, and what never comes back, or is misused on the way, would otherwise be seen by nobody.
  ///
  /// - Parameter leaves: this test misuses the driver on purpose, or leaves things behind.
  init?(leaves: Bool = false, _ test: String = #function) {
    if Self.isGPUTested {
      (path, library) = ("", nil)
      return
    }
    guard let folder = Self.buildFolder else { return nil }
    path = folder + "/libheadroom-cuda-standin.so"
    guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else { return nil }
    library = handle
    let (earlier, mayLeave) = Self.before.withLock { before in
      defer { before = (test, leaves) }
      return before
    }
    let end = MonotonicClock.now + .milliseconds(mayLeave ? 20 : 10_000)
    while liveCount > 0, MonotonicClock.now < end { MonotonicClock.yield() }
    if !mayLeave {
      if liveCount > 0 { Issue.record("\(earlier) left behind: \(live)") }
      if !complaints.isEmpty { Issue.record("after \(earlier) had looked: \(complaints)") }
    }
    call("headroom_standin_reset")
  }

  private static var buildFolder: String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer -> String? in
      guard let base = buffer.baseAddress else { return nil }
      let count = readlink("/proc/self/exe", base, buffer.count)
      guard count > 0, count < buffer.count else { return nil }
      var parts = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: "/")
      parts.removeLast()
      return "/" + parts.joined(separator: "/")
    }
  }

  private func symbol<Function>(_ name: String, _ type: Function.Type) -> Function? {
    library.flatMap { dlsym($0, name) }.map { unsafeBitCast($0, to: type) }
  }

  func call(_ name: String) { symbol(name, (@convention(c) () -> Void).self)?() }

  var search: CUDASearch { Self.isGPUTested ? .standard : CUDASearch(explicitPath: path, folders: [], asksLinker: false) }

  /// What was misused so far.
  var complaints: [String] {
    if library == nil { return [] }
    guard let count = symbol("headroom_standin_complaint_count", (@convention(c) () -> Int).self),
      let text = symbol("headroom_standin_complaint", (@convention(c) (Int) -> UnsafePointer<CChar>?).self)
    else { return ["the stand-in lacks its own functions"] }
    return (0..<count()).map { text($0).map { String(cString: $0) } ?? "" }
  }

  /// What is alive, in words.
  var live: String {
    symbol("headroom_standin_live", (@convention(c) () -> UnsafePointer<CChar>?).self)?().map { String(cString: $0) } ?? ""
  }
  var liveCount: Int { symbol("headroom_standin_live_count", (@convention(c) () -> Int).self)?() ?? -1 }

  func fail(_ name: String, after: Int = 0, code: Int32, times: Int = 1) {
    symbol("headroom_standin_fail", (@convention(c) (UnsafePointer<CChar>, Int, Int32, Int) -> Void).self)?(name, after, code, times)
  }

  func setMemory(_ bytes: Int) { symbol("headroom_standin_set_memory", (@convention(c) (Int) -> Void).self)?(bytes) }

  func calls(_ name: String) -> Int {
    symbol("headroom_standin_calls", (@convention(c) (UnsafePointer<CChar>) -> Int).self)?(name) ?? 0
  }

  func device(tf32: Bool = false, graphs: Bool = true) throws(DeviceError) -> CUDADevice {
    try CUDADevice(CUDADeviceOptions(search: search, allowsTF32: tf32, usesGraphs: graphs, keepsCache: false))
  }
}

/// Suites that use the stand-in are its children, so that none runs beside another.
@Suite(.serialized) enum OnStandIn {}
