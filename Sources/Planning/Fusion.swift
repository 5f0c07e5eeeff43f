public import ModelGraph

/// How far the engine that runs a model joins its operators into kernels.
public enum Fusion: String, Sendable, Hashable, CaseIterable {
  /// As a framework runs them one by one: a product takes its bias along where it has one of a vector (as addmm does); batched biases,
  /// activations, LayerNorm and softmax are kernels of their own, the framework's.
  case none
  /// As engine builders and compilers do: bias and activation in the product's epilogue, LayerNorm with its activation in one kernel.
  case standard

  /// The rewrites that every plan of this fusion applies.
  public var passes: [any RewritePass.Type] {
    switch self {
    case .none: [RecomposeNormalization.self, RecomposeGelu.self, FuseVectorBias.self]
    case .standard: Rewrites.standard
    }
  }

  /// The fusion that a plan's rewrites tell of.
  init(rewrites: [String]) { self = rewrites.contains(FuseVectorBias.name) ? .none : .standard }
}
