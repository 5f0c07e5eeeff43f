import Dispatch
import FileAccess
import GPUModel
import Glibc
import KernelFitting
import Synchronization

/// Fits the kernel model and writes its constants and its accuracy page:
///
///     fit-kernel-model --measurements FILE.csv --emit Sources/GPUModel/Constants/KernelCalibrations+Fitted.swift --accuracy Docs/accuracy.md
@main
struct Main {
  /// Names in the measurements' file and in the catalogue.
  static let names = [
    "a100_sxm": "A100 SXM4 80GB", "l40s": "L40S", "rtx_pro_6000_server": "RTX PRO 6000 Blackwell Server", "h100_sxm": "H100 SXM",
    "h200_sxm": "H200 SXM", "b200_sxm": "B200",
  ]

  static func main() throws {
    var options: [String: String] = [:]
    var rest = CommandLine.arguments.dropFirst()
    while let flag = rest.popFirst() {
      guard ["--measurements", "--emit", "--accuracy", "--date", "--evaluations"].contains(flag), let value = rest.popFirst() else {
        fail("usage: fit-kernel-model --measurements FILE.csv --emit FILE.swift --accuracy FILE.md --date YYYY-MM-DD [--evaluations N]")
      }
      options[flag] = value
    }
    guard let path = options["--measurements"], let date = options["--date"] else { fail("--measurements and --date are needed") }
    let rows = try Measurement.read(csv: try Files.readText(path))
    let catalogue = GPUCatalogue()
    var samples: [KernelFitter.Sample] = []
    for (key, name) in names.sorted(by: { $0.value < $1.value }) {
      let gpu = try catalogue.find(name).gpu
      samples.append(KernelFitter.Sample(gpu: gpu, measurements: rows.filter { $0.gpu == key }))
    }
    let study = Study(samples: samples, fitter: KernelFitter(evaluations: options["--evaluations"].flatMap { Int($0) } ?? 2400))
    let result = study.run()
    if let emit = options["--emit"] { try Files.write(emit, result.swiftSource(date: date)) }
    if let accuracy = options["--accuracy"] { try Files.write(accuracy, result.page(date: date)) }
  }

  static func fail(_ text: String) -> Never {
    report(text)
    exit(64)
  }
}

/// All fits that the constants and the accuracy page need, run on all cores.
struct Study: Sendable {
  let samples: [KernelFitter.Sample]
  let fitter: KernelFitter
  static let foldCount = 3
  static let ensembleSize = 5

  typealias Pair = (predicted: Double, measured: Double)

  /// One fit to do.
  enum Job: Sendable {
    case final(gpu: Int)
    case fold(gpu: Int, fold: Int)
    case resampled(gpu: Int, index: Int)
    case family(KernelFamily)
    case familyMember(KernelFamily, index: Int)
    case without(gpu: Int)
  }

  func run() -> StudyResult {
    var jobs: [Job] = []
    for gpu in samples.indices {
      jobs.append(.final(gpu: gpu))
      for fold in 0..<Self.foldCount { jobs.append(.fold(gpu: gpu, fold: fold)) }
      for index in 0..<Self.ensembleSize { jobs.append(.resampled(gpu: gpu, index: index)) }
      if samples.count(where: { $0.gpu.family == samples[gpu].gpu.family }) > 1 { jobs.append(.without(gpu: gpu)) }
    }
    for family in [KernelFamily.mma, .wgmma, .tcgen05] {
      jobs.append(.family(family))
      for index in 0..<Self.ensembleSize { jobs.append(.familyMember(family, index: index)) }
    }
    let work = jobs
    let fitted = Mutex<[Int: KernelConstants]>([:])
    DispatchQueue.concurrentPerform(iterations: work.count) { index in
      let constants = fit(work[index], seed: UInt64(clamping: index) + 1)
      let done = fitted.withLock { table in
        table[index] = constants
        return table.count
      }
      report("fit \(done) of \(work.count): \(work[index])")
    }
    return StudyResult(
      study: self, fits: fitted.withLock { table in work.indices.compactMap { index in table[index].map { (work[index], $0) } } })
  }

  static let start: [KernelFamily: [Double]] = [
    .mma: [2, 150, 200, 0.95, 40, 0.88, 1.5, 1.8, 0.6, 1.5, 400, 0.4, 0.6, 1.5, 0.3, 600],
    .wgmma: [2.2, 70, 200, 0.93, 64, 0.85, 2, 2.7, 0.3, 0.96, 480, 0.3, 0.5, 3, 0.3, 500],
    .tcgen05: [2, 66, 200, 0.85, 128, 0.85, 1.5, 2.9, 0.75, 0.7, 100, 0.1, 0.3, 2.5, 0.5, 500],
  ]

  func fit(_ job: Job, seed: UInt64) -> KernelConstants {
    func prior(_ family: KernelFamily) -> KernelConstants { Self.start[family].flatMap { KernelConstants(values: $0) } ?? samples[0].prior }
    switch job {
    case .final(let gpu):
      return fitter.fit([samples[gpu]], prior: prior(samples[gpu].gpu.family), seed: seed)
    case .fold(let gpu, let fold):
      let folds = KernelFitter.folds(samples[gpu].measurements, count: Self.foldCount, seed: 1)
      return fitter.fit([samples[gpu].keeping { folds[$0] != fold }], prior: prior(samples[gpu].gpu.family), seed: seed)
    case .resampled(let gpu, let index):
      return fitter.fit([resampled(gpu, index)], prior: prior(samples[gpu].gpu.family), seed: seed)
    case .family(let family):
      return fitter.fit(samples.filter { $0.gpu.family == family }, prior: prior(family), seed: seed)
    case .familyMember(let family, let index):
      let members = samples.indices.filter { samples[$0].gpu.family == family }.map { resampled($0, index) }
      return fitter.fit(members, prior: prior(family), seed: seed)
    case .without(let gpu):
      let family = samples[gpu].gpu.family
      let others = samples.indices.filter { $0 != gpu && samples[$0].gpu.family == family }.map { samples[$0] }
      return fitter.fit(others, prior: prior(family), seed: seed)
    }
  }

  /// Half of the weight shapes, another half for every index: where two such fits disagree, the data do not decide.
  func resampled(_ gpu: Int, _ index: Int) -> KernelFitter.Sample {
    let folds = KernelFitter.folds(samples[gpu].measurements, count: 2, seed: UInt64(clamping: index) + 100)
    return samples[gpu].keeping { folds[$0] == 0 }
  }
}

extension KernelFitter.Sample {
  var prior: KernelConstants { KernelCalibrations.family(gpu.family).constants }

  func keeping(_ keep: (Int) -> Bool) -> KernelFitter.Sample {
    KernelFitter.Sample(gpu: gpu, measurements: measurements.enumerated().filter { keep($0.offset) }.map(\.element))
  }

  /// Measured times beside predictions of some constants.
  func pairs(_ constants: KernelConstants) -> [Study.Pair] {
    zip(KernelFitter.predictions(self, constants), measurements.map(\.microseconds)).map { ($0, $1) }
  }
}

/// A line on standard error.
func report(_ text: String) {
  let line = Array((text + "\n").utf8)
  _ = write(STDERR_FILENO, line, line.count)
}
