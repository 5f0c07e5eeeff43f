import CheckedNumbers
import Diagnosis
import Execution
import FileAccess
import Glibc
import JSONText
import LoadModel
import ProcessContract
import Reporting
import TimeBase
import Trace
import Workload

/// `bench --apply HRxxx --prove`: a finding's fix is predicted, made to a second server, and both servers are run in interleaved pairs.
package struct ChangeProof {
  package var runner: MeasuredRunner
  /// With one variant.
  package var experiment: Experiment
  /// The finding's: "HR121".
  package var code: String
  /// Pairs of runs.
  package var pairs = 5
  /// What the prediction was made by, where it is not this run's own: a simulation of the variant.
  package var simulated: [RankedFinding]?

  package struct Outcome {
    package var proof: PairedProof
    package var report: Report
    /// The ledger's line, and `--json`'s object.
    package var entry: JSONValue
  }

  package init(runner: MeasuredRunner, experiment: Experiment, code: String) {
    self.runner = runner
    self.experiment = experiment
    self.code = code
  }

  /// - Parameter record: takes the prediction down before the pairs are run.
  package func run(record: (JSONValue) throws -> Void) throws -> Outcome {
    guard experiment.variants.count == 1, let variant = experiment.variants.first else {
      let names = experiment.variants.map(\.name).joined(separator: ", ")
      throw ExperimentError("--prove changes one variant: choose it with --variant (\(names))")
    }
    // What the run shows, and what the fitted simulation says that the fix would buy.
    var ranked: [RankedFinding]
    var device = runner.device
    if let simulated {
      ranked = simulated
    } else {
      var first = runner
      first.comparesEqualRows = false
      first.explains = true
      first.only = FindingCode(rawValue: code)
      let seen = try first.run(experiment)
      ranked = seen.variants.first?.compared.assessment.ranked ?? []
      device = seen.device
    }
    let (finding, fix, gains) = try RankedFinding.toProve(code, in: ranked)
    let temporary: TemporaryFolder
    do throws(FileError) { temporary = try TemporaryFolder("headroom-proof") } catch { throw ExperimentError("\(error)") }
    // Until both servers have ended: one reads the rewritten model in it.
    defer { withExtendedLifetime(temporary) {} }
    let deviceClass = DeviceClass(deviceName: runner.device)
    let changed = try variant.served(with: fix.changes, on: deviceClass, folder: temporary.path)
    let prediction = Self.prediction(finding, fix, gains, variant: variant.name, device: device)
    let digest = ModelDigest.sha256(Array(prediction.serialized(pretty: false).utf8))
    try record(prediction)

    let runs = try measure(variant, changed)
    func line(_ quantity: String, _ gain: Gain?, _ value: (LoadResult) -> Double?) -> PairedProof.Line? {
      guard let gain else { return nil }
      let both = runs.compactMap { pair in value(pair.before).flatMap { before in value(pair.after).map { (before, $0) } } }
      return PairedProof.line(quantity, predicted: gain.change, before: both.map(\.0), after: both.map(\.1))
    }
    func latency(_ percentile: Double) -> (LoadResult) -> Double? {
      { $0.latency.value(atPercentile: percentile).map { Double($0) / 1e6 } }
    }
    let lines = [
      line("requests/s", gains.throughput) { $0.answersPerSecond }, line("median latency", gains.medianLatency, latency(50)),
      line("p99 latency", gains.p99Latency, latency(99)),
    ]
    let proof = PairedProof(code: code, fix: fix.title, lines: lines.compactMap { $0 })
    return Outcome(
      proof: proof, report: report(proof, finding, variant: variant, device: device, digest: digest),
      entry: Self.entry(proof, variant: variant.name, device: device, digest: digest, pairs: runs.count))
  }

  private struct Pair {
    var before: LoadResult
    var after: LoadResult
  }

  private func measure(_ variant: Variant, _ changed: Variant) throws(ExperimentError) -> [Pair] {
    var quiet = runner
    // Without a recording: what is compared is the servers.
    (quiet.recordsOSCalls, quiet.profileSeconds) = (false, 0)
    let before = try quiet.server(of: variant)
    var servers = [before]
    do throws(ExperimentError) {
      let after = try quiet.server(of: changed)
      servers.append(after)
      var found: [Pair] = []
      for (index, changesFirst) in PairedProof.order(pairs: pairs, seed: experiment.seed).enumerated() {
        runner.progress("pair \(index + 1) of \(pairs)")
        func load(_ server: MeasuredServer) throws(ExperimentError) -> LoadResult {
          try GeneratorRun.run(variant.workload, on: server, binary: runner.binary, seed: experiment.seed &+ UInt64(clamping: index)).result
        }
        if changesFirst {
          let with = try load(after)
          found.append(Pair(before: try load(before), after: with))
        } else {
          let without = try load(before)
          found.append(Pair(before: without, after: try load(after)))
        }
      }
      for server in servers { _ = try server.stop() }
      return found
    } catch {
      for server in servers { server.abandon() }
      throw error
    }
  }

  private static func prediction(
    _ finding: Finding, _ fix: Fix, _ gains: GainEstimate, variant: String, device: String
  ) -> JSONValue {
    func change(_ gain: Gain?) -> JSONValue { gain?.change.json ?? .null }
    return [
      "schema": "headroom.proof-prediction/1", "headroom": .string(ProgramVersion.current), "epochSeconds": JSONValue(Int64(time(nil))),
      "code": .string(finding.code.rawValue), "fix": .string(fix.title), "variant": .string(variant), "device": .string(device),
      "throughputChange": change(gains.throughput), "medianLatencyChange": change(gains.medianLatency),
      "p99LatencyChange": change(gains.p99Latency),
    ]
  }

  private static func entry(_ proof: PairedProof, variant: String, device: String, digest: String, pairs: Int) -> JSONValue {
    [
      "schema": "headroom.proof/1", "headroom": .string(ProgramVersion.current), "epochSeconds": JSONValue(Int64(time(nil))),
      "code": .string(proof.code), "fix": .string(proof.fix), "variant": .string(variant), "device": .string(device),
      "predictionSHA256": .string(digest), "pairs": JSONValue(pairs), "outcome": .string(proof.outcome.rawValue),
      "lines": .array(
        proof.lines.map {
          [
            "quantity": .string($0.quantity), "predicted": $0.predicted.json, "measured": $0.measured.json,
            "outcome": .string($0.outcome.rawValue),
          ]
        }),
    ]
  }

  private func report(_ proof: PairedProof, _ finding: Finding, variant: Variant, device: String, digest: String) -> Report {
    let table = FigureTable(
      columns: ["predicted", "measured", "outcome"],
      rows: proof.lines.map {
        .init($0.quantity, cells: [.figure($0.predicted), .figure($0.measured), .text($0.outcome.rawValue)])
      })
    let verdict: Sentence =
      switch proof.outcome {
      case .hit: "hit: the change did what was predicted"
      case .miss: "miss: the change did not do what was predicted; the finding's gain is unproven here"
      case .undecided: "undecided: the pairs differ among each other by more than the change; repeat it on a quiet machine, or for longer"
      }
    return Report(
      title: "headroom bench --apply \(proof.code) --prove: \(variant.name), measured on this machine",
      question: "Does \(proof.code) (\(finding.name)), fixed by \"\(proof.fix)\", buy what was predicted?", banner: nil,
      facts: [("device", device), ("pairs", "\(pairs), interleaved, the order of each drawn"), ("prediction", "SHA-256 \(digest)")],
      notes: [],
      sections: [
        Report.Section(
          id: "proof", heading: "Predicted and measured",
          explanation: "Relative changes. The prediction was written down before the first pair; both servers ran all the time.",
          blocks: [.sentences(heading: nil, [verdict]), .table(table)])
      ])
  }
}
