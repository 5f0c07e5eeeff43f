import FileAccess
import Glibc
public import TraceFormats

/// The folder in which recorded processes leave their files, from its making to its removal.
public final class CaptureFolder: Sendable {
  /// Its path, absolute.
  public let path: String
  /// The library to be loaded into programs; nil where their OS calls are not recorded.
  public let interposer: String?
  /// Shorter calls are counted alone.
  public let thresholdNanoseconds: Int64

  /// What stands beside the executable.
  public static let interposerName = "libheadroom-os-interposer.so"

  /// Makes a folder that programs will find with recording on.
  ///
  /// - Parameters:
  ///   - thresholdNanoseconds: shorter calls are counted alone.
  ///   - limitBytes: what all processes together may write.
  ///   - interposer: path of the library; nil for the one beside the executable.
  ///   - isArmed: recording is on from the start; otherwise `arm` begins it.
  public init(thresholdNanoseconds: Int64, limitBytes: Int64, interposer given: String? = nil, isArmed: Bool = true) throws(CaptureError) {
    self.thresholdNanoseconds = thresholdNanoseconds
    let library = if let given { given } else { try Self.find(Self.interposerName, variable: "HEADROOM_OS_INTERPOSER") }
    path = try Self.make()
    // LD_PRELOAD takes spaces and colons for separators.
    if library.contains(where: { $0 == " " || $0 == ":" }) {
      interposer = path + "/" + Self.interposerName
      symlink(library, path + "/" + Self.interposerName)
    } else {
      interposer = library
    }
    var control = [UInt8]("HROSCTL1".utf8)
    for value in [thresholdNanoseconds, limitBytes, isArmed ? 1 : 0] { withUnsafeBytes(of: value.littleEndian) { control += $0 } }
    try write(control, to: Self.controlName)
  }

  /// Makes a folder for recordings that are not of OS calls.
  public init() throws(CaptureError) {
    (thresholdNanoseconds, interposer) = (0, nil)
    path = try Self.make()
  }

  private static let controlName = "control"

  private static func make() throws(CaptureError) -> String {
    // The libraries in recorded programs build their paths in fixed room.
    let parent = getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.hasPrefix("/") && $0.utf8.count < 80 ? $0 : nil } ?? "/tmp"
    var template = Array((parent + "/headroom-os-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else {
      throw CaptureError(
        .failed, "no folder can be made in \(parent): \(String(cString: strerror(errno))); set TMPDIR to one that can be written")
    }
    let path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? parent }
    // Programs started by root may go on as somebody else: they must find the folder and make files in it, and may not list it.
    if geteuid() == 0 { chmod(path, 0o1733) }
    return path
  }

  /// A file of one page that recorded programs map.
  func write(_ control: [UInt8], to name: String) throws(CaptureError) {
    do throws(FileError) { try Files.write(path + "/" + name, control + [UInt8](repeating: 0, count: max(0, 4096 - control.count))) } catch
    {
      remove()
      throw CaptureError(.failed, "\(error)")
    }
    if geteuid() == 0 { chmod(path + "/" + name, 0o666) }
  }

  /// The environment variables a program needs to be recorded, given those it would have.
  public func environment(adding given: [String]) -> [String] {
    guard let interposer else { return given }
    let loaded = given.last { $0.hasPrefix("LD_PRELOAD=") }.map { String($0.dropFirst(11)) } ?? ""
    return given.filter { !$0.hasPrefix("LD_PRELOAD=") && !$0.hasPrefix("HEADROOM_OS_CALLS=") }
      + ["LD_PRELOAD=" + interposer + (loaded.isEmpty ? "" : ":" + loaded), "HEADROOM_OS_CALLS=" + path]
  }

  /// Begins a recording that was not on from the start.
  public func arm() { set(1) }

  /// Ends the recording: programs that still run do so unrecorded.
  public func stop() { set(0) }

  /// The word that every recorded process looks at; see COSInterposer.h.
  private func set(_ word: UInt32) {
    if interposer != nil { overwrite(Self.controlName, word, at: 24) }
  }

  /// A number of a file that programs have mapped.
  func overwrite(_ name: String, _ word: UInt32, at offset: Int) {
    let descriptor = open(path + "/" + name, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    var word = word
    pwrite(descriptor, &word, 4, offset)
    close(descriptor)
  }

  /// What could be read of the processes' files, and what could not.
  public func read() -> (files: [OSCallFile], damage: [String]) {
    var (files, damage): ([OSCallFile], [String]) = ([], [])
    for name in names.sorted() where name.hasSuffix(".oscalls") && isRegular(name) {
      do throws(FileError) {
        let mapped = try MappedFile(path: path + "/" + name)
        mapped.withBytes { bytes in
          do throws(OSCallFileError) { files.append(try OSCallFile(bytes)) } catch {
            damage.append("process \(name.prefix { $0 != "." }): \(error)")
          }
        }
      } catch {
        damage.append("\(error)")
      }
    }
    return (files, damage)
  }

  /// Deletes the folder with its files. Processes that still hold them do no harm.
  public func remove() {
    for name in names { unlink(path + "/" + name) }
    rmdir(path)
  }

  /// Others may have put something there that opening would wait for.
  func isRegular(_ name: String) -> Bool {
    var status = stat()
    return lstat(path + "/" + name, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  var names: [String] { (try? Files.entries(of: path)) ?? [] }

  /// A library that stands beside the executable, unless the environment names another.
  static func find(_ name: String, variable: String) throws(CaptureError) -> String {
    if let given = getenv(variable) {
      let path = String(cString: given)
      if access(path, R_OK) == 0, path.hasPrefix("/") { return path }
      throw CaptureError(.failed, "\(variable) is \(path): not the absolute path of a file that can be read")
    }
    let folder = Files.executableFolder ?? "."
    let path = folder + "/" + name
    if access(path, R_OK) == 0 { return path }
    throw CaptureError(
      .failed, "\(name) is not beside the program (\(folder)); `make build` makes it, \(variable) may name another place")
  }
}
