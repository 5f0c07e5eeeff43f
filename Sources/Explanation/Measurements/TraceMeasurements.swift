import CheckedNumbers
public import GPUModel
public import KernelFitting
public import Trace

/// Kernels of a trace whose sizes are known, as measurements to calibrate a GPU with: durations from its records; sizes from its operators'
/// input shapes (Kineto's record_shapes, emit_nvtx) or, where it has none, from the model that ran (`init(of:model:steps:)`).
public struct TraceMeasurements: Sendable {
  /// All runs of one size.
  public struct Entry<Work: Sendable & Hashable>: Sendable {
    /// What ran.
    public var work: Work
    /// Kernels that took most of it, as printed.
    public var kernel: String
    /// Runs.
    public var count: Int
    /// Median of their durations, microseconds: for a product the sum over its kernels.
    public var microseconds: Double
    /// From the tenth to the ninetieth percentile, over the median.
    public var spread: Double
  }

  /// Products.
  public internal(set) var products: [Entry<GEMM>] = []
  /// Kernels bound by memory.
  public internal(set) var memory: [Entry<MemoryKernel>] = []
  /// Kernel time of the device, and of it what the entries hold, microseconds.
  public internal(set) var kernelMicroseconds = (all: 0.0, known: 0.0)
  /// Steps in the trace; nil where the kernels' counts do not tell.
  public internal(set) var steps: Int?
  /// The device's description and figures.
  public internal(set) var facts: DeviceFacts
  /// What was left out, and why.
  public internal(set) var notes: [String] = []

  /// Products as the fitter takes them.
  public var productMeasurements: [Measurement] {
    products.map {
      Measurement(gpu: facts.gpu?.name ?? "", gemm: $0.work, microseconds: $0.microseconds, quantity: .kernel, spread: $0.spread)
    }
  }

  /// Kernels bound by memory as the fitter takes them.
  public var memoryMeasurements: [MemoryMeasurement] {
    memory.map { MemoryMeasurement(gpu: facts.gpu?.name ?? "", kernel: $0.work, microseconds: $0.microseconds) }
  }

  /// Mean error of a model over the runs of all entries, each run counting once: |predicted - measured| / measured. nil without entries.
  public func meanError(of model: KernelModel) -> Double? {
    var (sum, count) = (0.0, 0.0)
    for entry in products {
      guard let predicted = try? model.microseconds(entry.work), entry.microseconds > 0 else { continue }
      sum += Double(entry.count) * abs(predicted / entry.microseconds - 1)
      count += Double(entry.count)
    }
    for entry in memory where entry.microseconds > 0 {
      sum += Double(entry.count) * abs(model.predict(entry.work).microseconds / entry.microseconds - 1)
      count += Double(entry.count)
    }
    return count > 0 ? sum / count : nil
  }

  /// The device with the most kernel time, by its operators' shapes.
  ///
  /// - Parameters:
  ///   - gpu: the GPU, where the trace does not name it.
  ///   - steps: steps in the trace, where the kernels' counts do not tell.
  public init(of trace: Trace, gpu: GPU? = nil, steps: Int? = nil) {
    let recorded = RecordedKernels(of: trace, gpu: gpu, steps: steps)
    self.init(recorded)
    let calls = OperatorCalls(trace, wants: OperatorWork.isKnown, payload: OperatorWork.init)
    if calls.isEmpty { return }
    let host = HostActivity(of: trace)
    struct Run {
      var work: OperatorWork
      var nanoseconds: Int64 = 0
      var kernels = 0
      var longest: Int64 = 0
      var description: KernelID
    }
    var runs: [Int64: Run] = [:]
    for event in recorded.events {
      let description = trace.kernels.description[Int(event.row)]
      let name = recorded.name(description)
      guard let (call, key) = calls.launching(event, trace, host),
        call.payload.isWork(of: name.parsed.role, isReduction: name.isSplitReduction)
      else { continue }
      var run = runs[key] ?? Run(work: call.payload, description: description)
      let duration = event.end - event.start
      run.nanoseconds = run.nanoseconds.addingSaturated(duration)
      run.kernels += 1
      if duration > run.longest { (run.longest, run.description) = (duration, description) }
      runs[key] = run
    }
    var products = Collected<GEMM>()
    var memory = Collected<MemoryKernel>()
    for run in runs.values {
      let name = recorded.name(run.description)
      switch run.work {
      case .product(var gemm, let isWeighted):
        // Single precision runs on tensor cores only where TF32 is allowed, which the operator does not say and the kernel's name does.
        if gemm.type == .fp32, name.parsed.type == .tf32 { gemm.type = .tf32 }
        if !isWeighted { gemm.footprintBytes = Self.weightBytes(gemm) }
        gemm.isAmongOthers = runs.count > 1
        products.add(gemm, run.nanoseconds, name.short)
      case .memory(let kernel):
        if run.kernels == 1 { memory.add(kernel, run.nanoseconds, name.short) }
      }
    }
    self.products = products.entries
    self.memory = memory.entries
    // All weights of a step pass between two readings of the same one.
    if let steps = self.steps {
      let weights = self.products.filter { $0.work.footprintBytes == nil }.reduce(0.0) {
        $0 + Self.weightBytes($1.work) * Double($1.count) / Double(steps)
      }
      for index in self.products.indices where self.products[index].work.footprintBytes == nil {
        self.products[index].work.footprintBytes = weights
      }
    }
    finish()
  }

  private static func weightBytes(_ gemm: GEMM) -> Double {
    Double(gemm.batch) * Double(gemm.n) * Double(gemm.k) * Double(gemm.type.bytesPerElement)
  }

  init(_ recorded: RecordedKernels) {
    facts = recorded.facts
    steps = recorded.steps
    kernelMicroseconds.all = Double(recorded.events.reduce(Int64(0)) { $0.addingSaturated($1.end - $1.start) }) / 1e3
  }

  /// Order, and what the entries hold.
  mutating func finish() {
    products.sort { ($1.microseconds * Double($1.count), $0.kernel) < ($0.microseconds * Double($0.count), $1.kernel) }
    memory.sort { ($1.microseconds * Double($1.count), $0.kernel) < ($0.microseconds * Double($0.count), $1.kernel) }
    kernelMicroseconds.known =
      products.reduce(0) { $0 + $1.microseconds * Double($1.count) } + memory.reduce(0) { $0 + $1.microseconds * Double($1.count) }
  }

  /// Durations by what ran.
  struct Collected<Work: Sendable & Hashable> {
    private var durations: [Work: [Int64]] = [:]
    private var kernels: [Work: [String: Int64]] = [:]

    mutating func add(_ work: Work, _ nanoseconds: Int64, _ kernel: String) {
      durations[work, default: []].append(nanoseconds)
      let sum = kernels[work]?[kernel] ?? 0
      kernels[work, default: [:]][kernel] = sum.addingSaturated(nanoseconds)
    }

    /// Entries; runs without a duration are left out.
    var entries: [Entry<Work>] {
      durations.compactMap { work, unsorted in
        let sorted = unsorted.sorted()
        let median = Double(sorted[sorted.count / 2])
        guard median > 0 else { return nil }
        let spread = Double(sorted[(sorted.count - 1) * 9 / 10] - sorted[sorted.count / 10]) / median
        let kernel = kernels[work]?.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? "unknown"
        return Entry(work: work, kernel: kernel, count: sorted.count, microseconds: median / 1e3, spread: spread)
      }
    }
  }
}
