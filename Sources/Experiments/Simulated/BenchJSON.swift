import Diagnosis
public import JSONText
import Reporting
import Explanation
import Simulation
import Vocabulary

extension ExperimentResult {
  /// Version of the JSON output.
  public static let schema = "headroom.bench/4"

  /// Everything that is said, for machines. Every number that was computed is a figure with unit, kind and source.
  public func json(version: String) -> JSONValue {
    [
      "schema": .string(Self.schema), "headroom": .string(version), "mode": "simulated", "experiment": .string(experiment.name),
      "question": .string(experiment.question), "seed": JSONValue(Int64(truncatingIfNeeded: experiment.seed)),
      "repetitions": JSONValue(experiment.repetitions), "p99GoalMilliseconds": JSONValue(experiment.latencyGoal.p99Milliseconds),
      "notes": .array(experiment.notes.map { .string($0) }), "variants": .array(variants.map { $0.json }),
    ]
  }
}

extension VariantResult {
  var json: JSONValue {
    let figures = compared.figures(
      own: [
        ("dominantKernelActiveShare", dominant?.active), ("nonOverlappedMemcpyShare", evidence.copies.nonOverlappedMemcpy),
        ("residentSMShare", evidence.kernels.residentSMShareOfAll), ("smActiveShare", smActive),
        ("tensorThroughputShare", tensorThroughput), ("usefulTensorThroughputShare", usefulThroughput), ("rooflineShare", roofShare),
        ("kernelsPerBatch", evidence.launches.launchesPerBatch), ("dominantKernelInstances", dominant?.instances),
        ("dominantKernelMeanMicroseconds", dominant?.mean), ("redundantShare", evidence.kernels.redundantShare),
      ])
    var elasticities: JSONValue = .null
    if let known = evidence.elasticities {
      let terms = TimeTerm.allCases.compactMap { term in known.values[term].map { JSONValue.Member(term.rawValue, $0.json) } }
      elasticities = ["terms": .object(terms), "sum": JSONValue(known.sum), "isConsistent": .bool(known.isConsistent)]
    }
    return .object(
      compared.members + [
        .init("model", .string(variant.model.text)), .init("device", .string("sim:" + variant.gpu.name)),
        .init("hostProfile", .string(variant.host.name)), .init("figures", figures),
        .init("dispatchReasons", evidence.batching.dispatchReasonsJSON), .init("throughputSensitivities", elasticities),
        .init("throughputsOfRepetitionsPerSecond", .array(throughputs.map { JSONValue($0) })),
      ])
  }
}
