public import FileAccess

/// Which models an engine ran well, kept in a folder: one small file each, named by the model's digest and the engine's version.
public struct EngineCache: Sendable {
  /// Where.
  public let folder: String
  /// "onnxruntime-1.23.2".
  public let engine: String

  /// A cache; the folder is made when something is remembered.
  public init(folder: String, engine: String) {
    self.folder = folder
    // Part of a file's name.
    self.engine = String(engine.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") ? $0 : "_" })
  }

  /// Batches in a row after which a model has proven itself.
  public static let proof = 100

  private func path(_ digest: String) -> String { "\(folder)/\(digest)-\(engine)" }

  private func record(_ digest: String) -> String {
    "headroom engine record 1\nmodel \(digest)\nengine \(engine)\ngood batches \(Self.proof)\n"
  }

  /// Whether this model has proven itself. Throws where a record is there that cannot be read, or is not what was written.
  public func isProven(_ digest: String) throws(FileError) -> Bool {
    let path = path(digest)
    guard Files.kind(of: path) != nil else { return false }
    guard try Files.readRegular(path, limit: 4096) == Array(record(digest).utf8) else {
      throw FileError(path: path, action: "believe", reason: "it is not a record as it was written; remove it")
    }
    return true
  }

  /// Remembers that it has, atomically: a reader finds the whole record or none.
  public func remember(_ digest: String) throws(FileError) {
    try Files.createFolder(folder)
    try Files.write(path(digest), record(digest))
  }
}
