import CheckedNumbers
import Glibc
import Synchronization

/// oneDNN, loaded at run time. It is never unloaded.
///
/// It computes on the threads that call it and starts none: the pool that is sized and pinned by option cuts the work, and there is no second
/// one beside it whose threads spin.
///
/// Sendable unchecked: every field but `workspaces` (behind its lock) is set once in `init`; the functions may be called from any thread, and
/// an engine has no state of its own (oneDNN's documentation: "Primitives, engines ... are thread-safe").
public final class OneDNNLibrary: @unchecked Sendable {
  /// The file it was loaded from, as it was asked for.
  public let path: String
  /// "3.2.0".
  public let version: String
  let table: OneDNNTable
  let engine: OpaquePointer
  private let workspaces = Mutex<[OneDNNWorkspace]>([])

  /// Loads the first candidate that is a oneDNN 3 for CPUs.
  public init(_ search: LibrarySearch = .oneDNN) throws(DeviceError) {
    var reasons: [String] = []
    for candidate in search.candidates {
      guard let library = Self.open(candidate) else {
        reasons.append(dlerror().map { String(cString: $0) } ?? candidate)
        continue
      }
      guard let found = OneDNNTable.version(library) else {
        reasons.append("\(candidate) has no dnnl_version: it is not oneDNN")
        continue
      }
      let version = "\(found.major).\(found.minor).\(found.patch)"
      // Version 2 describes operations by structures of its own; a version 4 may change anything.
      guard found.major == 3 else {
        reasons.append("\(candidate) is oneDNN \(version); version 3 is needed")
        continue
      }
      guard found.runtime == OneDNNTable.Code.sequentialRuntime || found.runtime == OneDNNTable.Code.openMPRuntime else {
        reasons.append("\(candidate) (oneDNN \(version)) is built for another threading runtime than OpenMP")
        continue
      }
      let table: OneDNNTable
      do throws(OneDNNTable.MissingFunction) {
        table = try OneDNNTable(library)
      } catch {
        reasons.append("\(candidate) (oneDNN \(version)) lacks \(error.name)")
        continue
      }
      var engine: OpaquePointer?
      guard table.createEngine(&engine, OneDNNTable.Code.cpu, 0) == 0, let engine else {
        reasons.append("\(candidate) (oneDNN \(version)) offers no engine for this processor")
        continue
      }
      // Primitives are kept where they belong to a model and go with it; a second cache would keep them after that.
      _ = table.setCacheCapacity(0)
      self.path = candidate
      self.version = version
      self.table = table
      self.engine = engine
      return
    }
    throw DeviceError(.unsupported, search.absence(reasons))
  }

  deinit { _ = table.destroyEngine(engine) }

  private static let opening = Mutex<Void>(())

  /// The OpenMP runtime reads its settings when it is loaded, and never again. They are ours alone: what other programs inherit stays as it
  /// was.
  private static func open(_ path: String) -> UnsafeMutableRawPointer? {
    opening.withLock { _ in
      // The environment is changed once in a process at most: others may read it at any time.
      if dlopen("libgomp.so.1", RTLD_NOW | RTLD_NOLOAD) != nil { return dlopen(path, RTLD_NOW | RTLD_LOCAL).map(Handle.init) }
      let settings = [("OMP_NUM_THREADS", "1"), ("OMP_WAIT_POLICY", "passive")]
      let before = settings.map { (name: $0.0, value: EngineFolders.variable($0.0)) }
      for (name, value) in settings { setenv(name, value, 1) }
      defer {
        for (name, value) in before {
          if let value { setenv(name, value, 1) } else { unsetenv(name) }
        }
      }
      return dlopen(path, RTLD_NOW | RTLD_LOCAL).map(Handle.init)
    }?.library
  }

  /// Sendable unchecked: a library's handle is a number that any thread may use.
  private struct Handle: @unchecked Sendable {
    let library: UnsafeMutableRawPointer
  }

  /// Keeps oneDNN to the calling thread, also where something else had loaded the OpenMP runtime before. Writes a variable of the thread.
  func stayOnThisThread() { table.setOpenMPThreads?(1) }

  /// Throws what a status says.
  func check(_ status: Int32, _ what: @autoclosure () -> String) throws(DeviceError) {
    if status != 0 { throw DeviceError(.unsupported, "\(what()): oneDNN says \(Self.reason(status))") }
  }

  /// What a function puts where its argument points.
  func made(_ what: @autoclosure () -> String, _ function: (UnsafeMutablePointer<OpaquePointer?>) -> Int32) throws(DeviceError)
    -> OpaquePointer
  {
    var result: OpaquePointer?
    try check(function(&result), what())
    guard let result else { throw DeviceError(.unsupported, "\(what()): oneDNN gave nothing and no reason") }
    return result
  }

  /// A matrix in memory: sizes, and the distance of rows and columns in elements.
  func matrix(_ rows: Int, _ columns: Int, _ type: Int32, rowStride: Int, columnStride: Int = 1) throws(DeviceError) -> OpaquePointer {
    let (sizes, strides) = ([Int64(rows), Int64(columns)], [Int64(rowStride), Int64(columnStride)])
    return try made("a \(rows) x \(columns) matrix") { table.createStrided($0, 2, sizes, type, strides) }
  }

  static func reason(_ status: Int32) -> String {
    switch status {
    case 1: "that memory is short"
    case 2: "that arguments are invalid"
    case 3: "that it is not implemented"
    case 5: "that it failed"
    default: "status \(status)"
    }
  }

  /// Memory and a stream for one piece of work. The one given back last comes first: its memory is the likeliest to be in this core's cache.
  func workspace(_ byteCount: Int) throws(DeviceError) -> OneDNNWorkspace {
    let workspace: OneDNNWorkspace
    if let known = workspaces.withLock({ $0.popLast() }) { workspace = known } else { workspace = try OneDNNWorkspace(self) }
    _ = try workspace.memory.reserve(byteCount)
    return workspace
  }

  func giveBack(_ workspace: OneDNNWorkspace) { workspaces.withLock { $0.append(workspace) } }
}

/// What one thread needs while it computes.
///
/// Sendable unchecked: it belongs to whoever took it from the library's list, and is handed over behind that list's lock.
final class OneDNNWorkspace: @unchecked Sendable {
  let stream: OpaquePointer
  let memory = AlignedMemory()
  private let destroy: OneDNNTable.Release

  init(_ library: OneDNNLibrary) throws(DeviceError) {
    stream = try library.made("a stream") { library.table.createStream($0, library.engine, OneDNNTable.Code.inOrder) }
    destroy = library.table.destroyStream
  }

  deinit { _ = destroy(stream) }
}
