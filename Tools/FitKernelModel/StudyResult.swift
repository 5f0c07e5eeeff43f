import GPUModel
import Glibc
import KernelFitting

/// What the fits came to, as Swift source and as a page.
struct StudyResult {
  let study: Study
  let fits: [(Study.Job, KernelConstants)]

  func constants(_ match: (Study.Job) -> Bool) -> [KernelConstants] { fits.filter { match($0.0) }.map(\.1) }

  /// Held-out predictions of one GPU, over all folds, in the measurements' order.
  func crossValidated(_ gpu: Int) -> [Study.Pair] {
    let sample = study.samples[gpu]
    let folds = KernelFitter.folds(sample.measurements, count: Study.foldCount, seed: 1)
    var pairs = [Study.Pair](repeating: (0, 1), count: sample.measurements.count)
    for case (.fold(gpu, let fold), let constants) in fits {
      let all = sample.pairs(constants)
      for index in all.indices where folds[index] == fold { pairs[index] = all[index] }
    }
    return pairs
  }

  /// Predictions of a GPU from the other members of its family.
  func heldOut(_ gpu: Int) -> [Study.Pair]? {
    for case (.without(gpu), let constants) in fits { return study.samples[gpu].pairs(constants) }
    return nil
  }

  static func literal(_ constants: KernelConstants) -> String {
    "[" + constants.values.map { "\((($0 * 1e4).rounded()) / 1e4)" }.joined(separator: ", ") + "]"
  }

  func swiftSource(date: String) -> String {
    var text = """
      // Written by Tools/FitKernelModel; do not edit. The command stands in Docs/accuracy.md.
      //
      // Data: medians of bf16 GEMM times from ai-dynamo/aiconfigurator (Apache-2.0), 900 shapes a GPU. Fitted \(date).
      // Values in the order of KernelConstants.Name, in its units.

      extension KernelCalibrations {
        /// GPUs whose own measurements were fitted.
        static let measured: [KernelCalibration] = [

      """
    for (index, sample) in study.samples.enumerated() {
      let pairs = crossValidated(index)
      text += entry(
        name: sample.gpu.name, measured: true, summary: ErrorSummary(pairs), count: pairs.count, date: date,
        constants: constants { if case .final(index) = $0 { true } else { false } },
        ensemble: constants { if case .resampled(index, _) = $0 { true } else { false } },
        bands: ErrorSummary.bands(pairs, fallback: [0.5, 0.5, 0.5]))
    }
    text += "  ]\n\n  /// What the measured members of a family share.\n  static let families: [KernelCalibration] = [\n"
    for family in [KernelFamily.mma, .wgmma, .tcgen05] {
      let members = study.samples.indices.filter { study.samples[$0].gpu.family == family }
      let unseen = members.compactMap { heldOut($0) }.flatMap { $0 }
      // A family with one measured member: nothing was ever held out, so its band is that member's, half as wide again.
      let pairs = unseen.isEmpty ? members.flatMap { crossValidated($0) } : unseen
      let bands = ErrorSummary.bands(pairs, fallback: [0.5, 0.5, 0.5]).map { unseen.isEmpty ? ($0 * 1500).rounded() / 1000 : $0 }
      text += entry(
        name: "family \(family.rawValue)", measured: false, summary: ErrorSummary(pairs), count: pairs.count, date: date,
        constants: constants { if case .family(family) = $0 { true } else { false } },
        ensemble: constants { if case .familyMember(family, _) = $0 { true } else { false } }, bands: bands)
    }
    return text + "  ]\n}\n"
  }

  private func entry(
    name: String, measured: Bool, summary: ErrorSummary, count: Int, date: String, constants: [KernelConstants],
    ensemble: [KernelConstants],
    bands: [Double]
  ) -> String {
    guard let main = constants.first else { return "" }
    let kind = measured ? "cross-validated" : "on boards left out"
    return """
          KernelCalibration(
            name: "\(name)", isMeasured: \(measured),
            source: "aiconfigurator bf16 medians, fitted \(date): mean error \(percent(summary.mean)) \(kind)",
            constants: .clamped(\(Self.literal(main))),
            ensemble: [
              \(ensemble.map { ".clamped(\(Self.literal($0)))" }.joined(separator: ",\n              "))
            ],
            errorBands: [\(bands.map { "\($0)" }.joined(separator: ", "))]),

      """
  }

  func percent(_ value: Double) -> String { value.isFinite ? "\((value * 1000).rounded() / 10) %" : "-" }

  func row(_ name: String, _ pairs: [Study.Pair], _ sample: KernelFitter.Sample) -> String {
    let all = ErrorSummary(pairs)
    let small = ErrorSummary(zip(pairs, sample.measurements).filter { $1.gemm.m < 512 }.map(\.0))
    let large = ErrorSummary(zip(pairs, sample.measurements).filter { $1.gemm.m >= 512 }.map(\.0))
    let plain = ErrorSummary(sample.measurements.map { (Self.roofline($0.gemm, sample.gpu), $0.microseconds) })
    let fixed = ErrorSummary(sample.measurements.map { (2 + Self.roofline($0.gemm, sample.gpu), $0.microseconds) })
    let cells = [all.mean, all.median, all.p90, all.worstTenth, all.bias, small.mean, large.mean, plain.mean, fixed.mean].map(percent)
    return "| \(name) | \(all.count) | \(cells.joined(separator: " | ")) |\n"
  }

