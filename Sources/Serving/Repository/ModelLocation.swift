import CheckedNumbers
import FileAccess
import JSONText
import ModelConfiguration

/// Where a model's files are.
enum ModelLocation: Sendable, Hashable {
  /// A folder of the repository: `config.pbtxt`, and a folder a version.
  case folder(String)
  /// One file (`--model NAME=FILE`).
  case file(String)
  /// A built-in head (`--model NAME=builtin:HEAD`).
  case builtIn(String)
  /// Contents sent with a load call: "VERSION/NAME" -> bytes.
  case sent([String: [UInt8]])

  /// Versions there are, ascending.
  func versions() throws(FileError) -> [Int] {
    switch self {
    case .folder(let path):
      return try Files.entries(of: path).compactMap { name in
        guard let number = Int(name), number > 0, String(number) == name, Files.kind(of: "\(path)/\(name)") == .folder else { return nil }
        return number
      }.sorted()
    case .file, .builtIn: return [1]
    case .sent(let files):
      return Set(files.keys.compactMap { key in key.split(separator: "/").first.flatMap { Int($0) } }.filter { $0 > 0 }).sorted()
    }
  }

  /// A fingerprint that changes with the files: what polling compares.
  func stamp() -> [String: [Int64]] {
    guard case .folder(let path) = self else { return [:] }
    var stamps: [String: [Int64]] = [:]
    func visit(_ file: String, _ depth: Int) {
      if let stamp = Files.stamp(of: file) {
        stamps[file] = Files.kind(of: file) == .folder ? [] : [stamp.modifiedNanoseconds, stamp.byteCount]
      }
      guard depth < 3, Files.kind(of: file) == .folder, let names = try? Files.entries(of: file) else { return }
      for name in names { visit("\(file)/\(name)", depth + 1) }
    }
    visit(path, 0)
    return stamps
  }
}
