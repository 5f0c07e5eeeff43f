import CheckedNumbers
import GPUModel
public import JSONText
import Reporting
import Simulation

/// Programs whose behaviour on real Hopper GPUs is known, in virtual time: predicted from the model's graph, the host profile and the pace
/// alone, beside what was read.
public struct HopperSuite: Sendable {
  /// One figure beside its reading.
  public struct Comparison: Sendable, Hashable {
    /// What: "steps/s", "GPU busy time", "graphics", "SM", "tensor", "GPU-Util".
    public var figure: String
    /// In its unit.
    public var predicted: Double
    /// As read.
    public var measured: Double
    /// How far they may lie apart, in the unit; nil where nothing is claimed (a timer set it, or it was used to choose a parameter).
    public var limit: Double?

    /// Whether it lies within its limit; nil where nothing is claimed.
    public var isHit: Bool? { limit.map { abs(predicted - measured) <= $0 } }
  }

  /// A situation and what came of it.
  public struct Entry: Sendable {
    /// The situation.
    public var situation: HopperSituation
    /// What counters would show.
    public var counters: LoopCounters
    /// Steps per second.
    public var stepsPerSecond: Double
    /// Figures that were read, beside ours.
    public var comparisons: [Comparison]
    /// Lowest clock that power allows a kernel, MHz; nil where none is limited.
    public var powerLimitedMegahertz: Double?
  }

  /// In the order of `HopperSituation.all`.
  public var entries: [Entry] = []

  /// Runs all.
  public init(_ situations: [HopperSituation] = HopperSituation.all, steps: Int = 40) throws(ExperimentError) {
    for situation in situations { entries.append(try Self.run(situation, steps: steps)) }
  }

  static func run(_ situation: HopperSituation, steps: Int) throws(ExperimentError) -> Entry {
    let gpu: GPU
    do { gpu = try GPUCatalogue().find(situation.gpu).gpu } catch { throw ExperimentError("\(situation.name): \(error)") }
    let loop = try situation.loop(KernelModel(gpu: gpu, calibration: KernelCalibrations.calibration(for: gpu)))
    var run = LoopSimulation.run(loop, steps: steps, bytesPerNanosecond: gpu.memoryGigabytesPerSecond)
    var factor = 1.0
    for _ in 0..<6 {
      let more = LoopPower.stretch(run, on: gpu)
      if more < 1.002 { break }
      factor *= more
      run = LoopSimulation.run(LoopPower.stretched(loop, factor, on: gpu), steps: steps, bytesPerNanosecond: gpu.memoryGigabytesPerSecond)
    }
    let counters = LoopCounters(run, on: gpu)
    let read = situation.reading
    var comparisons: [Comparison] = []
    comparisons.append(
      Comparison(
        figure: "steps/s", predicted: run.stepsPerSecond, measured: read.stepsPerSecond,
        limit: situation.pace == nil && !situation.isInput ? 0.1 * read.stepsPerSecond : nil))
    // Points of per cent; a quarter of the value where it is 1 to 20 %.
    func add(_ figure: String, _ predicted: Double, _ measured: Double?, points: Double, quarter: Bool = true) {
      guard let measured else { return }
      let limit = quarter && (1...20).contains(measured) ? min(points, 0.25 * measured) : points
      comparisons.append(Comparison(figure: figure, predicted: predicted * 100, measured: measured, limit: limit))
    }
    add("GPU busy time", counters.gpuBusy, read.gpuBusy, points: 4, quarter: false)
    add("graphics", counters.graphicsActive, read.graphics, points: 3)
    add("SM", counters.smActive, read.sm, points: 5)
    add("tensor", counters.tensorActive, read.tensor, points: 4)
    return Entry(
      situation: situation, counters: counters, stepsPerSecond: run.stepsPerSecond, comparisons: comparisons,
      powerLimitedMegahertz: factor > 1
        ? run.kernels.compactMap(\.launch.powerLimitedGigahertz).min().map { $0 * 1e3 }
        : nil)
  }

  /// Figures for which something is claimed, and how many of them lie within their limits.
  public var score: (hits: Int, claims: Int) {
    let claims = entries.flatMap(\.comparisons).compactMap(\.isHit)
    return (claims.count { $0 }, claims.count)
  }

  /// "4.3 / 4.9", with a star where it lies outside its limit.
  private static func cell(_ comparison: Comparison?) -> String {
    guard let comparison else { return "-" }
    let star = comparison.isHit == false ? " *" : ""
    return "\(NumberText.significant(comparison.measured)) / \(NumberText.significant(comparison.predicted))\(star)"
  }

  static let figures = ["steps/s", "GPU busy time", "graphics", "SM", "tensor"]

