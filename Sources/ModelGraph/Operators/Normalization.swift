/// An operator on rows of neighbouring elements, each row apart from all others but for parameters that rows share: scale, bias, given statistics.
public struct Normalization: Sendable {
  /// The rows of inputs of these sizes. Parameters lie row by row, broadcast to `parameterShape`.
  public let rows: @Sendable (_ sizes: [[Int]], _ attributes: OperatorAttributes) -> RowLayout
  /// A row, from its elements and, for each parameter, the element of it that belongs to each of them.
  public let define: @Sendable (_ row: [Double], _ parameters: [[Double]], _ attributes: OperatorAttributes) -> [Double]
  /// What every parameter is broadcast to.
  let parameterShape: @Sendable (OperatorCall) throws(OperatorRefusal) -> Shape

  /// The sizes of `parameterShape` for an input of these; nil where the operator cannot take it.
  public func parameterSizes(_ sizes: [Int], _ attributes: OperatorAttributes) -> [Int]? {
    let x = Value(name: "", type: .float32, shape: sizes.map { .fixed($0) })
    return (try? parameterShape(OperatorCall(inputs: [x], attributes: attributes)))?.map(\.constant)
  }
}

/// How a tensor without gaps is divided into rows, and where in a parameter an element's own is.
public struct RowLayout: Sendable, Hashable {
  /// Elements of a row.
  public var width: Int
  /// Rows after which parameters begin anew.
  public var period = 1
  /// Elements of a parameter from a row's first to the next row's.
  public var step = 0
  /// Neighbours in a row that share an element of a parameter; at least one.
  public var share = 1

  /// Where the first element of a row has its own.
  public func start(of row: Int) -> Int { row % period * step }

  /// An element of a parameter for each of a row: those from an axis on.
  static func perElement(_ sizes: [Int], from axis: Int) -> RowLayout { RowLayout(width: sizes[axis...].reduce(1, *)) }

  /// Rows are planes, with an element of a parameter for each channel, the second axis.
  static func perChannel(_ sizes: [Int]) -> RowLayout {
    let plane = sizes[2...].reduce(1, *)
    return RowLayout(width: plane, period: max(1, sizes[1]), step: 1, share: max(1, plane))
  }

  /// Rows are groups of channels.
  static func perGroup(_ sizes: [Int], groups: Int) -> RowLayout {
    let (channels, plane) = (sizes[1] / groups, sizes[2...].reduce(1, *))
    return RowLayout(width: channels * plane, period: groups, step: channels, share: max(1, plane))
  }
}
