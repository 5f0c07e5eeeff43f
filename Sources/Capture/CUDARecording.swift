import CheckedNumbers
import FileAccess
import Glibc
public import TimeBase
public import TraceFormats

/// A recording of what processes do with CUDA: the library that the driver loads into each of them, and the files it leaves in a capture's
/// folder.
public struct CUDARecording: Sendable {
  /// Which calls are recorded beside device work.
  public enum Calls: String, Sendable, Hashable, CaseIterable {
    /// Those that launch, copy, wait, allocate or load.
    case listed
    /// Every one.
    case all
    /// None, and no synchronizations and events: kernels, copies and fills alone.
    case none
  }

  /// What is written down of a CUDA graph that runs.
  public enum Graphs: String, Sendable, Hashable, CaseIterable {
    /// Each node.
    case nodes
    /// One interval per launch.
    case whole
  }

  /// What is recorded.
  public struct Options: Sendable, Hashable {
    /// See `Calls`.
    public var calls = Calls.listed
    /// A graph's launch is one interval; otherwise each of its nodes is recorded.
    public var recordsWholeGraphs = false
    /// Kernel times from the hardware event system of Blackwell GPUs.
    public var usesHardwareTimes = false
    /// What all processes together may write.
    public var limitBytes: Int64 = 256 << 20
    /// Files to try for libcupti, in order: paths, or names that the dynamic linker knows.
    public var libraries: [String] = []
    /// Recording is on from the start; otherwise `arm` begins it.
    public var isArmed = true
    /// A recording that was stopped may be followed by others: `prepareNext`, then `arm`.
    public var isRepeated = false

    /// The defaults.
    public init() {}
  }

  /// What stands beside the executable.
  public static let libraryName = "libheadroom-cuda-injection.so"

  private let folder: CaptureFolder
  private let library: String
  private let limitBytes: Int64
  private static let controlName = "cuda-control"

  /// Prepares a recording in `folder`.
  ///
  /// - Parameter library: path of the library; nil for the one beside the executable.
  public init(in folder: CaptureFolder, _ options: Options, library given: String? = nil) throws(CaptureError) {
    self.folder = folder
    limitBytes = options.limitBytes
    library = if let given { given } else { try CaptureFolder.find(Self.libraryName, variable: "HEADROOM_CUDA_INJECTION") }
    var control = [UInt8]("HRCUCTL1".utf8)
    withUnsafeBytes(of: options.limitBytes.littleEndian) { control += $0 }
    let flags: UInt32 =
      (options.calls == .none ? 1 : 0) | (options.calls == .all ? 2 : 0) | (options.recordsWholeGraphs ? 4 : 0)
      | (options.usesHardwareTimes ? 8 : 0) | (options.isRepeated ? 16 : 0)
    for value in [options.isArmed ? 1 : 0, flags, Self.flushMilliseconds, 0] { withUnsafeBytes(of: value.littleEndian) { control += $0 } }
    // One page; what does not fit is further down in the order.
    for path in options.libraries where control.count + path.utf8.count + 2 <= 4096 { control += Array(path.utf8) + [0] }
    try folder.write(control, to: Self.controlName)
  }

  /// What a killed process loses at most, beside what the GPU had not finished.
  private static let flushMilliseconds: UInt32 = 150

  /// The program that has the driver's one place for such a library already, as the environment says; nil where it is free.
  public static func holder(in environment: [String]) -> String? {
    environment.last { $0.hasPrefix("CUDA_INJECTION64_PATH=") }.map { String($0.dropFirst(22)) }.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The environment variables a program needs to be recorded, given those it would have. Its children inherit them. Where its NVTX ranges go
  /// elsewhere already, they stay there.
  public func environment(adding given: [String]) -> [String] {
    let own = ["CUDA_INJECTION64_PATH=" + library, "NVTX_INJECTION64_PATH=" + library, "HEADROOM_CUDA_CAPTURE=" + folder.path]
    let rangesAreTaken = given.contains { $0.hasPrefix("NVTX_INJECTION64_PATH=") && $0.utf8.count > 22 }
    let added = own.filter { !rangesAreTaken || !$0.hasPrefix("NVTX_") }
    let names = added.map { $0.prefix { $0 != "=" } + "=" }
    return given.filter { entry in !names.contains { entry.hasPrefix($0) } } + added
  }

  /// Begins a recording that was not on from the start.
  public func arm() { folder.overwrite(Self.controlName, UInt32(1), at: 16) }

  /// Forgets what was recorded, so that `arm` begins another recording; see `Options.isRepeated`. What was left must have been read.
  public func prepareNext() {
    for name in files { unlink(folder.path + "/" + name) }
    folder.overwrite(Self.controlName, UInt64(bitPattern: limitBytes), at: 8)
    folder.overwrite(Self.controlName, UInt32(0), at: 16)
  }

  /// Ends the recording, and waits until those that still run have written what they hold, but no longer than `limit`. `pause` lets them run for a
  /// moment.
  public func stop(clock: () -> Instant, pause: () -> Void, limit: TimeSpan = .milliseconds(3000)) {
    folder.overwrite(Self.controlName, UInt32(2), at: 16)
    let end = clock() + limit
    while clock() < end, hasUnwritten { pause() }
  }

  private var hasUnwritten: Bool {
    files.contains { name in
      guard let head = try? Self.head(folder.path + "/" + name) else { return false }
      return head.status != .finished && head.status != .failed && Self.isRunning(head.process)
    }
  }

  /// Whether a process is there and not a zombie (proc(5): the state stands behind the program's name, which may hold anything).
  private static func isRunning(_ process: Int64) -> Bool {
    guard let text = try? Files.readText("/proc/\(process)/stat"), let end = text.lastIndex(of: ")") else { return false }
    let state = text[text.index(after: end)...].first { $0 != " " }
    return state != "Z" && state != "X"
  }

  private static func head(_ path: String) throws(FileError) -> CUDACaptureFile? {
    try MappedFile(path: path).withBytes { try? CUDACaptureFile($0) }
  }

  private var files: [String] { folder.names.sorted().filter { $0.hasSuffix(".cuda") && folder.isRegular($0) } }

  /// Processes that have a file here.
  public var processes: Set<Int64> { Set(files.compactMap { Int64($0.prefix { $0 != "." }) }) }

  /// Adds what the processes left to a capture.
  public func read(into capture: inout CUDACapture) {
    for name in files {
      do throws(FileError) {
        let mapped = try MappedFile(path: folder.path + "/" + name)
        mapped.withBytes { bytes in
          do throws(CUDACaptureFileError) { try capture.add(bytes, demangle: CXXNames.demangle) } catch {
            capture.add(damage: "process \(name.prefix { $0 != "." }): \(error)")
          }
        }
      } catch {
        capture.add(damage: "\(error)")
      }
    }
    capture.finish()
  }
}
