import Glibc
import Scheduling
import Testing
import TimeBase

@testable import Diagnosis
@testable import Experiments

/// Predicted against measured, hit or miss.
@Suite struct PairedProofTests {
  private func predicted(_ change: Double, _ interval: ClosedRange<Double>? = nil) -> Figure {
    Figure(change, .share, .simulated, source: "made up", interval: interval)
  }

  @Test func pairsThatDoWhatWasPredictedAreAHit() throws {
    let line = try #require(
      PairedProof.line("requests/s", predicted: predicted(0.2), before: [100, 110, 90, 100, 105], after: [121, 131, 108, 119, 127]))
    #expect(line.outcome == .hit && (line.measured.value - 0.2).magnitude < 0.02)
    let proof = PairedProof(code: "HR121", fix: "delay", lines: [line])
    #expect(proof.outcome == .hit)
  }

  @Test func pairsThatDoNotAreAMiss() throws {
    let line = try #require(
      PairedProof.line("requests/s", predicted: predicted(0.5), before: [100, 110, 90, 100, 105], after: [101, 110, 91, 101, 105]))
    #expect(line.outcome == .miss)
    #expect(PairedProof(code: "HR121", fix: "delay", lines: [line]).outcome == .miss)
  }

  /// Pairs of a busy machine decide nothing, in either direction.
  @Test func pairsThatDifferAmongEachOtherDecideNothing() throws {
    let line = try #require(
      PairedProof.line("p99 latency", predicted: predicted(-0.1), before: [100, 100, 100, 100], after: [40, 300, 90, 160]))
    #expect(line.outcome == .undecided)
    #expect(PairedProof(code: "HR121", fix: "delay", lines: []).outcome == .undecided)
  }

  @Test func aPredictionsIntervalCounts() throws {
    let before = [100.0, 100, 100], after = [130.0, 131, 129]
    #expect(PairedProof.line("requests/s", predicted: predicted(0.1), before: before, after: after)?.outcome == .miss)
    #expect(PairedProof.line("requests/s", predicted: predicted(0.1, 0.05...0.35), before: before, after: after)?.outcome == .hit)
    #expect(PairedProof.line("requests/s", predicted: predicted(0.1), before: [0, 0], after: [1, 1]) == nil)
  }

  @Test func theOrderOfPairsIsDrawnAndTheSameAgain() {
    let order = PairedProof.order(pairs: 40, seed: 1)
    #expect(order == PairedProof.order(pairs: 40, seed: 1) && order.contains(true) && order.contains(false))
  }

  // MARK: - What is tried

  private func ranked(_ gains: Result<GainEstimate, GainRefusal>, _ changes: [Change]) throws -> RankedFinding {
    let observation = Observation(.high, seen: ["seen"], whyBad: "bad", fixes: [Fix("do it", changes)])
    let finding = Finding(code: .HR121, name: "underfilled", example: "", page: "", observation: observation)
    return RankedFinding(finding: finding, fixes: [AssessedFix(fix: Fix("do it", changes), gains: gains)])
  }

  @Test func onlyWhatWasPredictedCanBeProven() throws {
    let found = try ranked(.success(GainEstimate()), [.batchDelay(microseconds: 0)])
    #expect(try RankedFinding.toProve("HR121", in: [found]).fix.title == "do it")
    let missing = try #require(throws: ExperimentError.self) { try RankedFinding.toProve("HR211", in: [found]) }
    #expect(missing.description.contains("HR211") && missing.description.contains("HR121"))
    let refused = try ranked(.failure(.noEstimator), [.batchDelay(microseconds: 0)])
    let error = try #require(throws: ExperimentError.self) { try RankedFinding.toProve("HR121", in: [refused]) }
    #expect(error.description.contains("nothing was predicted"))
  }

  @Test func changesAreMadeToTheServerOrRefusedByName() throws {
    let variant = try Experiment.caseStudyOnProcessor().variants[2]
    let changed = try variant.served(
      with: [.batchDelay(microseconds: 500), .instances(2), .preferredSizes([]), .maximumBatchRows(64)], on: .processor, folder: "/tmp")
    #expect(changed.scheduler.batching?.maximumQueueDelay == .microseconds(500) && changed.scheduler.batching?.preferredSizes == [])
    #expect(changed.scheduler.instances == 2 && changed.scheduler.maximumBatchRows == 64)
    for change in [Change.cudaGraphs, .eagerBatching, .pinnedTransfers, .splitK(2), .clientCores(2), .frontEndTimeScale(0.5)] {
      let error = try #require(throws: ExperimentError.self) { try variant.served(with: [change], on: .processor, folder: "/tmp") }
      #expect(error.description.contains(change.words), "\(error)")
    }
    #expect(try variant.served(with: [.cudaGraphs], on: .gpu, folder: "/tmp").execution.usesCUDAGraphs)
    #expect(throws: ExperimentError.self) { try variant.served(with: [], on: .gpu, folder: "/tmp") }
  }

  /// A graph's server is told so in its configuration, beside eager batching, in one block.
  @Test func aGPUsConfigurationSaysGraphs() throws {
    var variant = try Experiment.caseStudyOnProcessor().variants[0]
    variant.execution.usesCUDAGraphs = true
    variant.scheduler.batchesEagerly = true
    let text = ServingFolder.configuration(variant, model: "m", device: "cuda:0")
    #expect(text.contains("optimization { eager_batching: true cuda { graphs: true } }") && text.contains("KIND_GPU"))
    #expect(!ServingFolder.configuration(variant, model: "m").contains("cuda"))
  }
}
