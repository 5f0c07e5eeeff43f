import Diagnosis
import CheckedNumbers
import TimeBase
import Trace

/// A made-up program with one known limit, and the trace that a profiler would have recorded of it: a launching thread and a GPU, without any
/// table of our own. What the verdict says of it can be scored.
public struct PlantedProgram: Sendable, Hashable {
  /// The limit.
  public enum Cause: String, Sendable, Hashable, CaseIterable {
    /// The load generator sends too little.
    case client
    /// The server's front end does.
    case frontEnd
    /// The batcher waits for the batch to fill.
    case batchingDelay
    /// The data loader is slow.
    case starvation
    /// Copies of pageable memory.
    case pageableTransfer
    /// Copies of pinned memory, not overlapped.
    case pinnedTransfer
    /// An eager framework launches short kernels.
    case launchBound
    /// `.item()` behind each layer.
    case unnecessarySynchronization
    /// One batch after the other.
    case noPipelining
    /// Products with a handful of blocks.
    case smallGEMM
    /// Kernels that only move data.
    case memoryBound
    /// Large products.
    case computeBound
    /// Large products on copies of rows: a trace alone sees compute.
    case redundantWork
    /// Another process on the GPU.
    case coTenant
    /// The clock falls while it runs.
    case clockLimited
    /// Nothing: the GPU keeps up with its load.
    case healthyLoadLimited
    /// Nothing: the GPU works at its limit.
    case healthySaturated

    /// Nothing is wrong with it.
    public var isHealthy: Bool { self == .healthyLoadLimited || self == .healthySaturated }
  }

  /// The limit.
  public var cause: Cause
  /// How strong, 0, 1, 2.
  public var strength: Int
  /// Draws the accidents.
  public var seed: UInt64

  /// A program.
  public init(_ cause: Cause, strength: Int, seed: UInt64) {
    self.cause = cause
    self.strength = min(2, max(0, strength))
    self.seed = seed
  }

  /// Every cause at three strengths, and `healthy` programs without one.
  public static func all(healthy: Int = 40, seed: UInt64 = 1) -> [PlantedProgram] {
    var programs: [PlantedProgram] = []
    for cause in Cause.allCases where !cause.isHealthy {
      for strength in 0..<3 { programs.append(PlantedProgram(cause, strength: strength, seed: seed &+ UInt64(clamping: programs.count))) }
    }
    for index in 0..<max(0, healthy) {
      programs.append(
        PlantedProgram(
          index % 2 == 0 ? .healthyLoadLimited : .healthySaturated, strength: index / 2 % 3, seed: seed &+ UInt64(clamping: programs.count))
      )
    }
    return programs
  }

  /// Whether a first verdict, from the trace alone, is right: the cause where a trace shows it; "upstream, inconclusive" with a measurement where it
  /// cannot tell the causes before the GPU apart.
  public func isRight(_ explanation: TraceExplanation) -> Bool {
    guard let verdict = explanation.verdict else { return false }
    let found = explanation.findings.first?.found.map(\.code) ?? []
    let busyRegimes: [Regime] = [.computeBound, .memoryBound, .deviceBound]
    let isBusy = verdict.regime.map(busyRegimes.contains) ?? false
    switch cause {
    case .client, .frontEnd, .batchingDelay, .starvation, .healthyLoadLimited: return verdict.isUpstream && !verdict.confirm.isEmpty
    case .pageableTransfer, .pinnedTransfer: return verdict.regime == .transferBound
    case .launchBound: return verdict.regime == .launchBound
    case .unnecessarySynchronization: return found.contains(.HR134) && verdict.title.hasPrefix("unnecessary")
    // From the host's side a loop that is not pipelined and one that waits for its next request look the same.
    case .noPipelining: return verdict.regime == .noBatchPipelining || verdict.isUpstream
    case .smallGEMM: return verdict.regime == .underfilled
    case .memoryBound: return verdict.regime == .memoryBound
    case .computeBound, .redundantWork, .healthySaturated: return isBusy && verdict.regime != .memoryBound
    case .coTenant: return found.contains(.HR302)
    case .clockLimited: return found.contains(.HR301)
    }
  }

  /// Whether the first verdict names the cause, with what a user has beside the trace: nothing is left open there.
  public func isNamed(_ explanation: TraceExplanation) -> Bool {
    guard let verdict = explanation.verdict else { return false }
    let busyRegimes: [Regime] = [.computeBound, .deviceBound]
    let isBusy = verdict.regime.map(busyRegimes.contains) ?? false
    switch cause {
    case .client: return verdict.regime == .clientBound
    case .frontEnd: return verdict.regime == .frontEndBound
    case .batchingDelay: return verdict.regime == .batchingBound
    case .starvation: return verdict.isWaitingForInput
    case .pageableTransfer, .pinnedTransfer: return verdict.regime == .transferBound && verdict.named == nil
    case .launchBound: return verdict.regime == .launchBound && verdict.named == nil
    case .unnecessarySynchronization: return verdict.title.hasPrefix("unnecessary") && verdict.named == nil
    case .noPipelining: return verdict.regime == .noBatchPipelining && verdict.named == nil
    case .smallGEMM: return verdict.regime == .underfilled && verdict.named == nil
    case .memoryBound: return verdict.regime == .memoryBound && verdict.named == nil
    case .computeBound, .healthySaturated: return isBusy && verdict.named == nil
    case .redundantWork: return verdict.named == .HR211
    case .coTenant: return verdict.named == .HR302
    case .clockLimited: return verdict.named == .HR301
    case .healthyLoadLimited: return verdict.regime == .loadLimited
    }
  }

  /// Whether something is claimed to gain on a program that nothing is wrong with.
  public func isFalseAlarm(_ explanation: TraceExplanation) -> Bool {
    cause.isHealthy && explanation.findings.contains { $0.found.contains { ($0.gain.change ?? 0) >= TraceFinding.smallestChange } }
  }
}
