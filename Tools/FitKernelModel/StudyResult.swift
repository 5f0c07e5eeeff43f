import GPUModel
import KernelFitting

/// What the fits came to, and the Swift source of the constants.
struct StudyResult {
  let study: Study
  /// Of each class of kernels.
  let ridges: [KernelClass: Double]
  let outcomes: [Study.Job: Study.Outcome]
  /// How the ridges were chosen; empty in what they are chosen from.
  var choices: [RidgeChoice] = []

  func fitted(_ job: Study.Job) -> KernelFitter.Fitted? {
    if case .products(let fitted)? = outcomes[job] { fitted } else { nil }
  }

  func memory(_ board: Int, _ part: Study.Part) -> MemoryConstants? {
    if case .memory(let constants)? = outcomes[.memory(board: board, part: part)] { constants } else { nil }
  }

  static func calibration(_ fitted: KernelFitter.Fitted, _ kernels: KernelClass) -> KernelCalibration {
    var calibration = KernelCalibration.onTrial(fitted.constants, of: kernels)
    calibration.replayGapMicroseconds = fitted.replayGapMicroseconds
    return calibration
  }

  /// Held-out predictions of one class on one board beside what was measured, over all folds.
  func crossValidated(_ board: Int, _ kernels: KernelClass) -> [(measurement: Measurement, predicted: Double)] {
    let sample = study.boards[board].sample
    let folds = Study.folds(sample.measurements)
    var found: [(Measurement, Double)] = []
    for fold in 0..<Study.foldCount {
      guard let fitted = fitted(.products(board: board, kernels: kernels, part: .without(fold: fold))) else { continue }
      let out = sample.measurements.indices.filter {
        let measurement = sample.measurements[$0]
        return folds[$0] == fold && KernelClass(measurement.gemm) == kernels
      }.map { sample.measurements[$0] }
      var calibration = Self.calibration(fitted, kernels)
      calibration.vectors = vectors(board, .without(fold: fold))
      let predicted = KernelFitter.predictions(KernelFitter.Sample(gpu: sample.gpu, measurements: out), calibration)
      found += zip(out, predicted).map { ($0, $1) }
    }
    return found
  }

  /// Matrix-vector constants, beside the tiled kernels of the same data.
  func vectors(_ board: Int, _ part: Study.Part = .all) -> VectorConstants? {
    guard study.boards[board].hasRecords, let scalar = fitted(.products(board: board, kernels: .scalar32, part: part)) else { return nil }
    return MemoryFitter.vectors(study.keeping(study.boards[board].sample, part), .onTrial(scalar.constants, of: .scalar32))
  }

  /// Held-out predictions of memory kernels.
  func crossValidatedMemory(_ board: Int) -> [(measurement: MemoryMeasurement, predicted: Double)] {
    let all = study.boards[board].memory
    var found: [(MemoryMeasurement, Double)] = []
    for fold in 0..<Study.foldCount {
      guard let constants = memory(board, .without(fold: fold)) else { continue }
      var calibration = KernelCalibrations.family(study.boards[board].gpu.family)
      calibration.memory = constants
      let model = KernelModel(gpu: study.boards[board].gpu, calibration: calibration)
      for measurement in all where Study.fold(measurement, of: all) == fold {
        found.append((measurement, model.predict(measurement.kernel).microseconds))
      }
    }
    return found
  }

  /// Predictions of a board from the other members of its family.
  func leftOut(_ board: Int) -> [(measurement: Measurement, predicted: Double)]? {
    let sample = study.boards[board].sample
    let others = study.members(of: sample.gpu.family).filter { $0 != board }
    let fit: KernelFitter.Fitted?
    if others.count == 1, let other = others.first {
      fit = fitted(.products(board: other, kernels: .tensor16, part: .all))
    } else {
      fit = fitted(.others(board: board))
    }
    guard let fit else { return nil }
    let replays = sample.measurements.filter { KernelClass($0.gemm) == .tensor16 }
    let predicted = KernelFitter.predictions(.init(gpu: sample.gpu, measurements: replays), Self.calibration(fit, .tensor16))
    return zip(replays, predicted).map { ($0, $1) }
  }

  // MARK: Swift source

  static func literal(_ values: [Double]) -> String { "[" + values.map { "\((($0 * 1e4).rounded()) / 1e4)" }.joined(separator: ", ") + "]" }

