import CheckedNumbers

extension CUDACapture {
  /// One thing that a reader of the trace must know.
  public struct Remark: Sendable, Hashable {
    /// Something is missing or wrong, and not only limited.
    public var isWarning: Bool
    /// What, and what to do.
    public var text: String
  }

  /// What the trace does not show, most serious first.
  public var remarks: [Remark] {
    var warnings = files.flatMap(failures)
    let bad = badTimes
    if bad.count > 0 {
      let parts = [
        (bad.withoutStart, "without a start"), (bad.reversed, "that end before they start"),
        (bad.beforeLaunch, "that start before their launch"), (bad.acrossOthers, "that break their stream's order"),
        (bad.outside, "outside of the recording"),
      ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
      warnings.append("\(bad.count) kernels, copies or fills with times that cannot be are left out: \(parts.joined(separator: ", "))")
    }
    warnings += damage
    var limits: [String] = []
    for file in files where file.status == .recording {
      let flushed = file.flushed.flatMap { at in file.armed.map { at.subtractingSaturated($0) } } ?? 0
      limits.append(
        "process \(file.process) did not end its recording (killed, or still running): what it did \(Self.milliseconds(flushed)) after its start and "
          + "later may be missing")
    }
    if files.contains(where: { ($0.armed ?? 0) > $0.loaded.addingSaturated(100_000_000) }) {
      limits.append("recording began after CUDA did: kernels of CUDA graphs made before then are not recorded one by one")
    }
    return warnings.map { Remark(isWarning: true, text: $0) } + limits.map { Remark(isWarning: false, text: $0) }
  }

  private static func milliseconds(_ nanoseconds: Int64) -> String { "\(nanoseconds / 1_000_000) ms" }

  private func failures(_ file: CUDACaptureFile) -> [String] {
    var texts: [String] = []
    let who = "process \(file.process)"
    if file.status == .failed { texts.append("\(who): nothing of CUDA was recorded: \(Self.reason(file))") }
    if file.refusedKinds != 0, file.status != .failed {
      let names = Self.kindNames.filter { file.refusedKinds >> $0.bit & 1 == 1 }.map(\.name)
      texts.append("\(who): CUPTI refused \(names.joined(separator: ", ")) (\(Self.resultText(file.result)))")
    }
    if file.droppedByCUPTI > 0 { texts.append("\(who): CUPTI dropped \(file.droppedByCUPTI) records for want of buffers") }
    if file.droppedForRoom > 0 {
      texts.append("\(who): \(file.droppedForRoom) records found no room; raise --cuda-limit-megabytes or record less (--cuda-calls none)")
    }
    if file.droppedRanges > 0 { texts.append("\(who): \(file.droppedRanges) NVTX ranges found no room") }
    if file.discardedBuffers > 0 {
      texts.append(
        "\(who): \(file.discardedBuffers) buffers (\(file.discardedBytes) bytes of records) were thrown away, as writing could not keep up")
    }
    if file.lostBuffers > 0 {
      let last = file.flushed.flatMap { at in file.armed.map { at.subtractingSaturated($0) } }
      texts.append(
        "\(who): CUPTI was taken over by another tool in the same process\(last.map { ", at the latest \(Self.milliseconds($0)) after the start" } ?? ""): "
          + "\(file.lostBuffers) buffers went to it. Profile without the other one (PyTorch's profiler, Nsight Systems)")
    }
    return texts
  }

  private static func reason(_ file: CUDACaptureFile) -> String {
    switch (file.step, file.result) {
    case ("libcupti", _):
      return
        "libcupti was not found, or is of a newer CUDA than the driver (\(file.driverVersion / 1000)): run `pip install nvidia-cuda-cupti-cu12` "
        + "(nvidia-cuda-cupti for a driver of CUDA 13), or name its folder with --cuda-path"
    case ("no driver", _): return "the library was not called by a CUDA driver"
    case ("cuptiSubscribe", 39):
      let holder = file.holder.isEmpty ? "another tool" : "\(file.holder) is in the process and"
      return "\(holder) holds CUPTI, which one tool at a time may use; end the other one, or start COMMAND without it"
    case (_, 35):
      return
        "the driver lets only root profile: set NVreg_RestrictProfilingToAdminUsers=0 for the nvidia module, or run as root (\(file.step))"
    default: return "\(file.step) failed (\(resultText(file.result)))"
    }
  }

  /// CUptiResult (cupti_result.h), those that a user can act on.
  static func resultText(_ result: Int32) -> String {
    switch result {
    case 8: "CUPTI_ERROR_OUT_OF_MEMORY"
    case 14: "CUPTI_ERROR_NOT_COMPATIBLE"
    case 15: "CUPTI_ERROR_NOT_INITIALIZED"
    case 21: "CUPTI_ERROR_INVALID_KIND"
    case 33: "CUPTI_ERROR_VIRTUALIZED_DEVICE_NOT_SUPPORTED"
    case 35: "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES"
    case 39: "CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED"
    case 40: "CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES"
    case 41: "CUPTI_ERROR_CONFIDENTIAL_COMPUTING_NOT_SUPPORTED"
    case 43: "CUPTI_ERROR_MIG_DEVICE_NOT_SUPPORTED"
    case 45: "CUPTI_ERROR_WSL_DEVICE_NOT_SUPPORTED"
    default: "CUptiResult \(result)"
    }
  }

  /// CUpti_ActivityKind.
  private static let kindNames: [(bit: UInt64, name: String)] = [
    (1, "copies"), (2, "fills"), (4, "driver calls"), (5, "runtime calls"), (8, "devices"), (10, "kernels"), (17, "overheads"),
    (36, "CUDA events"), (38, "synchronizations"), (51, "graph launches"),
  ]
}
