import ModelGraph

/// One piece of work of a program that is bound to a number of rows.
struct CPUStep: Sendable {
  enum Work: Sendable {
    /// target [m][n] = activation(source [m][k] * weights[index] + bias). `oneDNN`: what runs it; nil: the own kernels.
    case linear(weight: Int, bias: TensorView?, activation: Activation, source: TensorView, target: TensorView, oneDNN: OneDNNProduct?)
    /// Products of two activations, or of any operands that are not packed. `scratch`: one packed operand a task.
    case product(a: TensorView, b: TensorView, target: TensorView, scratch: Int)
    case layerNorm(
      source: TensorView, scale: TensorView, bias: TensorView?, epsilon: Float, activation: Activation, width: Int, target: TensorView)
    case softmax(source: TensorView, width: Int, target: TensorView)
    /// Along an axis that is not the last.
    case softmaxStrided(source: TensorView, axis: Int, target: TensorView)
    case activate(Activation, source: TensorView, target: TensorView)
    case unary(UnaryOperation, source: TensorView, target: TensorView)
    case binary(BinaryOperation, TensorView, TensorView, target: TensorView)
    case clip(minimum: Float, maximum: Float, source: TensorView, target: TensorView)
    case attributed(AttributedFunction, Float, Float, source: TensorView, target: TensorView)
    case reduce(Reduction, source: TensorView, axes: [Int], target: TensorView)
    /// Elements to where they belong, their type unchanged.
    case copy(source: TensorView, target: TensorView)
    case cast(source: TensorView, target: TensorView)
    case gather(source: TensorView, indices: TensorView, axis: Int, target: TensorView)
    case select(condition: TensorView, TensorView, TensorView, target: TensorView)
    /// An operator that `OperatorDefinition` has, over its loop.
    case defined(DefinedStep)
    /// One element, by its bits, everywhere; the target has no gaps.
    case fill(UInt64, target: TensorView)
    /// target = alpha * target + beta * c.
    case scaleAdd(alpha: Float, beta: Float, c: TensorView?, target: TensorView)
  }

  var name: String
  var layer: String
  var work: Work
  /// For the launch's description.
  var floatingPointOperations: Double
  var bytes: Double
}

/// A program for one number of rows: steps over memory whose size is known.
struct CPUProgram: Sendable {
  var rows: Int
  var steps: [CPUStep]
  var arenaBytes: Int
  /// Bytes of scratch for each thread.
  var scratchBytes: Int
  /// Elements of bfloat16 rows for the widest product.
  var bf16Elements: Int
  var inputs: [TensorView]
  var outputs: [TensorView]
}
