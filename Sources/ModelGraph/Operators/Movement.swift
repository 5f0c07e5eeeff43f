/// An operator whose result holds elements of its input at other places: where each comes from, by definition, and as copies of regions, which
/// is how devices do it.
public struct Movement: Sendable {
  /// What places hold that no element comes to; nil where there are none.
  public let fill: @Sendable (OperatorAttributes) -> Double?
  /// The input's position of the element at a position of the result; nil: the fill.
  public let origin: @Sendable (_ position: [Int], _ sizes: [Int], _ attributes: OperatorAttributes) -> [Int]?
  /// The same as copies, in order, of an input of these sizes. Not asked where input or result have no elements.
  public let moves: @Sendable (_ sizes: [Int], _ attributes: OperatorAttributes) -> [ElementMove]
}

/// A region of elements copied to another of the same sizes. Both are row-major buffers without gaps; offsets and strides in elements.
public struct ElementMove: Sendable, Hashable {
  /// One side of it.
  public struct Region: Sendable, Hashable {
    /// The first element.
    public var offset: Int
    /// Between neighbours along each axis; 0 repeats.
    public var strides: [Int]
  }

  /// Integers of another input, in part, say where a side of it is: what they lead to is added to that side's own place.
  public struct Lookup: Sendable, Hashable {
    /// One integer: where it must lie (counted from the end where it is negative), and what it moves by.
    public struct Axis: Sendable, Hashable {
      /// Smaller than this.
      public var size: Int
      /// Elements from one to the next.
      public var stride: Int
    }

    /// The input of integers.
    public var input: Int
    /// Its first integer for each place of the region.
    public var region: Region
    /// From an axis's integer to the next axis's, in elements.
    public var step = 0
    /// An integer for each.
    public var axes: [Axis]
    /// Whether they say where elements go, rather than where they come from.
    public var isOfTarget = false
    /// Whether what is out of range moves nothing, rather than being an error.
    public var isLenient = false
  }

  /// Sizes of the region, outermost first.
  public var sizes: [Int]
  /// The input that it reads.
  public var input = 0
  /// Whether it reads what moves before it have written, rather than the input.
  public var isFromResult = false
  /// Where it reads.
  public var source: Region
  /// Where it writes, in the result.
  public var target: Region
  /// Nil where places follow from sizes alone.
  public var lookup: Lookup?

  /// The whole of an input, seen with other sizes and strides, to a result without gaps.
  static func rearranged(_ sizes: [Int], _ strides: [Int]) -> ElementMove {
    ElementMove(sizes: sizes, source: Region(offset: 0, strides: strides), target: Region(offset: 0, strides: DenseArray.strides(sizes)))
  }
}
