/// What requests of one batch have in common: which inputs they bring, and each input's sizes but for the rows. Equal where those are equal;
/// two shapes that merely have the same hash value stay two.
struct BatchShape: Hashable, Sendable {
  private let inputs: [Int]
  private let shapes: [[Int]]
  private let countsRows: Bool

  init(_ request: CheckedRequest, countsRows: Bool) {
    (inputs, shapes, self.countsRows) = (request.inputs, request.shapes, countsRows)
  }

  static func == (left: BatchShape, right: BatchShape) -> Bool {
    guard left.countsRows == right.countsRows, left.shapes.count == right.shapes.count else { return false }
    for index in left.shapes.indices {
      if (left.inputs[index] < 0) != (right.inputs[index] < 0) { return false }
      let (one, other) = (left.shapes[index], right.shapes[index])
      if one.count != other.count { return false }
      for axis in one.indices where one[axis] != other[axis] && !(left.countsRows && axis == 0) { return false }
    }
    return true
  }

  func hash(into hasher: inout Hasher) {
    for (given, shape) in zip(inputs, shapes) {
      hasher.combine(given < 0)
      for size in countsRows ? shape.dropFirst() : shape[...] { hasher.combine(size) }
    }
  }
}
