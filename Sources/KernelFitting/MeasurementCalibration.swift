public import GPUModel

/// A GPU's constants fitted to products that were measured on it, held near those known before.
public struct MeasurementCalibration: Sendable {
  /// Why there is nothing to fit.
  public struct Fault: Error, Sendable, Hashable, CustomStringConvertible {
    /// Without the file's name.
    public let description: String
  }

  /// What came of it, with its origins.
  public let calibration: KernelCalibration
  /// Classes of kernels that had enough measurements.
  public let classes: [KernelClass]
  /// Mean relative error on the measurements with the constants known before.
  public let errorBefore: Double
  /// With the fitted ones; on the same measurements, so no prediction.
  public let errorAfter: Double

  /// Fits.
  ///
  /// - Parameters:
  ///   - prior: the constants known before.
  ///   - file: where the measurements stand, for the origins.
  ///   - date: when, for the origins.
  ///   - steps: of the fit's search, at most.
  /// - Throws: arithmetic that the GPU does not have, or too few measurements of every class.
  public init(
    of gpu: GPU, _ measurements: [Measurement], prior: KernelCalibration, file: String, date: String, steps: Int = 200
  ) throws(Fault) {
    for row in measurements where gpu.peakFLOPs(row.gemm.type) == nil {
      throw Fault(description: "\(gpu.name) has no \(row.gemm.type.rawValue) arithmetic")
    }
    func count(_ kernels: KernelClass) -> Int { measurements.count { KernelClass($0.gemm) == kernels } }
    let classes = KernelClass.allCases.filter { count($0) >= KernelFitter.minimumMeasurements }
    if classes.isEmpty {
      throw Fault(
        description:
          "no class of kernels (\(KernelClass.allCases.map(\.rawValue).joined(separator: ", "))) has \(KernelFitter.minimumMeasurements) of the \(measurements.count) measurements; measure the 24 of --print-shapes"
      )
    }
    let sample = KernelFitter.Sample(gpu: gpu, measurements: measurements)
    let fitter = KernelFitter(steps: steps, regularization: measurements.count < 200 ? 0.03 / 8 : 0.002 / 8)
    var fitted = fitter.calibrate(
      sample, prior: prior, source: "\(measurements.count) measurements of \(file), \(date), held near \(prior.name)")
    func error(_ calibration: KernelCalibration, _ kernels: KernelClass? = nil) -> Double {
      let pairs = zip(KernelFitter.predictions(sample, calibration), measurements)
        .filter { kernels == nil || KernelClass($0.1.gemm) == kernels }
      return ErrorSummary(pairs.map { (predicted: $0.0, measured: $0.1.microseconds) }).mean
    }
    (errorBefore, errorAfter) = (error(prior), error(fitted))
    let found = fitted
    fitted.origins = classes.map { kernels in
      CalibrationOrigin(
        part: kernels.rawValue, measurements: count(kernels), file: file, date: date, errorBefore: error(prior, kernels),
        errorAfter: error(found, kernels))
    }
    (calibration, self.classes) = (fitted, classes)
  }
}
