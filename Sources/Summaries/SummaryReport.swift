/// The summaries there are, by the names that `nsys stats --report` knows them under.
public enum SummaryReport: String, Sendable, Hashable, CaseIterable {
  /// CUDA calls by function, runtime and driver together.
  case apiCalls = "cuda_api_sum"
  /// CUDA calls, kernels and memory operations together.
  case apiAndDevice = "cuda_api_gpu_sum"
  /// Kernels and memory operations together.
  case device = "cuda_gpu_sum"
  /// Kernels by name.
  case kernels = "cuda_gpu_kern_sum"
  /// Kernels by name, grid and block.
  case kernelGeometry = "cuda_gpu_kern_gb_sum"
  /// Copies and fills by direction: their time.
  case memoryTime = "cuda_gpu_mem_time_sum"
  /// Copies and fills by direction: their size.
  case memorySize = "cuda_gpu_mem_size_sum"
  /// Launch call, queue and execution of kernels, by kernel and calling thread.
  case kernelExecution = "cuda_kern_exec_sum"
  /// Operating-system calls by function.
  case osCalls = "osrt_sum"
  /// Annotated ranges by text.
  case ranges = "nvtx_sum"
  /// Push/pop ranges alone.
  case pushPopRanges = "nvtx_pushpop_sum"
  /// Start/end ranges alone.
  case startEndRanges = "nvtx_startend_sum"
  /// Operators of a framework by name (ours).
  case operators = "operator_sum"
  /// What the driver and the profiler took (ours).
  case overheads = "overhead_sum"

  /// What a person calls it.
  public var title: String {
    switch self {
    case .apiCalls: "CUDA API summary"
    case .apiAndDevice: "CUDA summary (API, kernels, memory operations)"
    case .device: "CUDA GPU summary (kernels, memory operations)"
    case .kernels: "CUDA GPU kernel summary"
    case .kernelGeometry: "CUDA GPU kernel summary by grid and block"
    case .memoryTime: "CUDA GPU memory operations by time"
    case .memorySize: "CUDA GPU memory operations by size"
    case .kernelExecution: "CUDA kernel launch and execution time"
    case .osCalls: "OS runtime summary"
    case .ranges: "NVTX range summary"
    case .pushPopRanges: "NVTX push/pop range summary"
    case .startEndRanges: "NVTX start/end range summary"
    case .operators: "framework operator summary"
    case .overheads: "driver and profiler overhead"
    }
  }

  /// Names of before 2023, without underscores, and other spellings that people's scripts hold.
  private static let aliases: [String: SummaryReport] = [
    "cudaapisum": .apiCalls, "apisum": .apiCalls, "gpusum": .device, "apigpusum": .apiAndDevice, "gpukernsum": .kernels,
    "gpukerngbsum": .kernelGeometry, "gpumemtimesum": .memoryTime, "gpumemsizesum": .memorySize, "kernexecsum": .kernelExecution,
    "osrtsum": .osCalls, "nvtxsum": .ranges, "pushpopsum": .pushPopRanges, "nvtxppsum": .pushPopRanges, "nvtxsssum": .startEndRanges,
    "startendsum": .startEndRanges,
  ]

  /// The report of a name, today's or that of before 2023; nil where there is none.
  public init?(name: String) {
    if let report = SummaryReport(rawValue: name) ?? Self.aliases[name] { self = report } else { return nil }
  }
}

/// A report with what follows its name behind a colon, as `nsys stats` writes it: `cuda_gpu_kern_sum:base`.
public struct SummaryRequest: Sendable, Hashable {
  /// How kernels are named.
  public enum KernelName: String, Sendable, Hashable, CaseIterable {
    /// With template arguments and parameters.
    case demangled
    /// The function's name alone.
    case base
    /// The C++ symbol.
    case mangled
  }

  /// Which.
  public var report: SummaryReport
  /// How kernels are named.
  public var kernelName: KernelName

  /// A request.
  public init(_ report: SummaryReport, kernelName: KernelName = .demangled) {
    self.report = report
    self.kernelName = kernelName
  }

  /// Reads "cuda_gpu_kern_sum:base". An error says what is not known and what is.
  public init(parsing text: String) throws(SummaryRequestError) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard let report = SummaryReport(name: parts.first ?? "") else {
      throw SummaryRequestError(
        description: "no report \"\(parts.first ?? "")\"; there are \(SummaryReport.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    var name = KernelName.demangled
    for option in parts.dropFirst() {
      guard let known = KernelName(rawValue: option) else {
        throw SummaryRequestError(description: "\(report.rawValue) knows :base and :mangled, not \":\(option)\"")
      }
      name = known
    }
    self.init(report, kernelName: name)
  }
}

/// A report that there is not.
public struct SummaryRequestError: Error, Equatable, CustomStringConvertible {
  /// What was asked and what there is.
  public var description: String
}