  func swiftSource(date: String) -> String {
    var text = """
      // Written by Tools/FitKernelModel; do not edit. The command stands in Docs/accuracy.md.
      //
      // Data: medians of bf16 GEMM replays from ai-dynamo/aiconfigurator (Apache-2.0), 900 shapes per GPU; kernel records of an H100 and an H200.
      // Fitted \(date). Values in the order of KernelConstants.Name, in its units.

      extension KernelCalibrations {
        /// GPUs whose own measurements were fitted.
        static let measured: [KernelCalibration] = [

      """
    for board in study.boards.indices { text += entry(board, date: date) }
    text += "  ]\n\n  /// What the measured members of a family share.\n  static let families: [KernelCalibration] = [\n"
    for family in [KernelFamily.mma, .wgmma, .tcgen05] {
      let members = study.members(of: family)
      let unseen = members.compactMap { leftOut($0) }.flatMap { $0 }.filter { $0.measurement.gemm.batch == 1 }
      // A family with one measured member: nothing was ever held out, so its band is that member's, half as wide again.
      let pairs = unseen.isEmpty ? members.flatMap { crossValidated($0, .tensor16) } : unseen
      let bands = ErrorSummary.bands(pairs.map { ($0.predicted, $0.measurement.microseconds) }, fallback: [0.5, 0.5, 0.5])
        .map { unseen.isEmpty ? ($0 * 1500).rounded() / 1000 : $0 }
      let own = members.count == 1 ? members.first.flatMap { fitted(.products(board: $0, kernels: .tensor16, part: .all)) } : nil
      guard let constants = own ?? fitted(.family(family)) else { continue }
      // One half of each member's shapes: together as many fits as one board has.
      let ensemble = (0..<Study.ensembleSize).compactMap { index in
        members.isEmpty ? nil : fitted(.products(board: members[index % members.count], kernels: .tensor16, part: .half(index: index)))
      }
      let mean = ErrorSummary(pairs.map { ($0.predicted, $0.measurement.microseconds) }).mean
      text += """
            KernelCalibration(
              name: "family \(family.rawValue)", isMeasured: false,
              main: KernelFit(
                constants: .clamped(\(Self.literal(constants.constants.values))),
                ensemble: [\(ensemble.map { ".clamped(\(Self.literal($0.constants.values)))" }.joined(separator: ", "))],
                errorBands: \(Self.literal(bands)),
                source: "replays of \(members.map { study.boards[$0].gpu.name }.joined(separator: ", ")), fitted \(date): mean error \(percent(mean)) \(unseen.isEmpty ? "cross-validated" : "on boards left out")"),
              replayGapMicroseconds: \(constants.replayGapMicroseconds.rounded(places: 3))),

        """
    }
    return text + "  ]\n}\n"
  }

  private func entry(_ board: Int, date: String) -> String {
    guard let main = fitted(.products(board: board, kernels: .tensor16, part: .all)) else { return "" }
    let what = study.boards[board]
    var lines = ["    KernelCalibration(", "      name: \"\(what.gpu.name)\", isMeasured: true,"]
    lines.append("      main: " + literal(board, .tensor16, date) + ",")
    if !what.others.isEmpty {
      let others = what.others.map { ".\($0.rawValue): " + literal(board, $0, date) }
      lines.append("      others: [\(others.joined(separator: ", "))],")
    }
    if let vectors = vectors(board) {
      lines.append(
        "      vectors: VectorConstants(fixedMicroseconds: \(vectors.fixedMicroseconds.rounded(places: 3)), memoryShare: \(vectors.memoryShare.rounded(places: 3)), "
          + "fewRowsMemoryShare: \(vectors.fewRowsMemoryShare.rounded(places: 3)), clocksPerDepth: \(vectors.clocksPerDepth.rounded(places: 3))),"
      )
    }
    if let memory = memory(board, .all) {
      let bands = MemoryFitter.bands(crossValidatedMemory(board).map { ($0.predicted, $0.measurement.microseconds) })
      lines.append(
        "      memory: MemoryConstants(\(Self.literal(memory.values)), kinds: [\(memory.kinds.map { Self.literal($0.values) }.joined(separator: ", "))], errorBands: \(Self.literal(bands))),"
      )
    }
    lines.append("      replayGapMicroseconds: \(main.replayGapMicroseconds.rounded(places: 3))),")
    return lines.joined(separator: "\n") + "\n"
  }

  private func literal(_ board: Int, _ kernels: KernelClass, _ date: String) -> String {
    guard let fit = fitted(.products(board: board, kernels: kernels, part: .all)) else { return "" }
    let ensemble = (0..<Study.ensembleSize).compactMap { fitted(.products(board: board, kernels: kernels, part: .half(index: $0))) }
    let held = crossValidated(board, kernels)
    func bands(_ isBatched: Bool) -> [Double] {
      let pairs = held.filter { ($0.measurement.gemm.batch > 1) == isBatched }.map {
        (predicted: $0.predicted, measured: $0.measurement.microseconds)
      }
      return ErrorSummary.bands(
        pairs,
        fallback: isBatched
          ? ErrorSummary.bands(held.map { ($0.predicted, $0.measurement.microseconds) }, fallback: [0.5, 0.5, 0.5]) : [0.5, 0.5, 0.5])
    }
    let single = held.filter { $0.measurement.gemm.batch == 1 }.map { (predicted: $0.predicted, measured: $0.measurement.microseconds) }
    let data =
      study.boards[board].hasRecords
      ? kernels == .tensor16 ? "replays and kernel records" : "kernel records" : "aiconfigurator bf16 replays"
    return """
      KernelFit(constants: .clamped(\(Self.literal(fit.constants.values))), \
      ensemble: [\(ensemble.map { ".clamped(\(Self.literal($0.constants.values)))" }.joined(separator: ", "))], \
      errorBands: \(Self.literal(bands(false))), batchedErrorBands: \(Self.literal(bands(true))), \
      source: "\(data), fitted \(date): mean error \(percent(ErrorSummary(single).mean)) cross-validated")
      """
  }
}

/// A second decimal is for strengths of one thing that are compared.
func percent(_ value: Double, decimals: Int = 1) -> String {
  let scale = (0..<decimals).reduce(1.0) { value, _ in value * 10 }
  return value.isFinite ? "\((value * (100 * scale)).rounded() / scale) %" : "-"
}

extension Double {
  func rounded(places: Int) -> Double {
    let scale = (0..<places).reduce(1.0) { value, _ in value * 10 }
    return (self * scale).rounded() / scale
  }
}
