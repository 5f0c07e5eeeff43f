import Glibc

/// Names of files that are written for several things at once.
public enum OutputPath {
  /// "run.sqlite" and "seqlen": "run-seqlen.sqlite". What a file name had better not hold becomes a hyphen.
  public static func adding(_ name: String, to path: String) -> String {
    let safe = String(name.map { $0.isLetter || $0.isNumber || "-_.".contains($0) ? $0 : "-" })
    let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
    guard let dot = path[slash...].lastIndex(of: "."), dot != slash else { return path + "-" + safe }
    return path[..<dot] + "-" + safe + path[dot...]
  }

  /// "profile" and "sqlite": "profile-1.sqlite", or the first number that no file has.
  public static func firstFree(_ name: String, _ ending: String) -> String {
    for number in 1..<100_000 where access("\(name)-\(number).\(ending)", F_OK) != 0 { return "\(name)-\(number).\(ending)" }
    return "\(name).\(ending)"
  }
}
