import ArgumentParser
import Calibration
import GPUModel
import PlanReports

/// `calibrate --gpu-measurements` and `calibrate --from-trace`: a GPU's constants, fitted to what was measured on it.
struct CalibrateGPU: ParsableArguments {
  @Option(help: "The GPU the measurements were made on; of a trace, where it does not say.") var gpu: String?
  @Option(help: ArgumentHelp("JSON file with a GPU of your own.", valueName: "file")) var gpuFile: String?
  @Option(
    help: ArgumentHelp(
      "CSV with columns m, n, k, kernel_us_median (records) or median_us (replays), and optionally b, dtype, shortest and longest run.",
      valueName: "file")) var gpuMeasurements: String?
  @Option(
    help: ArgumentHelp(
      "Trace with shapes (PyTorch's with record_shapes=True, Nsight's export with emit_nvtx), or of the model that --model names.",
      valueName: "file")) var fromTrace: String?
  @Option(
    help: ArgumentHelp(
      "With --from-trace, where it has no shapes: the model that ran (linear, stacked, seqlen, encoder, or an .onnx file).",
      valueName: "model")) var model: String?
  @Option(help: ArgumentHelp("Time products on a GPU here, fit, and predict random ones.", valueName: "cuda:0")) var device: String?
  @Option(help: ArgumentHelp("With --device: sizes (m, n, k) in place of the 24 designed ones.", valueName: "file")) var shapes: String?
  @Option(help: "With --device: random products that are measured and not fitted to.") var heldOut = 200
  @Option(help: ArgumentHelp("With --device: CSV that keeps what was measured.", valueName: "file")) var keepMeasurements: String?
  @Option(help: "With --model: rows of a step.") var rows: Int?
  @Option(help: "With --model, --device: arithmetic of the products: fp16, bf16, tf32, fp32.") var dtype: ComputeType = .fp16
  @Option(help: "With --from-trace: steps in the trace. (default: found from the kernels' counts)") var steps: Int?

  func validate() throws { try checked(settings(output: nil, sizes: ModelSelection()).check) }

  func settings(output: String?, sizes: ModelSelection) -> GPUCalibration {
    var settings = GPUCalibration(gpu: GPUSelection(names: gpu, file: gpuFile), sizes: sizes, output: output)
    settings.measurements = gpuMeasurements
    settings.trace = fromTrace
    settings.model = model
    settings.rows = rows
    settings.type = dtype
    settings.steps = steps
    settings.device = device.map { device in
      var settings = DeviceCalibration(device: device, gpu: GPUSelection(names: gpu, file: gpuFile))
      (settings.type, settings.shapes, settings.heldOut, settings.measurements) = (dtype, shapes, heldOut, keepMeasurements)
      return settings
    }
    return settings
  }
}
