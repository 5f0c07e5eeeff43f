import ModelGraph
import Threads
import TimeBase

/// Which engine multiplies what: oneDNN everywhere where it is forced; else, for every shape, what was faster at the nearest row count that
/// was timed.
struct CPUEngines: Sendable {
  /// What a product's time depends on, besides rows.
  struct Shape: Sendable, Hashable {
    var k: Int
    var n: Int
    var hasBias: Bool
    var activation: Activation
  }

  /// Whether oneDNN was faster at a number of rows.
  struct Finding: Sendable, Hashable {
    var rows: Int
    var isOneDNN: Bool
  }

  let products: OneDNNProducts
  let isBF16: Bool
  let threads: Int
  /// Nil: oneDNN is forced. By shape, in rising order of rows.
  var findings: [Shape: [Finding]]?

  /// Whether oneDNN runs that product.
  func usesOneDNN(_ shape: Shape, rows: Int) -> Bool {
    guard let findings else { return true }
    // Nearest by ratio: 1 and 32 differ more than 128 and 256.
    func distance(_ finding: Finding) -> Double { Double(max(finding.rows, rows)) / Double(max(1, min(finding.rows, rows))) }
    return findings[shape]?.min { distance($0) < distance($1) }?.isOneDNN ?? false
  }

  /// What runs the product; nil: the own kernels.
  func product(_ shape: Shape, rows: Int, sourceDistance: Int) throws(DeviceError) -> OneDNNProduct? {
    guard rows > 0, usesOneDNN(shape, rows: rows) else { return nil }
    return try OneDNNProduct(
      products, k: shape.k, slices: OneDNNSlices(n: shape.n, threads: threads), rows: rows, sourceDistance: sourceDistance,
      hasBias: shape.hasBias, activation: shape.activation, isBF16: isBF16, threads: threads)
  }
}

/// Times both engines on a model's products when it is loaded.
struct CPUEngineTiming {
  let products: OneDNNProducts
  let sources: [CPUWeightSource]
  let precision: LoadOptions.Precision
  let pool: WorkerPool
  let level: CPUDeviceOptions.Level

  /// By how much an engine may lose somewhere and still run everywhere.
  private static let margin = 1.05
  /// Weights in turn while a shape is timed; in both packings.
  private static let weightBytes = 32 << 20

  /// Row counts of batches to compare at.
  static func batchRows(_ options: LoadOptions) -> [Int] {
    let largest = max(1, options.maximumBatchRows)
    return Set([1, 8, 32, 128, largest] + options.preferredRows).filter { $0 >= 1 && $0 <= largest }.sorted()
  }

  /// What is faster for the linear steps of these programs. A weight that is packed twice needs twice the memory: where one engine is within a
  /// twentieth of the other everywhere, it runs all.
  func findings(_ programs: [CPUProgram]) throws(DeviceError) -> [CPUEngines.Shape: [CPUEngines.Finding]] {
    var wanted: [CPUEngines.Shape: (weights: Set<Int>, rows: Set<Int>)] = [:]
    for step in programs.flatMap(\.steps) {
      guard case .linear(let weight, let bias, let activation, let source, _, _) = step.work, let rows = source.matrixRows?.rows else {
        continue
      }
      let shape = CPUEngines.Shape(k: sources[weight].k, n: sources[weight].n, hasBias: bias != nil, activation: activation)
      wanted[shape, default: ([], [])].rows.insert(rows)
      wanted[shape]?.weights.insert(weight)
    }
    var findings: [CPUEngines.Shape: [CPUEngines.Finding]] = [:]
    for (shape, use) in wanted {
      // Several weights in turn, as in a batch: one alone would be in the cache, where a model's are not.
      let bytes = max(1, shape.k * shape.n * (precision == .fp32 ? 4 : 2))
      let weights = try use.weights.sorted().prefix(max(1, Self.weightBytes / bytes)).map { weight throws(DeviceError) in
        try sources[weight].packed(own: true, oneDNN: products, precision: precision, pool: pool)
      }
      var times: [(rows: Int, own: Double, oneDNN: Double)] = []
      for rows in use.rows.sorted() where rows > 0 {
        let (own, oneDNN) = try time(weights, shape, rows)
        times.append((rows, own, oneDNN))
      }
      let ownAtWorst = times.reduce(0) { max($0, $1.own / min($1.own, $1.oneDNN)) }
      let oneDNNAtWorst = times.reduce(0) { max($0, $1.oneDNN / min($1.own, $1.oneDNN)) }
      findings[shape] = times.map { time in
        let isOneDNN = min(ownAtWorst, oneDNNAtWorst) <= Self.margin ? oneDNNAtWorst < ownAtWorst : time.oneDNN < time.own
        return CPUEngines.Finding(rows: time.rows, isOneDNN: isOneDNN)
      }
    }
    return findings
  }

  /// The best milliseconds of some runs, in turns: what a neighbour takes, it takes from both.
  private func time(_ weights: [CPUWeight], _ shape: CPUEngines.Shape, _ rows: Int) throws(DeviceError) -> (own: Double, oneDNN: Double) {
    let even = (shape.k + 1) / 2 * 2
    let isBF16 = precision == .bf16
    let product = try CPUEngines(products: products, isBF16: isBF16, threads: pool.threads, findings: nil).product(
      shape, rows: rows, sourceDistance: isBF16 ? even : shape.k)
    let (source, target, bias) = (AlignedMemory(), AlignedMemory(), AlignedMemory())
    for (memory, bytes) in [(source, rows * even * 4), (target, rows * shape.n * 4), (bias, shape.n * 4)] {
      try memory.reserve(bytes).initializeMemory(as: UInt8.self, repeating: 0)
    }
    let a = source.address.assumingMemoryBound(to: Float.self)
    let bf16Scratch = isBF16 ? source.address.assumingMemoryBound(to: UInt16.self) : nil
    let (c, b) = (target.address.assumingMemoryBound(to: Float.self), bias.address.assumingMemoryBound(to: Float.self))
    func run(_ product: OneDNNProduct?, _ turn: Int) throws(DeviceError) -> Double {
      let weight = weights[turn % weights.count]
      let start = MonotonicClock.now
      try CPULinear(pool: pool, level: level.rawValue).run(
        weight, product, a: a, bf16Scratch: bf16Scratch, lda: shape.k, rows: rows, bias: shape.hasBias ? b : nil,
        activation: shape.activation, c: c)
      return (MonotonicClock.now - start).milliseconds
    }
    _ = (try run(nil, 0), try run(product, 0))
    var (own, oneDNN, spent, runs) = (Double.infinity, Double.infinity, 0.0, 0)
    while runs < 5 || (runs < 50 && spent < 10) {
      let (first, second) = (try run(nil, runs), try run(product, runs))
      (own, oneDNN) = (min(own, first), min(oneDNN, second))
      spent += first + second
      runs += 1
    }
    return (own, oneDNN)
  }
}
