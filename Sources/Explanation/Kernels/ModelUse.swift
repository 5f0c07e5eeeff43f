import CheckedNumbers
public import Diagnosis
import GPUModel
import ModelGraph
import Planning

/// What a trace's model should have cost: FLOPs as written, those spent on copies of rows, kernel time as planned with and without them.
public struct ModelUse: Sendable {
  /// The model.
  public var name: String
  /// Rows of a step.
  public var rows: Int
  /// FLOPs of a step as the model is written, no padding.
  public var operations: Double
  /// Of them, on rows that are copies of other rows.
  public var redundantOperations: Double
  /// Kernel time of a step by the plan, nanoseconds, and its error band as a share.
  public var plannedNanoseconds: Double
  /// See `plannedNanoseconds`.
  public var band: Double
  /// Kernel time of a step with copies of rows computed once, nanoseconds.
  public var plannedWithoutCopies: Double
  /// Dense peak of the arithmetic, FLOPs per second; nil where the GPU has none.
  public var peak: Double?

  /// Share of the model's FLOPs on copies.
  public var redundantShare: Double { operations > 0 ? redundantOperations / operations : 0 }

  /// Plans the model for a GPU; the reason where it cannot be planned.
  public static func plan(_ model: ModelBesideTrace, rows: Int, on gpu: GPU) -> Result<ModelUse, CompanionError> {
    guard let type = ComputeType(rawValue: model.type) else {
      return .failure(CompanionError(path: model.name, reason: "no arithmetic is called \(model.type)"))
    }
    let kernels = KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu))
    do throws(PlanError) {
      func cost(_ passes: [any RewritePass.Type]) throws(PlanError) -> (BatchPlan, Double) {
        let plan = try PlanBuilder(model: kernels, type: type, requested: passes).plan(model.graph)
        let batch = try plan.at(rows: plan.fixedRows ?? max(1, rows))
        return (batch, batch.launches.reduce(0) { $0 + $1.predictedNanoseconds })
      }
      let (written, nanoseconds) = try cost([])
      let (_, without) = try cost([SinkBroadcast.self])
      return .success(
        ModelUse(
          name: model.name, rows: written.rows, operations: written.launches.reduce(0) { $0 + $1.floatingPointOperations },
          redundantOperations: written.launches.reduce(0) { $0 + $1.redundantFloatingPointOperations }, plannedNanoseconds: nanoseconds,
          band: kernels.calibration.errorBand(microseconds: nanoseconds / 1e3), plannedWithoutCopies: min(without, nanoseconds),
          peak: gpu.peakFLOPs(type)))
    } catch {
      return .failure(CompanionError(path: model.name, reason: error.description))
    }
  }

  /// FLOPs as written per second over the dense peak, from steps per second.
  public func mfu(stepsPerSecond: Double) -> Figure? {
    guard let peak, peak > 0 else { return nil }
    return Figure(
      operations * stepsPerSecond / peak, .share, .estimated, source: "the model's FLOPs x steps/s over the dense peak")
  }
}
