import ModelGraph

extension CPUStep.Work {
  /// Every view it reads or writes.
  func forEachView(_ visit: (TensorView) -> Void) {
    var copy = self
    copy.mapViews { visit($0) }
  }

  /// Changes every view.
  mutating func mapViews(_ change: (inout TensorView) -> Void) {
    func changed(_ view: TensorView) -> TensorView {
      var view = view
      change(&view)
      return view
    }
    switch self {
    case .linear(let weight, let bias, let activation, let source, let target, let product):
      self = .linear(
        weight: weight, bias: bias.map(changed), activation: activation, source: changed(source), target: changed(target), oneDNN: product)
    case .product(let a, let b, let target, let scratch):
      self = .product(a: changed(a), b: changed(b), target: changed(target), scratch: scratch)
    case .layerNorm(let source, let scale, let bias, let epsilon, let activation, let width, let target):
      self = .layerNorm(
        source: changed(source), scale: changed(scale), bias: bias.map(changed), epsilon: epsilon, activation: activation, width: width,
        target: changed(target))
    case .softmax(let source, let width, let target): self = .softmax(source: changed(source), width: width, target: changed(target))
    case .softmaxStrided(let source, let axis, let target):
      self = .softmaxStrided(source: changed(source), axis: axis, target: changed(target))
    case .activate(let activation, let source, let target): self = .activate(activation, source: changed(source), target: changed(target))
    case .unary(let operation, let source, let target): self = .unary(operation, source: changed(source), target: changed(target))
    case .binary(let operation, let a, let b, let target): self = .binary(operation, changed(a), changed(b), target: changed(target))
    case .clip(let minimum, let maximum, let source, let target):
      self = .clip(minimum: minimum, maximum: maximum, source: changed(source), target: changed(target))
    case .attributed(let function, let first, let second, let source, let target):
      self = .attributed(function, first, second, source: changed(source), target: changed(target))
    case .reduce(let reduction, let source, let axes, let target):
      self = .reduce(reduction, source: changed(source), axes: axes, target: changed(target))
    case .copy(let source, let target): self = .copy(source: changed(source), target: changed(target))
    case .cast(let source, let target): self = .cast(source: changed(source), target: changed(target))
    case .gather(let source, let indices, let axis, let target):
      self = .gather(source: changed(source), indices: changed(indices), axis: axis, target: changed(target))
    case .select(let condition, let a, let b, let target):
      self = .select(condition: changed(condition), changed(a), changed(b), target: changed(target))
    case .defined(var step):
      (step.sources, step.targets) = (step.sources.map(changed), step.targets.map(changed))
      self = .defined(step)
    case .fill(let bits, let target): self = .fill(bits, target: changed(target))
    case .scaleAdd(let alpha, let beta, let c, let target):
      self = .scaleAdd(alpha: alpha, beta: beta, c: c.map(changed), target: changed(target))
    }
  }
}
