import Dispatch
import GPUModel
import KernelFitting
import Synchronization

/// All fits that the constants and the accuracy page need, run on all cores.
struct Study: Sendable {
  let boards: [Board]
  static let foldCount = 3
  static let ensembleSize = 5

  typealias Pair = (predicted: Double, measured: Double)

  /// Which part of a board's data a fit sees.
  enum Part: Sendable, Hashable {
    /// Everything.
    case all
    /// Everything but one fold of the weight shapes.
    case without(fold: Int)
    /// Half of the weight shapes, another half for every index: where two such fits disagree, the data do not decide.
    case half(index: Int)
  }

  /// One fit to do.
  enum Job: Sendable, Hashable {
    case products(board: Int, kernels: KernelClass, part: Part)
    case memory(board: Int, part: Part)
    case family(KernelFamily)
    /// The other measured boards of its family, where there are several.
    case others(board: Int)
  }

  /// What a job came to.
  enum Outcome: Sendable {
    case products(KernelFitter.Fitted)
    case memory(MemoryConstants)
  }

  var jobs: [Job] {
    let parts = [Part.all] + (0..<Self.foldCount).map { .without(fold: $0) } + (0..<Self.ensembleSize).map { .half(index: $0) }
    var jobs: [Job] = [.family(.wgmma), .family(.mma)]
    // The longest first, so that no core is left with one of them at the end.
    for board in boards.indices.sorted(by: { boards[$0].sample.measurements.count > boards[$1].sample.measurements.count }) {
      for part in parts { jobs.append(.products(board: board, kernels: .tensor16, part: part)) }
      if members(of: boards[board].gpu.family).count > 2 { jobs.append(.others(board: board)) }
      for kernels in boards[board].others {
        for part in parts { jobs.append(.products(board: board, kernels: kernels, part: part)) }
      }
      if !boards[board].memory.isEmpty {
        for part in parts.prefix(1 + Self.foldCount) { jobs.append(.memory(board: board, part: part)) }
      }
    }
    return jobs
  }

  func members(of family: KernelFamily) -> [Int] { boards.indices.filter { boards[$0].gpu.family == family } }