  /// The larger of FLOPs over peak and bytes over bandwidth.
  static func roofline(_ gemm: GEMM, _ gpu: GPU) -> Double {
    max(gemm.floatingPointOperations / (gpu.peakFLOPs(gemm.type) ?? 1), gemm.bytes / (gpu.memoryGigabytesPerSecond * 1e9)) * 1e6
  }

  static let tableHead = """
    | GPU | shapes | mean | median | p90 | worst tenth | bias | mean, m < 512 | mean, m >= 512 | roofline | roofline + 2 us |
    |---|---|---|---|---|---|---|---|---|---|---|

    """

  func page(date: String) -> String {
    var text = """
      # Accuracy of predicted GEMM times

      Written by

          swift run -c release fit-kernel-model --measurements ../shared/gemm/measured-bf16.csv \\
            --emit Sources/GPUModel/Constants/KernelCalibrations+Fitted.swift --accuracy Docs/accuracy.md --date \(date) --evaluations 1500

      Errors are |predicted - measured| / measured; *bias* is the geometric mean of predicted / measured, less one (negative: too fast). The
      measurements are medians over frameworks and library versions (ai-dynamo/aiconfigurator, bf16, fp32 accumulation), whose own spread is
      4 to 9 %: no model can be better than that.

      The band (+-) that `headroom plan` prints was measured on plain GEMMs. Convolutions, recurrences and attention are predicted as GEMMs with the same
      constants; for them it was not measured, and the plan says so in a note.

      ## Weight shapes never seen

      Each GPU's weight shapes (n, k) are dealt to \(Study.foldCount) folds; every prediction below comes from constants fitted without its fold. \
      \(KernelConstants.Name.allCases.count) constants per GPU stand against 900 observations.


      """
    text += Self.tableHead
    for (index, sample) in study.samples.enumerated() { text += row(sample.gpu.name, crossValidated(index), sample) }
    text +=
      "\n## GPUs never seen\n\nConstants fitted on the other measured boards of the family alone; what is new is only the specification sheet.\n\n"
    text += Self.tableHead
    for (index, sample) in study.samples.enumerated() {
      if let pairs = heldOut(index) { text += row(sample.gpu.name, pairs, sample) }
    }
    text += """

      B200 is the only measured board of its family, so nothing can be held out there; GB200, B300 and GB300 are predicted with its constants.

      ## The source document's kernels

      Never fitted to: the document's three GEMMs in fp16, with the constants of the RTX PRO 6000 Server board on both editions' specifications.

      | kernel | document | Workstation | error | Server | error |
      |---|---|---|---|---|---|

      """
    for (gemm, label, measured) in Self.documentKernels {
      text += "| \(label) | \(measured) us"
      for name in ["RTX PRO 6000 Blackwell WS", "RTX PRO 6000 Blackwell Server"] {
        guard let index = study.samples.firstIndex(where: { $0.gpu.name.contains("RTX PRO 6000") }),
          let gpu = try? GPUCatalogue().find(name).gpu,
          let constants = constants({ if case .final(index) = $0 { true } else { false } }).first
        else { continue }
        let calibration = KernelCalibration(name: "", isMeasured: false, source: "", constants: constants, ensemble: [], errorBands: [])
        let predicted = (try? KernelModel(gpu: gpu, calibration: calibration).predict(gemm))
        let time = predicted?.microseconds ?? .nan
        text +=
          " | \((time * 100).rounded() / 100) us (\(predicted?.tile.name ?? "-"), split \(predicted?.splitK ?? 0)) | \(percent(time / measured - 1))"
      }
      text += " |\n"
    }
    text += """

      The first kernel misses its limit of 10 %. The nearest measured shape, 256 x 1024 x 768, shows the same: 5.6 us measured, 6.6 predicted on the Server
      board, while 192 x 256 x 1024 and 33 x 512 x 1536 are 18 and 34 % too fast. Libraries choose among small kernels by rules that jump from shape to
      shape; one smooth model per GPU averages over them.

      """
    return text + "\n## Constants\n\n| constant | unit | bounds | " + study.samples.map(\.gpu.name).joined(separator: " | ")
      + " |\n|---|---|---|"
      + String(repeating: "---|", count: study.samples.count) + "\n" + constantRows()
  }

  func constantRows() -> String {
    KernelConstants.Name.allCases.map { name in
      let values = study.samples.indices.map { index in
        constants { if case .final(index) = $0 { true } else { false } }.first.map { "\(($0[name] * 1000).rounded() / 1000)" } ?? "-"
      }
      return "| \(name): \(name.meaning) | \(name.unit) | \(name.bounds.lowerBound) to \(name.bounds.upperBound) | "
        + values.joined(separator: " | ") + " |\n"
    }.joined()
  }

  /// Weights of all layers pass between two uses of the same one: 40 MB for linear and seqlen, 199 MB for stacked.
  static let documentKernels: [(GEMM, String, Double)] = [
    (GEMM(m: 256, n: 1024, k: 1024, type: .fp16, footprintBytes: 19 * 2.1e6), "256 x 1024 x 1024", 6.2),
    (GEMM(batch: 5, m: 256, n: 1024, k: 1024, type: .fp16, footprintBytes: 19 * 10.5e6), "5 x 256 x 1024 x 1024", 12.3),
    (GEMM(m: 32768, n: 1024, k: 1024, type: .fp16, footprintBytes: 19 * 2.1e6), "32768 x 1024 x 1024", 199),
  ]
}
