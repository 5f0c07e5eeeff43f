import ArgumentParser
import Calibration
import Console
import Execution
import Explanation
import FileAccess
import JSONText
import KernelFitting
import PlanReports
import TraceFormats

struct CalibrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "calibrate", abstract: "Measure this machine, or fit a GPU's constants to measured kernels.",
    discussion: """
      --host measures what our server and a client cost around a model on this machine, and writes the profile that `headroom bench \
      --host FILE.json` and `host: FILE.json` in an experiment file read. --processor times whole batches of a model on the CPU device.

      --device cuda:0 times the 24 products of --print-shapes on a GPU here, fits its constants, and holds them against 200 random products.

      For another GPU: measure the 24 products that --print-shapes lists (a second of GPU time each: median of some hundred replays), put the times into a
      column median_us, and give the file back; or give a profiler's kernel records (columns gpu, dtype, b, m, n, k, kernel_us_median, and \
      the rest as it comes), of several types and batched ones too. The fit is held near the constants known before, so that 24 points are enough.

      --from-trace takes kernel records and sizes from a profiler's trace: PyTorch's with record_shapes=True or Nsight's export with emit_nvtx. Of \
      a trace without shapes, --model names the model that ran: its kernels follow each other as the plan's do.

      EXAMPLES
        headroom calibrate --host -o host.json
        headroom calibrate --processor linear --max-batch-size 256 -o linear.json
        headroom calibrate --device cuda:0 -o here.json
        headroom calibrate --print-shapes > shapes.csv
        headroom calibrate --gpu l4 --gpu-measurements measured.csv -o l4.json
        headroom calibrate --from-trace trace.json.gz -o h100.json
        headroom calibrate --from-trace trace.json.gz --model bert.onnx \\
          --rows 1 -o h100.json
        headroom plan model.onnx --gpu l4 --constants l4.json

      EXIT CODES
        0 measured or fitted; 1 failed; 64 usage.
      """)

  @OptionGroup(title: "This machine") var machine: CalibrateMachine
  @OptionGroup(title: "Sizes of a built-in model") var sizes: ModelOptions

  @Flag(help: "List the 24 products to measure, as CSV.") var printShapes = false
  @OptionGroup(title: "A GPU's constants") var measured: CalibrateGPU
  @Option(name: [.short, .long], help: "File to write the constants, the profile or the times to.") var output: String?

  func run() throws {
    if printShapes {
      let shapes = Measurement.designedShapes.map { "\($0.m),\($0.n),\($0.k)" }
      return Terminal.print((["m,n,k"] + shapes).joined(separator: "\n"))
    }
    let progress = ProgressLine(isQuiet: machine.quiet)
    let (host, gpu) = (machine.settings(output: output, model: sizes.selection), measured.settings(output: output, sizes: sizes.selection))
    do {
      defer { progress.clear() }
      if !host.isAsked, measured.fromTrace == nil, measured.device == nil {
        return Terminal.note(try gpu.fitMeasurements(note: Terminal.note))
      }
      let result =
        if !host.isAsked, let device = gpu.device {
          try gpu.fit(device) { progress.report($0) }
        } else if !host.isAsked, let trace = measured.fromTrace {
          try gpu.fit(trace: trace, width: Terminal.width) { progress.report($0) }
        } else {
          try host.run(progress: { progress.report($0) }, note: { if !machine.quiet { Terminal.note("headroom calibrate: \($0)") } })
        }
      progress.clear()
      Terminal.print(machine.json ? result.json.serialized(pretty: true) : result.lines.joined(separator: "\n"))
    } catch
      where error is CalibrationError || error is DeviceError || error is FileError || error is TraceImportError
      || error is TraceCalibrationError
    { throw failed(Self.self, error) }
  }
}