  /// Strengths of the ridge that are tried. Under the least of them constants that the measurements leave open run to their bounds.
  static let ridges = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]

  /// Each class's ridge by its folds, then all fits with those.
  func run() -> StudyResult {
    let folds = jobs.filter {
      if case .products(_, _, .without) = $0 { true } else { false }
    }
    let tried = Self.ridges.map { ridge in
      let all = Dictionary(uniqueKeysWithValues: KernelClass.allCases.map { ($0, ridge) })
      return StudyResult(study: self, ridges: all, outcomes: outcomes(of: folds, all))
    }
    let choices = KernelClass.allCases.map { RidgeChoice($0, tried) }
    let chosen = Dictionary(uniqueKeysWithValues: choices.map { ($0.kernels, $0.chosen) })
    var result = StudyResult(study: self, ridges: chosen, outcomes: outcomes(of: jobs, chosen))
    result.choices = choices
    return result
  }

  /// The jobs done, on all cores.
  func outcomes(of work: [Job], _ ridges: [KernelClass: Double]) -> [Job: Outcome] {
    let done = Mutex<[Job: Outcome]>([:])
    DispatchQueue.concurrentPerform(iterations: work.count) { index in
      let outcome = fit(work[index], ridges)
      let count = done.withLock { table in
        table[work[index]] = outcome
        return table.count
      }
      report("fit \(count) of \(work.count): \(work[index])")
    }
    return done.withLock { $0 }
  }

  /// Where searches start and what the ridge pulls to: what earlier fits of each family came to, in round figures.
  static let start: [KernelFamily: [Double]] = [
    .ffma: [2, 300, 150, 0.8, 25, 0.9, 1, 2, 0.5, 0.6, 250, 0.35, 0.9, 0.6, 0.15, 150, 1500, 100],
    .mma: [1.5, 220, 150, 0.95, 24, 0.93, 1.8, 1.9, 0.4, 1.5, 400, 0.6, 0.3, 1.3, 0.2, 1400, 600, 100],
    .wgmma: [2.2, 98, 90, 0.88, 120, 0.9, 2, 3.1, 0.25, 0.95, 300, 0.5, 1, 0.65, 0.2, 250, 880, 170],
    .tcgen05: [1.7, 66, 60, 0.86, 200, 0.86, 1.5, 2.7, 2, 0.69, 50, 0.5, 0.3, 0.4, 0.2, 600, 200, 100],
  ]

  /// Where a class's fit starts: its family's, with a lower rate for kernels that copy in small pieces.
  func prior(_ kernels: KernelClass, _ gpu: GPU) -> KernelConstants {
    let family: KernelFamily = kernels == .tensor16 ? gpu.family : kernels == .scalar32 ? .ffma : .mma
    var values = Self.start[family] ?? []
    if kernels == .misaligned16 || kernels == .misaligned32 { values[KernelConstants.Name.sustainedMathShare.rawValue] = 0.4 }
    return KernelConstants(values: values) ?? KernelCalibrations.family(gpu.family).constants
  }

  func fit(_ job: Job, _ ridges: [KernelClass: Double]) -> Outcome {
    func fitter(_ kernels: KernelClass = .tensor16) -> KernelFitter { KernelFitter(regularization: ridges[kernels] ?? 0) }
    switch job {
    case .products(let board, let kernels, let part):
      let sample = keeping(boards[board].sample, part)
      return .products(
        fitter(kernels).fit([sample], of: kernels, prior: prior(kernels, sample.gpu), vectors: vectors(sample, kernels)))
    case .memory(let board, let part):
      let kept = memory(boards[board].memory, part)
      return .memory(MemoryFitter(rounds: 10).fit(kept, on: boards[board].gpu, prior: MemoryFitter.start))
    case .family(let family):
      let members = members(of: family).map { boards[$0].sample }
      guard let first = members.first else { return .products(.init(constants: prior(.tensor16, boards[0].gpu), replayGapMicroseconds: 0)) }
      return .products(fitter().fit(members, prior: prior(.tensor16, first.gpu)))
    case .others(let board):
      let others = members(of: boards[board].gpu.family).filter { $0 != board }.map { boards[$0].sample }
      return .products(fitter().fit(others, prior: prior(.tensor16, boards[board].gpu)))
    }
  }

  /// Matrix-vector constants beside tiled kernels of which nothing is known yet: fp32 products of two to four rows run on whichever is faster.
  func vectors(_ sample: KernelFitter.Sample, _ kernels: KernelClass) -> VectorConstants? {
    kernels == .scalar32 ? MemoryFitter.vectors(sample, .onTrial(prior(kernels, sample.gpu), of: kernels)) : nil
  }

  /// Folds of a board's weight shapes: the same for every class and for replays and records.
  static func folds(_ measurements: [Measurement]) -> [Int] { KernelFitter.folds(measurements, count: foldCount, seed: 1) }

  func keeping(_ sample: KernelFitter.Sample, _ part: Part) -> KernelFitter.Sample {
    let fold: [Int]
    let isKept: (Int) -> Bool
    switch part {
    case .all: return sample
    case .without(let out): (fold, isKept) = (Self.folds(sample.measurements), { $0 != out })
    case .half(let index):
      (fold, isKept) = (KernelFitter.folds(sample.measurements, count: 2, seed: UInt64(clamping: index) + 100), { $0 == 0 })
    }
    return KernelFitter.Sample(
      gpu: sample.gpu, measurements: sample.measurements.enumerated().filter { isKept(fold[$0.offset]) }.map(\.element))
  }

  /// Numbers of rows are dealt to folds, so that no fold has seen a size it is tested on.
  func memory(_ measurements: [MemoryMeasurement], _ part: Part) -> [MemoryMeasurement] {
    guard case .without(let out) = part else { return measurements }
    return measurements.filter { Self.fold($0, of: measurements) != out }
  }

  static func fold(_ measurement: MemoryMeasurement, of all: [MemoryMeasurement]) -> Int {
    let rows = Set(all.map(\.kernel.rows)).sorted()
    return (rows.firstIndex(of: measurement.kernel.rows) ?? 0) % foldCount
  }
}
