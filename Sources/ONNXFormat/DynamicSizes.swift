import CheckedNumbers
import ProcessContract

extension ONNXReader.Options {
  /// "NAME=SIZE" or "INPUT:AXIS=SIZE" each, as `--dimension` takes them.
  ///
  /// - Throws: the first that is neither.
  package static func dynamicSizes(_ texts: [String]) throws(UsageError) -> [String: Int] {
    var sizes: [String: Int] = [:]
    for text in texts {
      // A name may hold "=", a size cannot.
      guard let place = text.lastIndex(of: "="), place > text.startIndex, let size = Int(text[text.index(after: place)...]), size > 0,
        size <= 1 << 40
      else {
        throw UsageError("--dimension \(text): write NAME=SIZE, as in sequence=128, or INPUT:AXIS=SIZE, as in ids:1=128")
      }
      sizes[String(text[..<place])] = size
    }
    return sizes
  }
}
