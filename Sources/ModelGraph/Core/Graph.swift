/// A value's place in `Graph.values`.
public struct ValueID: Hashable, Sendable, Comparable {
  /// Index into `Graph.values`.
  public var index: Int
  /// The value at `index`.
  public init(_ index: Int) { self.index = index }
  /// Order of place in the graph.
  public static func < (left: ValueID, right: ValueID) -> Bool { left.index < right.index }
}

/// A named tensor that flows through a graph.
public struct Value: Sendable {
  /// For people and for matching requests to inputs; ONNX's value name where the graph came from a file.
  public var name: String
  /// Element type.
  public var type: DataType
  /// Shape, affine in the rows.
  public var shape: Shape

  /// A value of this type and shape.
  public init(name: String, type: DataType, shape: Shape) {
    self.name = name
    self.type = type
    self.shape = shape
  }
}

/// One operation with the values it reads and writes.
public struct Node: Sendable {
  /// For people; ONNX's node name, or its first output's where the file gives none. Not always unique: identity is the place in the graph.
  public var name: String
  /// What it computes, with its attributes.
  public var operation: Operation
  /// Values read, in the operator's order; nil for an optional input left out.
  public var inputs: [ValueID?]
  /// Values written, in the operator's order.
  public var outputs: [ValueID]

  /// A node; the graph it is put into owns the values.
  public init(name: String, operation: Operation, inputs: [ValueID?], outputs: [ValueID]) {
    self.name = name
    self.operation = operation
    self.inputs = inputs
    self.outputs = outputs
  }
}

/// A model as a directed acyclic graph of tensor operations, symbolic in the number of rows.
///
/// Nodes stand in an order in which every value is written before it is read. Every value is an input, a constant or written
/// by exactly one node; `validate()` proves it.
public struct Graph: Sendable {
  /// The model's name, for people.
  public var name: String
  /// All values; `ValueID` is an index into it.
  public var values: [Value]
  /// Nodes in executable order.
  public var nodes: [Node]
  /// What a request brings. Dimension 0 of each is the rows unless its shape is fixed.
  public var inputs: [ValueID]
  /// What a response carries.
  public var outputs: [ValueID]
  /// Weights and folded constants.
  public var constants: [ValueID: Tensor]
  /// What whoever made it has to say: sizes that were taken at their largest, parts that were left out.
  public var notes: [String] = []

  /// An empty graph.
  public init(name: String) {
    self.name = name
    self.values = []
    self.nodes = []
    self.inputs = []
    self.outputs = []
    self.constants = [:]
  }

  /// The value behind an identifier.
  public subscript(id: ValueID) -> Value {
    get { values[id.index] }
    set { values[id.index] = newValue }
  }
}
