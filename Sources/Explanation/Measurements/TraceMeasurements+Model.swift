import CheckedNumbers
public import GPUModel
public import Planning
public import Trace

extension TraceMeasurements {
  /// A trace without shapes, beside the model that ran: the kernels of a step follow each other as the plan's do, so that the plan tells their
  /// sizes. Products are joined with products, LayerNorm with LayerNorm, additions with additions; a trace may have more of a kind than the
  /// model (a pooler behind it, embeddings before it). A library takes the same kernel for the same size every time: where that does not
  /// hold, nothing is taken.
  ///
  /// - Parameters:
  ///   - gpu: the GPU, where the trace does not name it.
  ///   - model: the plan of the rows that a step had, as a framework runs it (`Fusion.none`).
  ///   - steps: steps in the trace, where the kernels' counts do not tell.
  public init(of trace: Trace, model: BatchPlan, gpu: GPU? = nil, steps: Int? = nil) {
    let recorded = RecordedKernels(of: trace, gpu: gpu, steps: steps)
    self.init(recorded)
    guard let steps = self.steps, steps > 0 else {
      notes.append("the kernels' counts have no divisor in common: say the number of steps with --steps")
      return
    }
    let events = recorded.events.map { event in
      let description = trace.kernels.description[Int(event.row)]
      return Event(description: description, nanoseconds: event.end - event.start, name: recorded.name(description))
    }
    joinProducts(events, model, steps)
    joinMemory(events, model, steps)
    finish()
  }

  struct Event {
    var description: KernelID
    var nanoseconds: Int64
    var name: RecordedKernels.Name
  }

  private mutating func joinProducts(_ events: [Event], _ model: BatchPlan, _ steps: Int) {
    // A split product's reduction belongs to the product before it.
    var runs: [Event] = []
    for event in events {
      if event.name.isProduct { runs.append(event) }
      if event.name.isSplitReduction, !runs.isEmpty {
        let whole = runs[runs.count - 1].nanoseconds
        runs[runs.count - 1].nanoseconds = whole.addingSaturated(event.nanoseconds)
      }
    }
    let all = model.launches.filter { $0.gemm != nil }
    let weighted = all.filter(\.isWeighted)
    // Fused attention leaves the products with weights alone.
    let isFused = events.contains { $0.name.parsed.role == .attention }
    let wanted = (isFused ? weighted : all).compactMap(\.gemm)
    guard let offset = join("products", runs, wanted, steps) else { return }
    var collected = Collected<GEMM>()
    for (run, gemm) in Self.pairs(runs, wanted, steps, offset) { collected.add(gemm, run.nanoseconds, run.name.short) }
    products = collected.entries
  }

  private mutating func joinMemory(_ events: [Event], _ model: BatchPlan, _ steps: Int) {
    var collected = Collected<MemoryKernel>()
    for (operation, words) in Self.words {
      let wanted = model.launches.filter { $0.kernelName.prefix { $0 != "_" && $0 != "+" } == operation }.compactMap(\.memoryKernel)
      let runs = events.filter { event in
        !event.name.isProduct && event.name.parsed.role != .attention && words.contains(where: event.name.lower.contains)
      }
      if wanted.isEmpty || runs.isEmpty { continue }
      guard let offset = join("kernels of \(operation)", runs, wanted, steps) else { continue }
      for (run, kernel) in Self.pairs(runs, wanted, steps, offset) { collected.add(kernel, run.nanoseconds, run.name.short) }
    }
    memory = collected.entries
  }

  /// Operations of plans, and what the names of PyTorch's kernels for them contain.
  private static let words: [(operation: String, words: [String])] = [
    ("layernorm", ["layer_norm", "layernorm"]), ("softmax", ["softmax"]), ("gelu", ["gelu"]), ("tanh", ["tanh"]),
    ("sigmoid", ["sigmoid"]), ("relu", ["clamp", "relu"]), ("add", ["functor_add", "add_kernel"]),
    ("multiply", ["mulfunctor", "mul_kernel"]),
  ]

  /// Where in a step of the trace the model's kernels begin; nil, with a note, where they cannot be joined.
  private mutating func join<Work: Hashable>(_ what: String, _ runs: [Event], _ wanted: [Work], _ steps: Int) -> Int? {
    guard !wanted.isEmpty, !runs.isEmpty else {
      if what == "products" { notes.append("\(wanted.isEmpty ? "the model" : "the trace") has no matrix products") }
      return nil
    }
    guard runs.count % steps == 0, runs.count / steps >= wanted.count else {
      let perStep = Double(Int(saturating: (Double(runs.count) / Double(steps) * 10).rounded())) / 10
      notes.append("\(what): \(perStep) per step in the trace (\(steps) steps), \(wanted.count) in the model: not used")
      return nil
    }
    let spare = runs.count / steps - wanted.count
    var best: (offset: Int, share: Double)?
    for offset in 0...min(spare, 64) {
      var kernels: [Work: [KernelID: Int]] = [:]
      for (run, work) in Self.pairs(runs, wanted, steps, offset) { kernels[work, default: [:]][run.description, default: 0] += 1 }
      let same = kernels.values.reduce(0) { $0 + ($1.values.max() ?? 0) }
      let share = Double(same) / Double(wanted.count * steps)
      if share > (best?.share ?? 0) { best = (offset, share) }
    }
    guard let best, best.share >= 0.95 else {
      notes.append(
        "\(what): the trace runs different kernels where the model has the same size (at best \(Int(saturating: ((best?.share ?? 0) * 100).rounded())) % agree): not used; is it this model, at these rows?"
      )
      return nil
    }
    return best.offset
  }

  /// Each run with its work, over all steps.
  private static func pairs<Work>(_ runs: [Event], _ wanted: [Work], _ steps: Int, _ offset: Int) -> [(Event, Work)] {
    let perStep = runs.count / max(1, steps)
    return (0..<steps).flatMap { step in
      wanted.indices.map { (runs[step * perStep + offset + $0], wanted[$0]) }
    }
  }
}
