import FileAccess
import GPUModel
import Glibc
import KernelFitting

/// Fits the kernel model and writes its constants and its accuracy page:
///
///     fit-kernel-model --measurements FILE.csv --records FILE.csv --memory FILE.csv
///       --emit Sources/GPUModel/Constants/KernelCalibrations+Fitted.swift --accuracy Docs/accuracy.md --date YYYY-MM-DD
@main
struct Main {
  /// Names in the measurements' files and in the catalogue.
  static let names = [
    "a100_sxm": "A100 SXM4 80GB", "l40s": "L40S", "rtx_pro_6000_server": "RTX PRO 6000 Blackwell Server", "h100_sxm": "H100 SXM",
    "h200_sxm": "H200 SXM", "b200_sxm": "B200", "NVIDIA H100 80GB HBM3": "H100 SXM", "NVIDIA H200": "H200 SXM",
  ]

  static let usage = """
    usage: fit-kernel-model --measurements FILE.csv [--records FILE.csv]... [--memory FILE.csv]... --emit FILE.swift --accuracy FILE.md \
    --date YYYY-MM-DD
    """

  static func main() throws {
    var options: [String: [String]] = [:]
    var rest = CommandLine.arguments.dropFirst()
    while let flag = rest.popFirst() {
      let known = ["--measurements", "--records", "--memory", "--emit", "--accuracy", "--date"]
      guard known.contains(flag), let value = rest.popFirst() else { fail(usage) }
      options[flag, default: []].append(value)
    }
    guard let path = options["--measurements"]?.last, let date = options["--date"]?.last else {
      fail("--measurements and --date are needed")
    }
    var rows = try Measurement.read(csv: try Files.readText(path))
    for file in options["--records"] ?? [] { rows += try Measurement.read(csv: try Files.readText(file)) }
    var memory: [MemoryMeasurement] = []
    for file in options["--memory"] ?? [] { memory += try MemoryMeasurement.read(csv: try Files.readText(file)) }
    let catalogue = GPUCatalogue()
    var boards: [Board] = []
    for name in Set(names.values).sorted() {
      func isOfThis(_ text: String) -> Bool { names[text] == name || text == name }
      let sample = KernelFitter.Sample(gpu: try catalogue.find(name).gpu, measurements: rows.filter { isOfThis($0.gpu) })
      if sample.measurements.isEmpty { continue }
      boards.append(Board(sample: sample, memory: memory.filter { isOfThis($0.gpu) }))
    }
    let result = Study(boards: boards).run()
    let source = result.swiftSource(date: date)
    if let emit = options["--emit"]?.last { try Files.write(emit, source) }
    if let accuracy = options["--accuracy"]?.last {
      try Files.write(accuracy, AccuracyPage(result: result, digest: SourceDigest.of(source)).text(date: date))
    }
  }

  static func fail(_ text: String) -> Never {
    report(text)
    exit(64)
  }
}

/// What was measured on one GPU.
struct Board: Sendable {
  var sample: KernelFitter.Sample
  var memory: [MemoryMeasurement]

  var gpu: GPU { sample.gpu }
  var hasRecords: Bool { sample.measurements.contains { $0.quantity == .kernel } }

  /// Classes beside the main one that were measured often enough.
  var others: [KernelClass] {
    KernelClass.allCases.filter { kernels in
      kernels != .tensor16 && sample.measurements.count { KernelClass($0.gemm) == kernels } >= KernelFitter.minimumMeasurements
    }
  }
}

/// A line on standard error.
func report(_ text: String) {
  let line = Array((text + "\n").utf8)
  _ = write(STDERR_FILENO, line, line.count)
}
