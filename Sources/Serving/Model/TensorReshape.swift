/// The `reshape` of a configuration: the shape that requests and answers have, and the one that the model has, of the same elements.
enum TensorReshape {
  /// `sizes`, which fit the pattern `from`, in the pattern `to`: open dimensions (-1) take over the open ones' sizes in order
  /// (triton-inference-server/core `src/infer_request.cc`, Normalize; `src/infer_response.cc`). nil where the elements would not be as many.
  static func apply(_ sizes: ArraySlice<Int>, from: [Int], to: [Int]) -> [Int]? {
    guard sizes.count == from.count else { return nil }
    var result = to
    var open = from.indices.makeIterator()
    for index in result.indices where result[index] < 0 {
      var next = open.next()
      while let axis = next, from[axis] >= 0 { next = open.next() }
      guard let axis = next else { return nil }
      result[index] = sizes[sizes.startIndex + axis]
    }
    guard let given = elements(sizes), let taken = elements(result[...]), given == taken else { return nil }
    return result
  }

  /// nil for what is negative or too large to count.
  static func elements(_ sizes: ArraySlice<Int>) -> Int? {
    var product = 1
    for size in sizes {
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      guard size >= 0, !overflow else { return nil }
      product = next
    }
    return product
  }
}
