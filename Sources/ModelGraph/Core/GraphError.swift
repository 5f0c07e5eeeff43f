/// Why a graph is not one, or an operation cannot take what it is given.
public struct GraphError: Error, Equatable, CustomStringConvertible {
  /// The node, or the value, that is wrong.
  public var node: String
  /// The operation's name; empty where no operation is concerned.
  public var operation: String
  /// What was wrong, with the shapes.
  public var reason: String

  /// An error at a node.
  public init(node: String, operation: String = "", reason: String) {
    self.node = node
    self.operation = operation
    self.reason = reason
  }

  /// "node "fc1" (matMul): [rows, 3] x [4, 2]: inner dimensions differ".
  public var description: String { "node \"\(node)\"\(operation.isEmpty ? "" : " (\(operation))"): \(reason)" }
}

extension Operation {
  /// The operation's name for messages and tables: the case's, or the elementwise function's.
  public var name: String {
    switch self {
    case .binary(let operation): operation.rawValue
    case .unary(let operation): operation.rawValue
    case .reduce(let reduction, _, _): "reduce " + reduction.rawValue
    case .costed(let costed): costed.type
    case .defined(let defined): defined.definition.name
    default: "\(self)".split(separator: "(").first.map(String.init) ?? "\(self)"
    }
  }
}
