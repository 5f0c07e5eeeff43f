import Execution
import FileAccess
import Glibc
import ModelConfiguration
import Synchronization
import Testing
import TimeBase

/// Engines in processes of their own, with the program that was built beside the tests.
enum IsolationFixture {
  /// Where the build put the tests and the program.
  static let buildFolder: String? = {
    guard let maps = fopen("/proc/self/maps", "r") else { return nil }
    defer { fclose(maps) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, maps) > 0, let line {
      let text = String(cString: line)
      if let slash = text.firstIndex(of: "/"), text.contains("PackageTests.xctest") {
        return text[slash...].lastIndex(of: "/").map { String(text[slash..<$0]) }
      }
    }
    return nil
  }()

  static let isHere = buildFolder.map { access($0 + "/headroom", X_OK) == 0 } ?? false

  static func device(
    _ library: ONNXRuntimeLibrary? = nil, timeLimit: TimeSpan = .milliseconds(60_000), limits: EngineLifecycle.Limits = .init(),
    log: Lines = Lines()
  ) throws -> IsolatedDevice {
    let build = try #require(buildFolder, "the tests' own place could not be found")
    // As the program at its start: a message to a process that ended is a failed write.
    signal(SIGPIPE, SIG_IGN)
    var isolation = EngineIsolation(
      executable: build + "/headroom", program: "test", timeLimit: timeLimit, limits: limits, log: { log.add($1) })
    if let faults = sanitizedFaults {
      isolation.arguments = faults + [isolation.executable] + isolation.arguments
      isolation.executable = "/usr/bin/env"
    }
    return IsolatedDevice(library, threads: 1, isolation: isolation)
  }

  /// A sanitizer makes reports of the signals that end a process. Here they are what is tested: in the engines' processes, and there alone, they
  /// are left to end them.
  private static let sanitizedFaults: [String]? = {
    guard getenv("HEADROOM_SANITIZED") != nil else { return nil }
    let signals = ["segv", "sigbus", "sigfpe", "sigill", "abort"].map { "handle_\($0)=0" }.joined(separator: ":")
    return ["ASAN_OPTIONS", "TSAN_OPTIONS"].map { name in
      "\(name)=\((getenv(name).map { String(cString: $0) + ":" } ?? "") + signals)"
    }
  }()

  static let signature = ModelSignature(
    inputs: [.init(name: "x", dataType: .float32, dims: [4])], outputs: [.init(name: "y", dataType: .float32, dims: [4])])

  static func identity(_ fault: IdentityModel.Fault? = nil, signature: ModelSignature = signature, delay: TimeSpan = .zero) throws
    -> IdentityModel
  {
    try IdentityModel(signature: signature, hasRowDimension: true, delay: delay, fault: fault)
  }

  /// One batch of rows of four numbers: what came back, or why not.
  static func run(_ instance: any ModelInstance, _ values: [Float]) -> Result<[Float], DeviceError> {
    Result { () throws(DeviceError) in
      let slot = try instance.prepare([[values.count / 4, 4]])
      slot.inputs[0].memory.copyBytes(from: values.withUnsafeBytes { Array($0) })
      _ = try finish(instance, slot)
      return slot.outputs[0].memory.withMemoryRebound(to: Float.self) { Array($0) }
    }
  }

  @discardableResult
  static func finish(_ instance: any ModelInstance, _ slot: BatchSlot) throws(DeviceError) -> BatchTimes {
    let box = Mutex<Result<BatchTimes, DeviceError>?>(nil)
    // It runs on this thread.
    instance.run(slot, events: nil) { result in box.withLock { $0 = result } }
    guard let result = box.withLock({ $0 }) else { throw DeviceError(.batchFailed, "completion was not called") }
    return try result.get()
  }

  /// The engines' processes among this process's children, and ended ones that nobody has waited for: tests of other suites start programs of
  /// their own meanwhile.
  static func engines() -> Set<Int32> {
    var found: Set<Int32> = []
    for name in (try? Files.entries(of: "/proc/self/task")) ?? [] {
      guard let file = fopen("/proc/self/task/\(name)/children", "r") else { continue }
      defer { fclose(file) }
      var child: Int32 = 0
      while withUnsafeMutablePointer(to: &child, { pointer in withVaList([pointer]) { vfscanf(file, "%d", $0) } }) == 1 {
        if isEngine(child) { found.insert(child) }
      }
    }
    return found
  }

  private static func isEngine(_ child: Int32) -> Bool {
    guard let arguments = try? Files.read("/proc/\(child)/cmdline", limit: 1 << 16) else { return false }
    // A process that has ended has no arguments any more.
    let text = String(decoding: arguments, as: UTF8.self)
    return text.isEmpty || text.hasPrefix("headroom[") || text.contains("engine-host")
  }

  /// What an engine's process is reached by, as far as this process holds it open: shared regions and sockets without a name.
  static func connections() -> Int {
    let unix = (try? Files.read("/proc/net/unix", limit: 1 << 24)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    // The seventh column is the socket's inode, the eighth its path.
    let nameless = Set(
      unix.split(separator: "\n").compactMap { line -> String? in
        let columns = line.split(separator: " ")
        return columns.count == 7 ? "socket:[\(columns[6])]" : nil
      })
    return ((try? Files.entries(of: "/proc/self/fd")) ?? []).count { name in
      var target = [CChar](repeating: 0, count: 256)
      guard readlink("/proc/self/fd/\(name)", &target, target.count - 1) > 0 else { return false }
      let path = String(decoding: target.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      return path.hasPrefix("/memfd:") || nameless.contains(path)
    }
  }
}

/// Lines that somebody was told.
final class Lines: Sendable {
  private let lines = Mutex<[String]>([])
  var all: [String] { lines.withLock { $0 } }
  func add(_ line: String) { lines.withLock { $0.append(line) } }
}
