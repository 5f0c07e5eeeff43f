/// What a fused kernel applies to its result before it is written.
public enum Activation: String, Sendable, Hashable, CaseIterable {
  case none, relu, gelu, geluTanh, tanh, sigmoid
}

/// What a node computes. Cases up to `defined` are ONNX operators; those after it exist only after rewrites and are written to
/// ONNX as the operators they stand for. Shape-like inputs (Reshape's target, Slice's bounds, ...) are folded into attributes when
/// a graph is built: no operation here reads a shape from a tensor.
public enum Operation: Sendable, Hashable {
  /// [..., m, k] x [..., k, n], leading dimensions broadcast.
  case matMul
  /// alpha * op(A) op(B) + beta * C, all two-dimensional.
  case gemm(alpha: Float, beta: Float, transposeA: Bool, transposeB: Bool)
  case binary(BinaryOperation)
  case unary(UnaryOperation)
  /// Along one axis (opset 13 meaning; earlier opsets are converted when read).
  case softmax(axis: Int)
  /// Inputs x, scale, bias?; normalizes over dimensions `axis...`.
  case layerNormalization(axis: Int, epsilon: Float)
  case reduceMean(axes: [Int], keepDimensions: Bool)
  /// The other reductions.
  case reduce(Reduction, axes: [Int], keepDimensions: Bool)
  /// To minimum...maximum; infinite where there is no bound. ONNX's order: the larger of x and minimum first.
  case clip(minimum: Float, maximum: Float)
  /// With its attributes in their order, zero for one that it has not.
  case attributed(AttributedFunction, Float, Float)
  case reshape(Shape)
  case transpose(permutation: [Int])
  /// To a shape, ONNX's two-way broadcast already resolved.
  case expand(Shape)
  /// starts/ends clamped, one per axis; steps non-zero.
  case slice(axes: [Int], starts: [Int], ends: [Int], steps: [Int])
  /// Inputs data, indices.
  case gather(axis: Int)
  case concat(axis: Int)
  case split(axis: Int, sizes: [Int])
  case squeeze(axes: [Int])
  case unsqueeze(axes: [Int])
  case cast(DataType)
  /// Inputs condition, ifTrue, ifFalse.
  case select
  case flatten(axis: Int)
  /// Whatever `OperatorDefinition` has: nothing that rewrites look for.
  case defined(DefinedOperator)

  /// Rewritten: x [..., k] times weight [k, n] (or [n, k] when `transposeWeight`) + bias [n]?, then the activation.
  /// Inputs x, weight, bias?. The weight is two-dimensional.
  case linear(transposeWeight: Bool, activation: Activation)
  /// Rewritten: x [heads, m, k] (or [m, k], shared by all heads) times weight [heads, k, n] + bias [heads, 1, n]?, then the
  /// activation; writes [heads, m, n]. Inputs x, weight, bias?.
  case batchedLinear(activation: Activation)
  /// Rewritten: layerNormalization followed by an activation. Inputs x, scale, bias?.
  case normalizedActivation(axis: Int, epsilon: Float, activation: Activation)

  /// Known to plans alone.
  case costed(CostedOperator)
}
