import CheckedNumbers

/// Shapes of an operator's inputs, read from the text that `OperatorEvent.inputShapes` keeps.
public enum OperatorShapes {
  /// `[[50, 1024], [], [[2, 3], [4]]]` as one shape per input: scalars are empty, and of a list of tensors the members follow each other
  /// in place of the list. nil where the text is not of that form, or claims a dimension below 0.
  public static func parse(_ text: String) -> [[Int64]]? {
    var shapes: [[Int64]] = []
    // The shape being read, and whether a nested one was seen in the same brackets.
    var open: [(dimensions: [Int64], isList: Bool)] = []
    var number: Int64?
    var isDone = false
    for byte in text.utf8 {
      if isDone { if byte == 0x20 { continue } else { return nil } }
      if case let digit = byte &- 0x30, digit < 10 {
        guard !open.isEmpty else { return nil }
        let (product, tooBig) = (number ?? 0).multipliedReportingOverflow(by: 10)
        let (sum, carried) = product.addingReportingOverflow(Int64(digit))
        if tooBig || carried { return nil }
        number = sum
        continue
      }
      if let value = number, let last = open.indices.last {
        open[last].dimensions.append(value)
        number = nil
      }
      switch byte {
      case UInt8(ascii: "["):
        // Three levels: the list of inputs, a list of tensors, a shape.
        guard open.count < 3 else { return nil }
        if let last = open.indices.last { open[last].isList = true }
        open.append(([], false))
      case UInt8(ascii: "]"):
        guard let (dimensions, isList) = open.popLast() else { return nil }
        if open.isEmpty { isDone = true } else if !isList { shapes.append(dimensions) }
      case UInt8(ascii: ","), 0x20, 0x0A, 0x0D, 0x09: break
      default: return nil
      }
    }
    return isDone ? shapes : nil
  }
}