  /// Rows of the table: name, then measured / predicted of each figure, then polled and predicted utilization.gpu.
  func rows() -> [[String]] {
    entries.map { entry in
      let polled = entry.situation.reading.polled.map { "\(Int(saturating: $0.lowerBound))-\(Int(saturating: $0.upperBound))" } ?? "-"
      let range = entry.counters.utilizationRange
      let predicted = "\(NumberText.fixed(range.lowerBound * 100, decimals: 0))-\(NumberText.fixed(range.upperBound * 100, decimals: 0))"
      return [entry.situation.name + (entry.situation.isInput ? " (input)" : entry.situation.pace != nil ? " (paced)" : "")]
        + Self.figures.map { figure in Self.cell(entry.comparisons.first { $0.figure == figure }) } + ["\(polled) / \(predicted)"]
    }
  }

  static let heads = ["situation", "steps/s", "busy %", "1001 %", "1002 %", "1004 %", "GPU-Util %"]

  /// A table, or where it is too wide a paragraph for each row.
  static func table(_ heads: [String], _ rows: [[String]], width: Int) -> [String] {
    var table = TextTable(heads.enumerated().map { TextTable.Column($1, $0 == 0 ? .left : .right) })
    for row in rows { table.add(row) }
    let whole = table.lines(width: 10_000, clippingColumn: 0)
    if whole.allSatisfy({ $0.count <= width }) { return whole }
    return rows.flatMap { row in
      Report.wrap(
        "\(row[0]): " + zip(heads, row).dropFirst().map { "\($0) \($1)" }.joined(separator: "; "), width: width, indent: "    ", first: "  "
      )
    }
  }

  /// As the command prints it.
  public func lines(width: Int) -> [String] {
    let (hits, claims) = score
    var lines = ["Known programs on Hopper GPUs: measured / predicted. SIMULATED, no GPU ran."]
    lines += Self.table(Self.heads, rows(), width: width)
    lines.append("")
    lines += Report.wrap(
      "\(hits) of \(claims) figures within their limits; * outside. Limits: steps/s 10 % where nothing paces the loop; GPU busy time (kernel time per "
        + "step x steps/s) 4 points; DCGM 1001 (graphics engine) 3 points, 1002 (SM) 5, 1004 (tensor) 4, and within 25 % of the value from 1 to 20 %. "
        + "(input): its step rate chose a parameter of the host profile; (paced): a timer sets it.", width: width, indent: "  ", first: "")
    for entry in entries {
      guard let clock = entry.powerLimitedMegahertz else { continue }
      lines += Report.wrap(
        "\(entry.situation.name): power-limited, down to \(NumberText.fixed(clock, decimals: 0)) MHz", width: width, indent: "  ", first: ""
      )
    }
    lines += Report.wrap("measured on \(HopperSituation.source)", width: width, indent: "  ", first: "")
    return lines
  }

  /// As Markdown, for Docs/validation.md.
  public var markdown: [String] { MarkdownTable.lines(heads: Self.heads, rows: rows()) }

  /// For programs: schema headroom.bench-hopper/2.
  public func json(version: String) -> JSONValue {
    let (hits, claims) = score
    return [
      "schema": "headroom.bench-hopper/2", "headroom": .string(version), "mode": "simulated", "source": .string(HopperSituation.source),
      "withinLimits": JSONValue(hits), "claims": JSONValue(claims),
      "situations": .array(
        entries.map { entry in
          [
            "name": .string(entry.situation.name), "about": .string(entry.situation.about), "gpu": .string(entry.situation.gpu),
            "isInput": .bool(entry.situation.isInput), "pacePerSecond": entry.situation.pace.map { JSONValue($0) } ?? .null,
            "nvmlUtilizationGPUPercent": JSONValue(entry.counters.utilizationGPU * 100),
            "nvmlUtilizationGPUPercentRange": [
              JSONValue(entry.counters.utilizationRange.lowerBound * 100), JSONValue(entry.counters.utilizationRange.upperBound * 100),
            ],
            "polledPercentRange": entry.situation.reading.polled.map { [JSONValue($0.lowerBound), JSONValue($0.upperBound)] } ?? .null,
            "uploadedMegabytesPerSecond": JSONValue(entry.counters.uploadedBytesPerSecond / 1e6),
            "pcieReceivedMegabytesPerSecond": entry.situation.reading.received.map { JSONValue($0) } ?? .null,
            "powerLimitedMegahertz": entry.powerLimitedMegahertz.map { JSONValue($0) } ?? .null,
            "figures": .array(
              entry.comparisons.map { comparison in
                [
                  "figure": .string(comparison.figure), "measured": JSONValue(comparison.measured),
                  "predicted": JSONValue(comparison.predicted),
                  "limit": comparison.limit.map { JSONValue($0) } ?? .null, "isWithin": comparison.isHit.map { .bool($0) } ?? .null,
                ]
              }),
          ]
        }),
    ]
  }
}
