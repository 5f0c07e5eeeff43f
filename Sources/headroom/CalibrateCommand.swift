import Console
import ArgumentParser
import FileAccess
import GPUModel
import KernelFitting

struct CalibrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "calibrate", abstract: "Measure this machine, or fit a GPU's constants to measured GEMMs.",
    discussion: """
      --host measures what our server and a client cost around a model on this machine, and writes the profile that `headroom bench \
      --host FILE.json` and `host: FILE.json` in an experiment file read. --processor times whole batches of a model on the CPU device.

      For a GPU: measure the 24 products that --print-shapes lists (a second of GPU time each: median of some hundred replays), put the times into a
      column median_us, and give the file back; or give a profiler's kernel records (columns gpu, dtype, b, m, n, k, kernel_us_median, and \
      the rest as it comes), of several types and batched ones too. The fit is held near the constants known before, so that 24 points are enough.

      EXAMPLES
        headroom calibrate --host -o host.json
        headroom calibrate --processor linear --max-batch-size 256 -o linear.json
        headroom calibrate --print-shapes > shapes.csv
        headroom calibrate --gpu l4 --gpu-measurements measured.csv -o l4.json
        headroom plan model.onnx --gpu l4 --constants l4.json

      EXIT CODES
        0 measured or fitted; 1 failed; 64 usage.
      """)

  @OptionGroup(title: "This machine") var machine: CalibrateMachine
  @OptionGroup(title: "Sizes of a built-in model") var sizes: ModelOptions

  @Flag(help: "List the 24 products to measure, as CSV.") var printShapes = false
  @Option(help: "The GPU the measurements were made on.") var gpu: String?
  @Option(help: ArgumentHelp("JSON file with a GPU of your own.", valueName: "file")) var gpuFile: String?
  @Option(
    help: ArgumentHelp(
      "CSV with columns m, n, k, kernel_us_median (records) or median_us (replays), and optionally b, dtype, shortest and longest run.",
      valueName: "file")) var gpuMeasurements: String?
  @Option(name: [.short, .long], help: "File to write the constants, the profile or the times to.") var output: String?

  func run() throws {
    if machine.isAsked { return try machine.run(output: output, sizes: sizes) }
    if printShapes {
      Terminal.print("m,n,k")
      for shape in Measurement.designedShapes { Terminal.print("\(shape.m),\(shape.n),\(shape.k)") }
      return
    }
    guard let gpu, let gpuMeasurements, let output else {
      throw ValidationError("--gpu, --gpu-measurements and --output are needed (or --host, --processor, --print-shapes)")
    }
    var options = GPUOptions()
    options.gpu = gpu
    options.gpuFile = gpuFile
    options.constants = []
    let match: GPUMatch
    do { match = try options.catalogue().find(gpu) } catch let error as GPULookupError {
      throw ValidationError("\(error). Add one of your own with --gpu-file")
    }
    let rows: [Measurement]
    do { rows = try Measurement.read(csv: try Files.readText(gpuMeasurements)) } catch let error as MeasurementError {
      throw ValidationError("\(gpuMeasurements): \(error)")
    }
    for row in rows where match.gpu.peakFLOPs(row.gemm.type) == nil {
      throw ValidationError("\(gpuMeasurements): \(match.gpu.name) has no \(row.gemm.type.rawValue) arithmetic")
    }
    let classes = KernelClass.allCases.filter { kernels in
      rows.count { KernelClass($0.gemm) == kernels } >= KernelFitter.minimumMeasurements
    }
    if classes.isEmpty {
      throw ValidationError(
        "\(gpuMeasurements): no class of kernels (\(KernelClass.allCases.map(\.rawValue).joined(separator: ", "))) has \(KernelFitter.minimumMeasurements) of the \(rows.count) measurements; measure the 24 of --print-shapes"
      )
    }
    Terminal.note("fitting \(rows.count) measurements of \(match.gpu.name) ...")
    let sample = KernelFitter.Sample(gpu: match.gpu, measurements: rows)
    let prior = KernelCalibrations.calibration(for: match.gpu)
    let calibration = KernelFitter(evaluations: 3000, regularization: rows.count < 200 ? 0.03 / 8 : 0.002 / 8)
      .calibrate(sample, prior: prior, source: "\(rows.count) measurements of \(gpuMeasurements), held near \(prior.name)")
    try Files.write(output, calibration.json.serialized() + "\n")
    func error(_ calibration: KernelCalibration) -> String {
      let pairs = zip(KernelFitter.predictions(sample, calibration), rows.map(\.microseconds)).map { (predicted: $0, measured: $1) }
      return "\((ErrorSummary(pairs).mean * 1000).rounded() / 10) %"
    }
    Terminal.note(
      "calibrated: \(classes.map(\.rawValue).joined(separator: ", ")); mean error on these measurements: \(error(prior)) before, \(error(calibration)) after (not held out)"
    )
  }
}
