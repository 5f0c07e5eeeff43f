import FileAccess
import Glibc

/// The folder in which recorded processes leave their files, from its making to its removal.
public final class CaptureFolder: Sendable {
  /// Its path, absolute.
  public let path: String

  /// Makes one where temporary files are.
  public init() throws(CaptureError) {
    // The libraries in recorded programs build their paths in fixed room.
    let parent = getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.hasPrefix("/") && $0.utf8.count < 80 ? $0 : nil } ?? "/tmp"
    var template = Array((parent + "/headroom-capture-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else {
      throw CaptureError(
        .failed, "no folder can be made in \(parent): \(String(cString: strerror(errno))); set TMPDIR to one that can be written")
    }
    path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? parent }
    // Programs started by root may go on as somebody else: they must find the folder and make files in it, and may not list it.
    if geteuid() == 0 { chmod(path, 0o1733) }
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

  /// A number of a file that programs have mapped.
  func overwrite(_ name: String, _ word: some FixedWidthInteger, at offset: Int) {
    let descriptor = open(path + "/" + name, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = withUnsafeBytes(of: word.littleEndian) { pwrite(descriptor, $0.baseAddress, $0.count, offset) }
    close(descriptor)
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
