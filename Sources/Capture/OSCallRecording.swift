import FileAccess
import Glibc
public import TraceFormats

/// A recording of programs' operating-system calls: the library that is preloaded into them, and the files it leaves in a capture's folder.
public struct OSCallRecording: Sendable {
  /// Where the files lie.
  public let folder: CaptureFolder
  /// Shorter calls are counted alone.
  public let thresholdNanoseconds: Int64
  private let interposer: String

  /// What stands beside the executable.
  public static let interposerName = "libheadroom-os-interposer.so"
  private static let controlName = "control"

  /// Prepares a recording in `folder`.
  ///
  /// - Parameters:
  ///   - thresholdNanoseconds: shorter calls are counted alone.
  ///   - limitBytes: what all processes together may write.
  ///   - interposer: path of the library; nil for the one beside the executable.
  ///   - isArmed: recording is on from the start; otherwise `arm` begins it.
  public init(
    in folder: CaptureFolder, thresholdNanoseconds: Int64, limitBytes: Int64, interposer given: String? = nil, isArmed: Bool = true
  ) throws(CaptureError) {
    self.folder = folder
    self.thresholdNanoseconds = thresholdNanoseconds
    let library = if let given { given } else { try CaptureFolder.find(Self.interposerName, variable: "HEADROOM_OS_INTERPOSER") }
    // LD_PRELOAD takes spaces and colons for separators.
    if library.contains(where: { $0 == " " || $0 == ":" }) {
      interposer = folder.path + "/" + Self.interposerName
      symlink(library, interposer)
    } else {
      interposer = library
    }
    var control = [UInt8]("HROSCTL1".utf8)
    for value in [thresholdNanoseconds, limitBytes, isArmed ? 1 : 0] { withUnsafeBytes(of: value.littleEndian) { control += $0 } }
    try folder.write(control, to: Self.controlName)
  }

  /// The environment variables a program needs to be recorded, given those it would have.
  public func environment(adding given: [String]) -> [String] {
    let loaded = given.last { $0.hasPrefix("LD_PRELOAD=") }.map { String($0.dropFirst(11)) } ?? ""
    return given.filter { !$0.hasPrefix("LD_PRELOAD=") && !$0.hasPrefix("HEADROOM_OS_CALLS=") }
      + ["LD_PRELOAD=" + interposer + (loaded.isEmpty ? "" : ":" + loaded), "HEADROOM_OS_CALLS=" + folder.path]
  }

  /// Begins a recording that was not on from the start.
  public func arm() { set(1) }

  /// Ends the recording: programs that still run do so unrecorded.
  public func stop() { set(0) }

  /// The word that every recorded process looks at; see COSInterposer.h.
  private func set(_ word: UInt32) { folder.overwrite(Self.controlName, word, at: 24) }

  /// What could be read of the processes' files, and what could not.
  public func read() -> (files: [OSCallFile], damage: [String]) {
    var (files, damage): ([OSCallFile], [String]) = ([], [])
    for name in folder.names.sorted() where name.hasSuffix(".oscalls") && folder.isRegular(name) {
      do throws(FileError) {
        let mapped = try MappedFile(path: folder.path + "/" + name)
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
}
