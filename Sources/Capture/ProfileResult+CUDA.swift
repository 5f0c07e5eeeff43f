import CheckedNumbers
import Diagnosis
import JSONText
import Reporting
import Trace
import TraceFormats

extension ProfileResult {
  private static let reports = [Summary.Report.gpuKernels, .gpuMemory, .cudaAPI]

  var cudaLines: [String] {
    guard let cuda else {
      return ["", "CUDA: nothing was recorded: \(cudaHolderText)", ""]
    }
    let trace = cuda.trace
    var lines = [
      "",
      "CUDA: \(Self.plural(Set(cuda.files.map(\.process)).count, "process", "processes")), "
        + "\(Self.plural(trace.kernels.count, "kernel", "kernels")), \(Self.plural(trace.copies.count, "copy", "copies")), "
        + "\(Self.plural(trace.apiCalls.count, "call", "calls"))",
    ]
    for report in Self.reports {
      let summary = Summary(report, of: trace)
      if summary.rows.isEmpty { continue }
      lines += ["", "\(report.title(on: .gpu)), as `nsys stats --report \(report.rawValue)`", ""] + Self.table(summary, limit: 12)
    }
    lines.append("")
    lines += cudaRemarks.map { "  " + $0 }
    return lines
  }

  private var cudaHolderText: String {
    "CUDA_INJECTION64_PATH was \(cudaHolder ?? "") already: the driver loads one library, and that one stays. Unset it, or profile without it"
  }

  private var cudaRemarks: [String] {
    guard let cuda else { return cudaHolder == nil ? [] : [cudaHolderText] }
    var remarks = cuda.remarks.map { ($0.isWarning ? "NOT RECORDED: " : "") + $0.text }
    if cuda.files.isEmpty {
      remarks.append(
        "no process started CUDA: COMMAND does not use it, or its driver loads no library (CUDA_INJECTION64_PATH is ignored by set-id programs)"
      )
    }
    let cost = cuda.files.reduce(Int64(0)) { $0.addingSaturated($1.threadNanoseconds) }
    if cost > 0 {
      remarks.append(
        "the recording thread took \(NumberText.time(nanoseconds: Double(cost))) of a core, not counting what CUPTI adds to each call")
    }
    return remarks
  }

  var cudaJSON: JSONValue {
    guard cuda != nil || cudaHolder != nil else { return .null }
    let trace = cuda?.trace ?? Trace()
    let bad = cuda?.badTimes ?? CUDACapture.BadTimes()
    func rows(_ report: Summary.Report) -> JSONValue { .array(Summary(report, of: trace).rows.map { $0.json }) }
    return [
      "kernels": JSONValue(trace.kernels.count), "copies": JSONValue(trace.copies.count), "fills": JSONValue(trace.memsets.count),
      "calls": JSONValue(trace.apiCalls.count), "synchronizations": JSONValue(trace.synchronizations.count),
      "droppedRecords": JSONValue(cuda?.droppedRecords ?? 0),
      "badTimes": [
        "withoutStart": JSONValue(bad.withoutStart), "reversed": JSONValue(bad.reversed), "beforeLaunch": JSONValue(bad.beforeLaunch),
        "outside": JSONValue(bad.outside),
      ],
      "processes": .array((cuda?.files ?? []).map(Self.json)), "gpuKernels": rows(.gpuKernels), "gpuMemory": rows(.gpuMemory),
      "cudaAPI": rows(.cudaAPI), "remarks": .array(cudaRemarks.map { .string($0) }),
    ]
  }

  private static func json(_ file: CUDACaptureFile) -> JSONValue {
    func text(_ value: String) -> JSONValue { value.isEmpty ? .null : .string(value) }
    let status =
      switch file.status {
      case .waiting: "waiting"
      case .recording: "recording"
      case .finished: "finished"
      case .failed: "failed"
      case nil: "unknown"
      }
    return [
      "process": JSONValue(file.process), "program": .string(file.program), "status": .string(status), "failedStep": text(file.step),
      "cuptiResult": JSONValue(file.result), "cupti": text(file.library), "cuptiVersion": JSONValue(file.cuptiVersion),
      "driverVersion": JSONValue(file.driverVersion), "records": JSONValue(file.records), "droppedByCUPTI": JSONValue(file.droppedByCUPTI),
      "droppedForRoom": JSONValue(file.droppedForRoom), "discardedBuffers": JSONValue(file.discardedBuffers),
      "buffersLostToAnotherTool": JSONValue(file.lostBuffers), "writerNanoseconds": JSONValue(file.threadNanoseconds),
    ]
  }
}
