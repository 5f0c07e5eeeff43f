/// An operator that takes elements by integers of another input, or puts them where those say: which place belongs to which, by definition, and the
/// same as copies, which is how devices do it.
public struct Indexing: Sendable {
  /// The element of the integers at a position.
  public typealias Index = (_ position: [Int]) -> Int

  /// The input whose elements are taken, or that the others are put into a copy of.
  public let data: Int
  /// The input of integers.
  public let indices: Int
  /// The input whose elements are put; nil where the data's are taken.
  public let updates: Int?
  /// Where in the data the element at a position of the result comes from; with updates: where the update at a position goes. Numbers below zero
  /// count from the end, as ONNX has it.
  public let place: @Sendable (_ position: [Int], _ sizes: [[Int]], _ attributes: OperatorAttributes, _ index: Index) -> [Int]
  /// What becomes of an element and the update that comes to it; nil: the update takes its place, which is all that devices do.
  public let combine: @Sendable (OperatorAttributes) -> (@Sendable (Double, Double) -> Double)?
  /// The same as copies, in order, of inputs of these sizes. Not asked where the result has no elements.
  public let moves: @Sendable (_ sizes: [[Int]], _ attributes: OperatorAttributes) -> [ElementMove]

  init(
    data: Int = 0, indices: Int = 1, updates: Int? = nil,
    combine: @escaping @Sendable (OperatorAttributes) -> (@Sendable (Double, Double) -> Double)? = { _ in nil },
    place: @escaping @Sendable ([Int], [[Int]], OperatorAttributes, Index) -> [Int],
    moves: @escaping @Sendable ([[Int]], OperatorAttributes) -> [ElementMove]
  ) {
    (self.data, self.indices, self.updates, self.combine, self.place, self.moves) = (data, indices, updates, combine, place, moves)
  }
}
