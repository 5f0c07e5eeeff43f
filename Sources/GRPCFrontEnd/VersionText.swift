import CheckedNumbers

/// How the reference server reads a version out of a text: triton-inference-server/server `src/common.cc` GetModelVersionFromString, which is
/// C++'s `std::stol` (leading white space and a sign, then digits; what follows them is not looked at).
enum VersionText {
  /// The version in the form the service knows: empty for "any", digits otherwise.
  static func normalized(_ text: String) throws(GRPCStatus) -> String {
    if text.isEmpty { return text }
    var bytes = Substring(text).utf8
    while let first = bytes.first, first == 0x20 || (0x09...0x0D).contains(first) { bytes.removeFirst() }
    var isNegative = false
    if let first = bytes.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
      isNegative = first == UInt8(ascii: "-")
      bytes.removeFirst()
    }
    let digits = bytes.prefix { (0x30...0x39).contains($0) }
    guard let version = Int64(Substring(digits)) else {
      throw .invalidArgument(
        "failed to get model version from specified version string '\(text)' (details: stol), version should be an integral value > 0")
    }
    guard version > 0, !isNegative else {
      throw .invalidArgument("failed to get model version from specified version string '\(text)', version should be an integral value > 0")
    }
    return "\(version)"
  }
}
