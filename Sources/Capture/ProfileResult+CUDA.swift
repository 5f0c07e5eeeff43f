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
    lines += costLines.map { "  " + $0 }
    lines += cudaRemarks.map { "  " + $0 }
    return lines
  }

  /// What each mode adds to a run of COMMAND.
  private var costLines: [String] {
    guard let cost, !cost.costs.isEmpty else { return [] }
    func time(_ nanoseconds: Double) -> String { (nanoseconds < 0 ? "-" : "") + NumberText.time(nanoseconds: nanoseconds.magnitude) }
    var lines = [
      "cost of recording: \(Self.plural(cost.rounds.count, "round", "rounds")) of whole runs in turn, CUPTI's start included, against runs without"
    ]
    for entry in cost.costs {
      let each = entry.addedPerLaunch.map { ", \(time($0)) per launch of \(NumberText.grouped(cost.launches))" } ?? ""
      lines.append(
        "  --cuda-calls \(entry.mode.rawValue): \(time(entry.added)) (\(time(entry.range.lowerBound)) to \(time(entry.range.upperBound)))\(each)"
      )
    }
    if let cheapest = cost.cheapest { lines.append("  cheapest here: --cuda-calls \(cheapest.rawValue)") }
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
        "no process started CUDA: COMMAND does not use it, or only in a process that outlived it (a daemon), or its driver loads no library (CUDA_INJECTION64_PATH is ignored by set-id programs)"
      )
    }
    for process in unrecorded {
      remarks.append(
        "NOT RECORDED: process \(process.process) (\(process.program)) uses CUDA and has no recording: it was started with a cleaned environment (env -i, sudo, a container), or with rights of its own; pass on CUDA_INJECTION64_PATH and HEADROOM_CUDA_CAPTURE"
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
        "acrossOthers": JSONValue(bad.acrossOthers), "outside": JSONValue(bad.outside),
      ],
      "processes": .array((cuda?.files ?? []).map(Self.json)), "gpuKernels": rows(.gpuKernels), "gpuMemory": rows(.gpuMemory),
      "cudaAPI": rows(.cudaAPI), "cost": costJSON,
      "unrecorded": .array(unrecorded.map { ["process": JSONValue($0.process), "program": .string($0.program)] }),
      "remarks": .array(cudaRemarks.map { .string($0) }),
    ]
  }

  private var costJSON: JSONValue {
    guard let cost else { return .null }
    return .array(
      cost.costs.map {
        [
          "calls": .string($0.mode.rawValue), "rounds": JSONValue(cost.rounds.count), "launches": JSONValue(cost.launches),
          "addedNanoseconds": JSONValue($0.added), "addedNanosecondsPerLaunch": JSONValue($0.addedPerLaunch),
        ]
      })
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
