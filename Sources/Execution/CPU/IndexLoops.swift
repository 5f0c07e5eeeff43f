import CheckedNumbers
import ModelGraph

/// Elements that integers of another tensor say the places of: one loop for every operator of `OperatorDefinition.indexOperators`.
struct IndexLoops {
  let lookup: ElementMove.Lookup
  let source: TensorView
  let indices: TensorView
  let target: TensorView

  /// Moves them. Addresses are those of the views' first elements.
  func run(_ from: UnsafeRawPointer, _ integers: UnsafeRawPointer, _ to: UnsafeMutableRawPointer) throws(DeviceError) {
    switch target.type.memorySize {
    case 8: try run(UInt64.self, from, integers, to)
    case 4: try run(UInt32.self, from, integers, to)
    case 2: try run(UInt16.self, from, integers, to)
    default: try run(UInt8.self, from, integers, to)
    }
  }

  private func run<Element: FixedWidthInteger>(
    _: Element.Type, _ from: UnsafeRawPointer, _ integers: UnsafeRawPointer, _ to: UnsafeMutableRawPointer
  ) throws(DeviceError) {
    let (x, y) = (from.assumingMemoryBound(to: Element.self), to.assumingMemoryBound(to: Element.self))
    // The last axis in an inner loop: whole slices share their integers.
    let (width, rows) = (target.shape.last ?? 1, target.shape.dropLast().reduce(1, *))
    let (readStep, indexStep, writeStep) = (source.strides.last ?? 0, indices.strides.last ?? 0, target.strides.last ?? 0)
    let (reads, places, writes) = (
      StridedReader(source, droppingLast: 1), StridedReader(indices, droppingLast: 1), StridedReader(target, droppingLast: 1)
    )
    for row in 0..<rows {
      let (read, place, write) = (reads[row], places[row], writes[row])
      var moved = indexStep == 0 ? try offset(integers, place) : 0
      for column in 0..<width {
        if indexStep != 0 { moved = try offset(integers, place + column * indexStep) }
        // Out of range where that moves nothing.
        guard let moved else { continue }
        let (source, target) = lookup.isOfTarget ? (0, moved) : (moved, 0)
        y[write + column * writeStep + target] = x[read + column * readStep + source]
      }
    }
  }

  /// What the integers from a place on lead to; nil: nowhere.
  @inline(__always) private func offset(_ integers: UnsafeRawPointer, _ place: Int) throws(DeviceError) -> Int? {
    var offset = 0
    for (number, axis) in lookup.axes.enumerated() {
      let element = place + number * lookup.step
      let given =
        indices.type == .int64
        ? Int(integers.load(fromByteOffset: element * 8, as: Int64.self)) : Int(integers.load(fromByteOffset: element * 4, as: Int32.self))
      let index = given < 0 ? given + axis.size : given
      guard index >= 0, index < axis.size else {
        if lookup.isLenient { return nil }
        throw DeviceError(.badInput, "index \(given) is out of range for a dimension of size \(axis.size)")
      }
      offset += index * axis.stride
    }
    return offset
  }
}
