public import Diagnosis
public import Workload
import CheckedNumbers
import TimeBase

/// What a command line replaces in an experiment, for all its variants at once. What is nil or empty stays as the experiment has it.
public struct ExperimentChanges: Sendable {
  /// Only these variants.
  public var variants: [String] = []
  /// "sim:NAME" of every variant.
  public var device: String?
  /// Host profile of every variant: a name or a file.
  public var host: String?
  /// Length of the measurement window, seconds.
  public var seconds: Double?
  /// Users of every closed loop.
  public var users: Int?
  /// Rows per request.
  public var rows: RowDistribution?
  /// Runs of each variant.
  public var repetitions: Int?
  /// Seed of the first run.
  public var seed: UInt64?
  /// What findings are ranked by.
  public var goal: Goal?
  /// Where headroom is stated.
  public var latencyGoal: LatencyGoal?
  /// Sizes of dynamic axes of every ONNX file, by name or by input and axis.
  public var dimensions: [String: Int] = [:]

  /// None.
  public init() {}

  /// The experiment with the changes made.
  ///
  /// - Throws: a variant, device or profile that is not there, by name; sizes where no file has axes.
  public func applied(to experiment: Experiment) throws(ExperimentError) -> Experiment {
    var changed = experiment
    for name in variants where !changed.variants.contains(where: { $0.name == name }) {
      throw ExperimentError(
        "--variant: no variant is called \"\(name)\"; there are \(changed.variants.map(\.name).joined(separator: ", "))")
    }
    if !variants.isEmpty { changed.variants.removeAll { !variants.contains($0.name) } }
    try size(&changed)
    if let device {
      let gpu = try Self.naming("--device \(device)") { () throws(ExperimentError) in try ExperimentFile.gpu(device: device) }
      for index in changed.variants.indices { changed.variants[index].gpu = gpu }
    }
    if let host {
      let profile = try Self.naming("--host") { () throws(ExperimentError) in try ExperimentFile.host(host) }
      for index in changed.variants.indices { changed.variants[index].host = profile }
    }
    for index in changed.variants.indices {
      if let seconds { changed.variants[index].workload.duration = TimeSpan(clampingSeconds: seconds) }
      if let users, case .closed(_, let spawnRate, let think) = changed.variants[index].workload.load {
        changed.variants[index].workload.load = .closed(users: users, spawnRate: spawnRate, think: think)
      }
      if let rows {
        let largest = changed.variants[index].scheduler.maximumBatchRows
        if largest > 0, Double(largest) < Double(rows.largest) {
          throw ExperimentError(
            "--rows \(rows.text): variant \(changed.variants[index].name) takes batches of at most \(largest) rows, and a server refuses larger "
              + "requests; give fewer rows, or a larger max_batch_size (--config, or maxBatchSize in the experiment file)")
        }
        changed.variants[index].workload.rows = rows
      }
    }
    if let repetitions { changed.repetitions = repetitions }
    if let seed { changed.seed = seed }
    if let goal { changed.goal = goal }
    if let latencyGoal { changed.latencyGoal = latencyGoal }
    return changed
  }

  private func size(_ experiment: inout Experiment) throws(ExperimentError) {
    if dimensions.isEmpty { return }
    var isUsed = false
    for index in experiment.variants.indices {
      guard case .onnx(let path, let own) = experiment.variants[index].model else { continue }
      experiment.variants[index].model = .onnx(path: path, dimensions: own.merging(dimensions) { $1 })
      isUsed = true
    }
    if !isUsed { throw ExperimentError("--dimension sizes an axis of an ONNX file; this experiment has none") }
  }

  /// An error that begins with the option it comes of.
  static func naming<Made>(_ option: String, _ make: () throws(ExperimentError) -> Made) throws(ExperimentError) -> Made {
    do throws(ExperimentError) { return try make() } catch { throw ExperimentError("\(option): \(error)") }
  }
}
