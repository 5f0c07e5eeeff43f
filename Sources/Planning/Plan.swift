public import GPUModel
public import ModelGraph
import Synchronization

/// Why a model cannot be planned.
public enum PlanError: Error, Equatable, CustomStringConvertible {
  /// A graph that is no graph, or a rewrite that failed.
  case graph(GraphError)
  /// A kernel that cannot be predicted.
  case kernel(layer: String, KernelModelError)
  /// A number of rows the plan was not made for.
  case rows(Int, maximum: Int)
  /// A shape that is out of range at these rows.
  case size(layer: String, shape: String, rows: Int)

  /// What was wrong and what to do.
  public var description: String {
    switch self {
    case .graph(let error): error.description
    case .kernel(let layer, let error): "layer \"\(layer)\": \(error)"
    case .rows(let rows, let maximum): "\(rows) rows are out of range; this plan takes 1 to \(maximum)"
    case .size(let layer, let shape, let rows): "layer \"\(layer)\": shape \(shape) is out of range at \(rows) rows"
    }
  }
}

/// A weight the plan's device keeps: what it is, not its bytes.
public struct PlanWeight: Sendable, Hashable {
  /// The constant's name in the graph.
  public var name: String
  /// Element type as stored in the model.
  public var type: DataType
  /// Sizes, outermost first.
  public var shape: [Int]
}

/// What will run: a rewritten graph on a device in a data type, for any number of rows up to a maximum.
///
/// A plan is immutable. `at(rows:)` is pure; its results are kept, because a server asks for the same few batch sizes a million times.
public final class Plan: Sendable {
  /// The graph after rewrites.
  public let graph: Graph
  /// The device.
  public let gpu: GPU
  /// The arithmetic.
  public let type: ComputeType
  /// Names of the rewrites that were applied.
  public let rewrites: [String]
  /// How far operators were joined into kernels.
  public var fusion: Fusion { Fusion(rewrites: rewrites) }
  /// How attention runs.
  public var attention: AttentionKernels { rewrites.contains(AttentionKernels.fusedName) ? .fused : .separate }
  /// Rows the plan is made for at most.
  public let maxRows: Int
  /// The kernels, symbolic in the rows, in launch order.
  public let steps: [PlanStep]
  /// Constants that the steps read.
  public let weights: [PlanWeight]
  /// Whether the weights' values are known; false for a plan read from a file that left them out.
  public let hasWeights: Bool
  /// The kernel-time model.
  public let model: KernelModel
  /// Work that sink-broadcast would leave of each step, as a share: 1/128 for the copied rows of seqlen, absent where it changes nothing.
  let remainingShares: [String: RemainingWork]
  /// Rows that one run takes where the graph's inputs have fixed shapes; nil where the rows are the caller's.
  public let fixedRows: Int?
  private let memo = Mutex<[Int: BatchPlan]>([:])

  init(
    graph: Graph, model: KernelModel, type: ComputeType, rewrites: [String], maxRows: Int, steps: [PlanStep], weights: [PlanWeight],
    remainingShares: [String: RemainingWork], hasWeights: Bool
  ) {
    self.graph = graph
    gpu = model.gpu
    self.model = model
    self.type = type
    self.rewrites = rewrites
    self.maxRows = maxRows
    self.steps = steps
    self.weights = weights
    self.remainingShares = remainingShares
    self.hasWeights = hasWeights
    fixedRows = graph.fixedRows
  }

  /// The launches for a batch of `rows`.
  public func at(rows: Int) throws(PlanError) -> BatchPlan {
    guard rows >= 1, rows <= maxRows else { throw .rows(rows, maximum: maxRows) }
    if let known = memo.withLock({ $0[rows] }) { return known }
    let made = try makeBatch(rows: rows)
    memo.withLock { table in
      // Bounded: a sweep over every size would otherwise keep them all for ever.
      if table.count >= 4096 { table.removeAll(keepingCapacity: true) }
      table[rows] = made
    }
    return made
  }

  /// Elements of all floating-point weights.
  public var parameterCount: Int { graph.parameterCount }

  /// Bytes of all weights in the plan's data type.
  public var weightBytes: Double { Double(parameterCount) * Double(type.bytesPerElement) }
}

/// One kernel of a plan, symbolic in the rows.
public struct PlanStep: Sendable, Hashable {
  /// What kind of kernel it is, with its symbolic sizes.
  public enum Kind: Sendable, Hashable {
    /// batch independent [m, k] x [k, n], each size a product of dimensions. `weighted` tells a product with constant weights from one of two
    /// activations. `source`: what A is gathered from, where that is smaller than A.
    case gemm(batch: Shape, m: Shape, n: Shape, k: Shape, weighted: Bool, source: Shape? = nil)
    /// Values in, values out, and FLOPs for each of so many elements. `kind`: what such a kernel is; `columns`: values of each row that it
    /// normalizes or reduces.
    case memory(
      warm: [Shape], cold: [Shape], written: [Shape], operationsPerElement: Double, elements: Shape,
      kind: MemoryKernel.Kind = .elementwise, columns: Shape = [])
    /// Attention in one kernel, each size a product of dimensions.
    case attention(heads: Shape, queries: Shape, keys: Shape, depth: Shape, valueDepth: Shape)
  }

  /// The model's layer.
  public var layer: String
  /// The kernel's operation in words: "linear+relu", "softmax".
  public var operation: String
  /// What it is.
  public var kind: Kind
  /// Launches in turn, as a product of dimensions; empty: one. A recurrence has one for each step of its sequence.
  public var repetitions: Shape = []
  /// Why its operations are not known; nil where they are.
  public var unplanned: String?
  /// Whether not even its results' shapes are known.
  public var isUnsized = false
}

/// What sink-broadcast leaves of a step's output.
struct RemainingWork: Sendable, Hashable {
  var before: Shape
  var after: Shape
}
