import Testing

@testable import Serving

@Suite struct BatchShapeTests {
  private static func shape(_ shapes: [[Int]], inputs: [Int]? = nil, countsRows: Bool = true) -> BatchShape {
    BatchShape(
      CheckedRequest(
        rows: shapes.first?.first ?? 0, inputs: inputs ?? Array(shapes.indices), shapes: shapes, outputs: [], logTag: ""),
      countsRows: countsRows)
  }

  @Test func rowsMayDifferAndNothingElse() {
    #expect(Self.shape([[1, 2, 3]]) == Self.shape([[7, 2, 3]]))
    #expect(Self.shape([[1, 2, 3]], countsRows: false) != Self.shape([[7, 2, 3]], countsRows: false))
    for other in [[[1, 3, 2]], [[1, 6]], [[1, 2, 3, 1]], [[1, 2, 0]], [[1]], [[1, 2, 3], [1]]] {
      #expect(Self.shape([[1, 2, 3]]) != Self.shape(other))
    }
  }

  @Test func theSetOfInputsCounts() {
    let both = Self.shape([[1, 2], [1]], inputs: [0, 1])
    #expect(both != Self.shape([[1, 2], [1]], inputs: [0, -1]))
    #expect(both == Self.shape([[4, 2], [4]], inputs: [1, 0]), "the request's own order does not")
  }

  /// Equal under the 64-bit FNV-1a of their sizes.
  @Test func shapesWhoseHashesWereEqualAreTwo() {
    #expect(Self.shape([[1, 1, 1, 229_162]]) != Self.shape([[1, 2, 873, 1]]))
    var table = InternTable<BatchShape>()
    #expect(table.use(Self.shape([[1, 1, 1, 229_162]])) != table.use(Self.shape([[1, 2, 873, 1]])))
  }
}

@Suite struct InternTableTests {
  /// Every value has the same hash value.
  private struct Colliding: Hashable {
    var value: Int
    func hash(into hasher: inout Hasher) { hasher.combine(0) }
  }

  @Test func equalHashesDoNotMakeEqualNumbers() {
    var table = InternTable<Colliding>()
    let numbers = (0..<50).map { table.use(Colliding(value: $0)) }
    #expect(Set(numbers).count == 50)
    for value in (0..<50).reversed() { #expect(table.use(Colliding(value: value)) == numbers[value]) }
  }

  @Test func valuesAreKeptForAsLongAsTheyAreUsed() {
    var table = InternTable<Int>()
    let first = table.use(1)
    #expect(table.use(1) == first)
    table.release(first)
    #expect(table.use(1) == first && table.count == 1)
    table.release(first)
    table.release(first)
    #expect(table.count == 0)
    table.release(first)
    table.release(-1)
    #expect(table.use(2) == first, "numbers are used again")
    #expect(table.use(1) != first)
  }

  /// However many different ones come, no more than are in use at one time.
  @Test func theTableIsAsLargeAsWhatIsInUse() {
    var table = InternTable<Int>()
    var largest = 0
    for value in 0..<10_000 {
      let (one, other) = (table.use(value), table.use(-1 - value))
      largest = max(largest, one, other)
      table.release(one)
      table.release(other)
    }
    #expect(largest == 1)
    #expect(table.count == 0)
  }
}

@Suite struct TensorReshapeTests {
  @Test func openDimensionsTakeOverTheirSizesInOrder() {
    #expect(TensorReshape.apply([2, 3], from: [2, 3], to: [6]) == [6])
    #expect(TensorReshape.apply([5, 2], from: [-1, 2], to: [-1, 1, 2]) == [5, 1, 2])
    #expect(TensorReshape.apply([5, 4, 7], from: [-1, 4, -1], to: [2, -1, 2, -1]) == [2, 5, 2, 7])
    #expect(TensorReshape.apply([1], from: [1], to: []) == [])
    #expect(TensorReshape.apply([1, 2, 3][1...], from: [-1, 3], to: [1, -1, 3]) == [1, 2, 3])
    #expect(TensorReshape.apply([0, 2], from: [-1, 2], to: [2, -1]) == [2, 0])
  }

  @Test func anotherNumberOfElementsIsNoReshape() {
    #expect(TensorReshape.apply([2], from: [2], to: [4]) == nil)
    #expect(TensorReshape.apply([5], from: [-1], to: [-1, -1]) == nil)
    #expect(TensorReshape.apply([5, 6], from: [-1, -1], to: [-1]) == nil)
    #expect(TensorReshape.apply([5], from: [-1, 1], to: [5]) == nil)
    #expect(TensorReshape.apply([-2, -2], from: [-1, -1], to: [-1, -1]) == nil)
    #expect(TensorReshape.apply([Int.max, 3], from: [-1, -1], to: [-1, -1]) == nil)
  }
}
