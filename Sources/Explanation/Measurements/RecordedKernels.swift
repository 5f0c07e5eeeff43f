import CheckedNumbers
import GPUModel
import Trace

/// Kernels of the device of a trace that ran them longest, in order, with what their names say.
struct RecordedKernels {
  /// What a kernel's name says.
  struct Name {
    var parsed: KernelName
    /// As printed.
    var short: String
    /// In lower case.
    var lower: String
    /// Adds up the parts of a product whose depth was split.
    var isSplitReduction: Bool { lower.contains("splitkreduce") || lower.contains("splitk_reduce") }
    /// Computes a product.
    var isProduct: Bool { parsed.role.isProduct && !isSplitReduction }
  }

  /// Kernel events by start.
  var events: [DeviceEvent] = []
  /// What is known of the device.
  var facts: DeviceFacts
  /// Steps of the loop; nil where counts do not tell.
  var steps: Int?
  private var names: [Name]

  init(of trace: Trace, gpu: GPU?, steps given: Int?) {
    let devices = DeviceActivity.all(of: trace)
    func kernelTime(_ device: DeviceActivity) -> Int64 {
      device.events.reduce(0) { $1.kind == .kernel ? $0.addingSaturated($1.end - $1.start) : $0 }
    }
    let device = devices.max { kernelTime($0) < kernelTime($1) }
    events = device?.events.filter { $0.kind == .kernel } ?? []
    facts = DeviceFacts(device?.gpu, named: gpu)
    names = trace.kernelDescriptions.indices.map { index in
      let description = trace.kernelDescriptions[index]
      let full = trace.names[description.demangledName] ?? trace.names[description.shortName] ?? ""
      return Name(
        parsed: KernelName(full), short: KernelName.short(trace, KernelID(rawValue: Int32(clamping: index))), lower: full.lowercased())
    }
    if let given {
      steps = given
    } else {
      var counts: [KernelID: Int] = [:]
      for event in events { counts[trace.kernels.description[Int(event.row)], default: 0] += 1 }
      steps = Self.steps(Array(counts.values))
    }
  }

  func name(_ id: KernelID) -> Name {
    names.indices.contains(Int(id.rawValue)) ? names[Int(id.rawValue)] : Name(parsed: KernelName(""), short: "unknown", lower: "")
  }

  /// Every kernel of a loop runs a fixed number of times per step: the largest number that divides the counts of all but half a percent of
  /// the launches. nil where that is 1: a window that cuts steps, or shapes that change.
  static func steps(_ counts: [Int]) -> Int? {
    let total = counts.reduce(0, +)
    guard let largest = counts.max(), largest > 1 else { return nil }
    var best = 1
    for count in Set(counts.sorted(by: >).prefix(16)) {
      var divisor = 1
      while divisor * divisor <= count, divisor < 100_000 {
        if count % divisor == 0 {
          for candidate in [divisor, count / divisor] where candidate > best {
            let fitting = counts.reduce(0) { $1 % candidate == 0 ? $0 + $1 : $0 }
            if fitting * 200 >= total * 199 { best = candidate }
          }
        }
        divisor += 1
      }
    }
    return best > 1 ? best : nil
  }
}
