import CheckedNumbers
public import GPUModel
public import JSONText
import Reporting

/// An engine layer by layer: kernel, tile, waves, time, and what the chosen kernel costs against the fastest that was tried.
public struct EngineExplanation: Sendable {
  /// A layer.
  public struct Row: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// Its kind, as the engine has it.
    public var type: String
    /// Its kernel; empty where not exported.
    public var tactic: String
    /// What the kernel's name says.
    public var kernel: KernelName
    /// Milliseconds of a run; nil without a profile.
    public var milliseconds: Double?
    /// Share of the engine's time.
    public var share: Double?
    /// Waves of its tiles over the output, where shape, tile and GPU are known.
    public var waves: Double?
    /// SMs with a resident block of the same.
    public var residentSMShare: Double?
    /// Fastest kernel that was tried while building, and its time; nil without a log.
    public var fastest: EngineFiles.Tactic?
    /// Time of the chosen one while building.
    public var built: EngineFiles.Tactic?
    /// Chosen over fastest, less one.
    public var regret: Double?
  }

  /// In execution order.
  public private(set) var rows: [Row] = []
  /// Milliseconds of a run; nil without a profile.
  public private(set) var total: Double?
  /// What the reader should know.
  public private(set) var notes: [String] = []

  /// From an engine's files. `gpu` for waves and SMs with a resident block.
  public init(_ files: EngineFiles, gpu: GPU?) {
    let times = Dictionary(files.times.map { ($0.name, $0.averageMilliseconds) }, uniquingKeysWith: { $0 + $1 })
    let sum = files.times.reduce(0) { $0 + $1.averageMilliseconds }
    total = files.times.isEmpty ? nil : sum
    var layers = files.layers
    let known = Set(layers.map(\.name))
    // A profile or a log alone still has names.
    for name in files.times.map(\.name) + files.tactics.keys.sorted()
    where !known.contains(name) && !layers.contains(where: { $0.name == name }) {
      if !files.layers.isEmpty, files.times.allSatisfy({ $0.name != name }) { continue }
      layers.append(EngineFiles.Layer(name: name, type: "", tactic: "", inputs: [], outputs: []))
    }
    for layer in layers {
      let tried = files.tactics[layer.name] ?? files.tactics.first { layer.name.hasPrefix($0.key) && !$0.key.isEmpty }?.value ?? []
      let fastest = tried.min { $0.milliseconds < $1.milliseconds }
      let hash = files.chosen[layer.name]
      let built = tried.first { $0.hash == hash } ?? tried.first { !layer.tactic.isEmpty && $0.name == layer.tactic }
      let tactic = layer.tactic.isEmpty ? built?.name ?? "" : layer.tactic
      var row = Row(
        name: layer.name, type: layer.type, tactic: tactic, kernel: KernelName(tactic), milliseconds: times[layer.name],
        share: times[layer.name].map { sum > 0 ? $0 / sum : 0 }, waves: nil, residentSMShare: nil, fastest: fastest, built: built,
        regret: nil)
      if let fastest, let built, fastest.milliseconds > 0 { row.regret = built.milliseconds / fastest.milliseconds - 1 }
      if let gpu, let tile = row.kernel.tile, let output = layer.outputs.first, let fit = Self.fit(output, tile, gpu) {
        row.waves = fit.waves
        row.residentSMShare = fit.residentSMShare
      }
      rows.append(row)
    }
    if files.hasNamesOnly { notes.append("the layers hold names alone: build with --profilingVerbosity=detailed for kernels and shapes") }
    if files.times.isEmpty { notes.append("no times: trtexec --dumpProfile --exportProfile=profile.json --separateProfileRun") }
    if files.tactics.isEmpty { notes.append("no tactics tried: build with --verbose and give the log") }
  }

  /// Tiles over an output of "[A, B, C] ...": the last dimension by the others.
  private static func fit(_ output: String, _ tile: (m: Int, n: Int), _ gpu: GPU) -> GridFit? {
    let inner = output.drop { $0 != "[" }.dropFirst().prefix { $0 != "]" }
    let sizes = inner.split(separator: ",").compactMap { Int($0.filter { $0 != " " }) }
    guard let columns = sizes.last, sizes.allSatisfy({ $0 > 0 }), let rows = sizes.dropLast().checkedProduct, rows > 0, tile.m > 0,
      tile.n > 0
    else {
      return nil
    }
    let down = rows.addingSaturated(tile.m - 1) / tile.m
    let across = columns.addingSaturated(tile.n - 1) / tile.n
    return GridFit(blocks: down.multipliedSaturated(by: across), blocksPerSM: 1, smCount: gpu.smCount)
  }

  /// By what they cost against the fastest kernel tried, milliseconds per run.
  public var regrets: [Row] {
    rows.filter { ($0.regret ?? 0) > 0.02 }.sorted { left, right in
      ((right.milliseconds ?? 0) * (right.regret ?? 0), left.name) < ((left.milliseconds ?? 0) * (left.regret ?? 0), right.name)
    }
  }

  /// Layers that change format or type and compute nothing: their share of time.
  public var reformatShare: Double? {
    guard let total, total > 0 else { return nil }
    return rows.filter {
      $0.type == "Reformat" || $0.name.hasPrefix("Reformatting CopyNode") || $0.tactic.lowercased().contains("reformat")
    }
    .reduce(0) { $0 + ($1.milliseconds ?? 0) } / total
  }

  /// The lines first.
  public var answer: [String] {
    var answer = AnswerLines()
    let timed = rows.filter { $0.milliseconds != nil }.sorted { ($1.milliseconds ?? 0, $0.name) < ($0.milliseconds ?? 0, $1.name) }
    guard let top = timed.first, let total else {
      answer.add(first: "No verdict: \(rows.count) layers, no times")
      for note in notes { answer.add("Confirm", note) }
      return answer.lines
    }
    answer.add(
      first:
        "Largest layer: \(top.name.prefix(48)), \(NumberText.percent(top.share)) of \(NumberText.time(nanoseconds: total * 1e6)) (measured)"
    )
    let head = timed.prefix(5).reduce(0) { $0 + ($1.share ?? 0) }
    answer.add("Now", "\(rows.count) layers, the five longest take \(NumberText.percent(head))", kind: "measured")
    var number = 1
    for row in regrets.prefix(2) {
      guard let regret = row.regret, let share = row.share, let fastest = row.fastest else { continue }
      let gain = share * regret / (1 + regret)
      if gain < 0.005 { continue }
      answer.add(
        change: number, effect: "GPU time", fix: "\(row.name.prefix(30)): tactic \(fastest.name.prefix(40))",
        gain: "at most -\(NumberText.percent(gain))", kind: "measured")
      number += 1
    }
    if let reformat = reformatShare, reformat > 0.02 {
      answer.add(
        change: number, effect: "GPU time", fix: "reformats: give inputs in the engine's format and type",
        gain: "at most -\(NumberText.percent(reformat))",
        kind: "measured")
    }
    if let fill = top.residentSMShare {
      answer.add("Longest", "tile of \(top.tactic.prefix(60)): \(NumberText.percent(fill)) of SMs hold a block", kind: "estimated")
    }
    answer.add("Confirm", "rebuild with the timing cache edited, or with a larger --builderOptimizationLevel")
    return answer.lines
  }

  /// Every layer.
  public var tableLines: [String] {
    var table = TextTable([
      .init("layer", .left), .init("ms"), .init("share"), .init("tile"), .init("waves"), .init("SMs"), .init("regret"),
      .init("kernel", .left),
    ])
    for row in rows {
      table.add([
        String(row.name.prefix(40)), row.milliseconds.map { NumberText.significant($0) } ?? "-",
        row.share.map { NumberText.percent($0) } ?? "-",
        row.kernel.tile.map { "\($0.m)x\($0.n)" } ?? "-", row.waves.map { NumberText.significant($0, digits: 2) } ?? "-",
        row.residentSMShare.map { NumberText.percent($0) } ?? "-", row.regret.map { NumberText.percent($0) } ?? "-",
        String(row.tactic.prefix(60)),
      ])
    }
    return table.lines
  }

  /// One engine's part of `headroom.explain/3`.
  public var json: JSONValue {
    [
      "mode": "measured", "totalMilliseconds": JSONValue(total), "reformatShare": JSONValue(reformatShare),
      "layers": .array(
        rows.map { row in
          [
            "name": .string(row.name), "type": .string(row.type), "tactic": .string(row.tactic),
            "averageMilliseconds": JSONValue(row.milliseconds),
            "share": JSONValue(row.share), "tile": row.kernel.tile.map { .array([JSONValue($0.m), JSONValue($0.n)]) } ?? .null,
            "waves": JSONValue(row.waves), "residentSMShare": JSONValue(row.residentSMShare), "regretShare": JSONValue(row.regret),
            "fastestTactic": JSONValue(row.fastest?.name), "fastestMilliseconds": JSONValue(row.fastest?.milliseconds),
          ]
        }), "notes": .array(notes.map { .string($0) }),
    ]
  }
}
