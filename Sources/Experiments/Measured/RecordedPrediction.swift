import CheckedNumbers
import Diagnosis
import Execution
public import FileAccess
import JSONText

/// What virtual time said before a run, written down and hashed before the first request is sent: nobody can make it fit afterwards.
public struct RecordedPrediction: Sendable, Hashable {
  /// SHA-256 of `text`, hexadecimal.
  public var digest: String
  /// The file's content.
  public var text: String
  /// Name of its file in the report's folder.
  public static let fileName = "prediction.json"

  /// Of simulated runs.
  ///
  /// - Parameters:
  ///   - epochSeconds: when it was made, seconds since 1970.
  ///   - device: what the runs are to be made on.
  public init(of runs: [ComparedRun], experiment: String, device: String, version: String, epochSeconds: Int64) {
    let variants = runs.map { run -> JSONValue in
      func latency(_ percentile: Double) -> JSONValue { JSONValue(run.run.latencyMilliseconds(percentile: percentile)) }
      return [
        "name": .string(run.name), "setting": .string(run.setting), "requestsPerSecond": JSONValue(run.throughputFigure.value),
        "rowsPerBatch": JSONValue(run.evidence.batching.meanRows?.value), "gpuBusyShare": JSONValue(run.evidence.device.gpuBusy?.value),
        "kernelMicrosecondsPerBatch": JSONValue(run.kernelTimePerBatch?.value), "p50Milliseconds": latency(50),
        "p95Milliseconds": latency(95),
      ]
    }
    let document: JSONValue = [
      "schema": "headroom.prediction/1", "headroom": .string(version), "epochSeconds": JSONValue(epochSeconds),
      "experiment": .string(experiment), "device": .string(device), "variants": .array(variants),
    ]
    text = document.serialized(pretty: true) + "\n"
    digest = ModelDigest.sha256(Array(text.utf8))
  }

  /// Writes it.
  public func write(into folder: String) throws(FileError) {
    try Files.createFolder(folder)
    try Files.write(folder + "/" + Self.fileName, Array(text.utf8))
  }
}

extension ComparedRun {
  /// Kernel time over batches; where kernels overlap it counts once.
  var kernelTimePerBatch: Figure? {
    guard run.batches > 0, analysis.device.gpuBusy > 0 else { return nil }
    return Figure(
      Double(analysis.device.gpuBusy) / Double(run.batches) / 1000, .microseconds, analysis.kind, source: "union of kernels over batches")
  }
}
