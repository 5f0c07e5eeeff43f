import CheckedNumbers
public import Diagnosis
import Glibc
public import Trace

/// Two sides, each one or more runs of one program: what changed and whether it exceeds what runs of one side differ by.
public struct Comparison: Sendable {
  /// A quantity of both sides.
  public struct Row: Sendable, Hashable {
    /// What it is, in the form that `--fail-on` takes: kernel_time, gpu_busy, kernel:NAME, ...
    public var key: String
    /// As printed.
    public var name: String
    /// Means; nil where a side does not have it.
    public var before: Double?
    /// As `before`.
    public var after: Double?
    /// In nanoseconds, counts or shares.
    public var unit: Figure.Unit
    /// (after - before) / before; nil where a side is missing or zero.
    public var change: Double?
    /// What runs of one side differ by, as a share; nil with one run per side.
    public var spread: Double?

    /// Whether the change exceeds the spread. Nil where there is one run per side: nobody knows the spread.
    public var isSignificant: Bool? { spread.flatMap { spread in change.map { $0.magnitude > spread } } }
  }

  /// What is compared of a run.
  public struct Run: Sendable {
    /// Values by key; times in nanoseconds.
    public var values: [String: (value: Double, unit: Figure.Unit)]
    /// Names by key.
    public var names: [String: String]

    /// Calls and ranges that are compared of a run, by their time.
    static let maximumCalls = 100

    /// The main device of an explained trace: kernels by name, idle time by cause; and of the trace itself, where it is given, CUDA calls by
    /// function and phases, which are the program's own ranges (NVTX, `record_function`).
    public init?(_ explanation: TraceExplanation, trace: Trace? = nil) {
      guard let device = explanation.device else { return nil }
      var values: [String: (value: Double, unit: Figure.Unit)] = [:]
      var names: [String: String] = [:]
      func add(_ key: String, _ name: String, _ value: Double, _ unit: Figure.Unit) {
        values[key] = (value, unit)
        names[key] = name
      }
      add("span", "span", Double(device.wall), .nanoseconds)
      // A graph that was recorded whole is the time of its kernels, as far as anybody knows.
      let kernelTime = Double(device.kernels.total.addingSaturated(device.busy.graphSum))
      add("kernel_time", "kernel time", kernelTime, .nanoseconds)
      add("kernel_busy", "kernels ran, union", Double(device.busy.kernel), .nanoseconds)
      add("copy_time", "copies ran, union", Double(device.busy.copy), .nanoseconds)
      add("idle", "GPU idle", Double(device.idle.total), .nanoseconds)
      add("kernels", "kernels", Double(device.busy.kernels), .count)
      add("launches", "launch calls", Double(explanation.contents.launches), .count)
      add("gpu_busy", "GPU busy, share of the span", Double(device.busy.kernel) / Double(device.wall), .share)
      if device.busy.kernels > 0 {
        add("time_per_kernel", "kernel time per kernel", kernelTime / Double(device.busy.kernels), .nanoseconds)
      }
      for (cause, nanoseconds) in device.idle.byCause {
        add("idle:\(cause.rawValue)", "idle: \(cause.text)", Double(nanoseconds), .nanoseconds)
      }
      for row in device.kernels.rows.prefix(100) {
        // One name may run with several grids.
        let key = "kernel:\(row.fullName)"
        values[key] = ((values[key]?.value ?? 0) + Double(row.total), .nanoseconds)
        names[key] = row.name
        let countKey = "count:\(row.fullName)"
        values[countKey] = ((values[countKey]?.value ?? 0) + Double(row.count), .count)
        names[countKey] = row.name + ", runs"
      }
      func addAll(_ sums: [NameID: (total: Int64, count: Int)], _ key: String, _ name: String, _ trace: Trace) {
        var byName: [String: (total: Int64, count: Int)] = [:]
        for (id, sum) in sums {
          let full = trace.names[id] ?? "unknown"
          let text = name == "call" ? Self.plainFunction(full) : RangeEvent.nameWithoutNumber(full)
          let known = byName[text] ?? (0, 0)
          byName[text] = (known.total.addingSaturated(sum.total), known.count + sum.count)
        }
        for (text, sum) in byName.sorted(by: { ($1.value.total, $0.key) < ($0.value.total, $1.key) }).prefix(Self.maximumCalls) {
          add("\(key):\(text)", "\(name) \(text)", Double(sum.total), .nanoseconds)
          add("\(key)_count:\(text)", "\(name) \(text), times", Double(sum.count), .count)
        }
      }
      if let trace {
        addAll(Self.sums(trace.apiCalls.start, trace.apiCalls.end, trace.apiCalls.name) { _ in true }, "api", "call", trace)
        let types = trace.ranges.type
        // What a framework projected onto a GPU is a range's shadow.
        addAll(Self.sums(trace.ranges.start, trace.ranges.end, trace.ranges.text) { types[$0] != 1000 }, "range", "phase", trace)
      }
      self.values = values
      self.names = names
    }

    private static func sums(
      _ starts: [Int64], _ ends: [Int64], _ names: [NameID], _ isWanted: (Int) -> Bool
    ) -> [NameID: (total: Int64, count: Int)] {
      var sums: [NameID: (total: Int64, count: Int)] = [:]
      for row in starts.indices where starts[row] != Trace.unknown && ends[row] >= starts[row] && isWanted(row) {
        let known = sums[names[row]] ?? (0, 0)
        sums[names[row]] = (known.total.addingSaturated(ends[row].subtractingSaturated(starts[row])), known.count + 1)
      }
      return sums
    }

    /// "cudaMalloc_v3020" is cudaMalloc: runs of two CUDA versions are aligned by it.
    static func plainFunction(_ name: String) -> String {
      guard let underscore = name.lastIndex(of: "_"), name[name.index(after: underscore)...].first == "v" else { return name }
      let digits = name[name.index(underscore, offsetBy: 2)...]
      return digits.count >= 4 && digits.allSatisfy(\.isNumber) ? String(name[..<underscore]) : name
    }
  }

  /// What the two sides amount to.
  public enum Verdict: String, Sendable, Hashable {
    /// The same work in less time.
    case faster
    /// The same work in more time.
    case slower
    /// The same work, and no difference beyond the spread.
    case same
    /// The sides did different amounts of work: a shorter or less busy window proves nothing.
    case differentWork
    /// One run per side and a small difference.
    case inconclusive
  }

  /// Rows: whole first, then kernels and causes by what they changed.
  public private(set) var rows: [Row] = []
  /// What it amounts to.
  public private(set) var verdict: Verdict
  /// Why, in a sentence.
  public private(set) var reason: String
  /// Runs of each side.
  public private(set) var runs: (before: Int, after: Int)

  /// Kernels whose counts differ by more than this did different work.
  static let sameWork = 0.02
  /// A difference below this is not called one where the spread is unknown.
  static let smallestChange = 0.03

  /// Compares two sides; each at least one run.
  public init?(before: [Run], after: [Run]) {
    guard !before.isEmpty, !after.isEmpty else { return nil }
    runs = (before.count, after.count)
    verdict = .inconclusive
    reason = ""
    let keys = Set((before + after).flatMap { $0.values.keys })
    let whole = ["span", "kernel_time", "time_per_kernel", "kernel_busy", "gpu_busy", "copy_time", "idle", "kernels", "launches"]
    for key in whole where keys.contains(key) { rows.append(Self.row(key, before, after)) }
    let rest = keys.subtracting(whole).map { Self.row($0, before, after) }.sorted { left, right in
      (Self.weight(right), left.key) < (Self.weight(left), right.key)
    }
    rows += rest
    decide()
  }

  private static func weight(_ row: Row) -> Double { row.unit == .nanoseconds ? ((row.after ?? 0) - (row.before ?? 0)).magnitude : 0 }

  private static func row(_ key: String, _ before: [Run], _ after: [Run]) -> Row {
    func values(_ runs: [Run]) -> [Double] { runs.compactMap { $0.values[key]?.value } }
    let (left, right) = (values(before), values(after))
    func mean(_ values: [Double]) -> Double? { values.isEmpty ? nil : values.reduce(0, +) / Double(values.count) }
    let sample = (before + after).first { $0.values[key] != nil }
    let (first, second) = (mean(left), mean(right))
    var change: Double?
    if let first, let second, first != 0 { change = (second - first) / first }
    var spread: Double?
    if left.count > 1 || right.count > 1, let first, first != 0 {
      // Largest less smallest of the side that differs most: few runs give no better bound.
      let widths = [left, right].compactMap { side in
        side.count > 1 ? (side.max() ?? 0) - (side.min() ?? 0) : nil
      }
      spread = (widths.max() ?? 0) / first.magnitude
    }
    return Row(
      key: key, name: sample?.names[key] ?? key, before: first, after: second, unit: sample?.values[key]?.unit ?? .count, change: change,
      spread: spread)
  }

  /// A row by its key.
  public subscript(key: String) -> Row? { rows.first { $0.key == key } }

  private mutating func decide() {
    guard let kernels = self["kernels"], let span = self["span"], let spanChange = span.change, let kernelChange = kernels.change else {
      reason = "a side has no kernels"
      return
    }
    let threshold = span.spread ?? Self.smallestChange
    if kernelChange.magnitude > max(Self.sameWork, kernels.spread ?? 0) {
      verdict = .differentWork
      let direction = kernelChange < 0 ? "fewer" : "more"
      let perKernel = self["time_per_kernel"]?.change ?? 0
      reason =
        "\(NumberInWords.percent(kernelChange.magnitude)) \(direction) kernels in the second side: less or more work in a window is not faster or slower; time per kernel \(Self.signed(perKernel))"
      return
    }
    if spanChange.magnitude <= threshold {
      verdict = span.spread == nil ? .inconclusive : .same
      reason =
        span.spread == nil
        ? "the same work in \(Self.signed(spanChange)) of the time, and one run per side: give several files per side to know the spread"
        : "the same work, and a difference of \(Self.signed(spanChange)) within the spread of \(NumberInWords.percent(threshold))"
      return
    }
    verdict = spanChange < 0 ? .faster : .slower
    reason =
      "the same work took \(Self.signed(spanChange)) of the time"
      + (span.spread.map { ", beyond the spread of \(NumberInWords.percent($0))" } ?? " (one run per side: the spread is unknown)")
  }

  /// Whether a total may be smaller only because the second side did less: its kernels were fewer, and no phase that came as often on both sides
  /// says that as many steps ran.
  func hidesByLessWork(_ key: String) -> Bool {
    guard verdict == .differentWork, let kernels = self["kernels"]?.change, kernels < 0 else { return false }
    let totals = ["span", "kernel_time", "kernel_busy", "copy_time", "idle"]
    guard totals.contains(key) || ["kernel:", "idle:", "api:", "range:"].contains(where: { key.hasPrefix($0) }) else { return false }
    // One kernel, call or phase that ran as often is compared by itself.
    for (prefix, count) in [("kernel:", "count:"), ("api:", "api_count:"), ("range:", "range_count:")] where key.hasPrefix(prefix) {
      if let times = self[count + key.dropFirst(prefix.count)]?.change { return times.magnitude > Self.sameWork }
    }
    return !rows.contains { $0.key.hasPrefix("range_count:") && $0.change == 0 && ($0.before ?? 0) >= 5 }
  }

  static func signed(_ share: Double) -> String { (share >= 0 ? "+" : "-") + NumberInWords.percent(share.magnitude) }
}

/// A condition for CI: `kernel_time>+3%`, `gpu_busy<40%`, `idle>+10%`, `kernel:NAME>+5%`.
public struct ComparisonCondition: Sendable, Hashable {
  /// As written.
  public var text: String
  /// The row's key.
  public var key: String
  /// Greater or less fails.
  public var isAbove: Bool
  /// Share of change (signed values) or of the whole (unsigned percentages of a share).
  public var threshold: Double
  /// On the change rather than on the second side's value.
  public var isChange: Bool

  /// Why a condition cannot be read, or nil.
  public init?(_ text: String) {
    self.text = text
    let plain = text.filter { $0 != " " }
    guard let place = plain.lastIndex(where: { $0 == ">" || $0 == "<" }), place > plain.startIndex else { return nil }
    key = String(plain[..<place])
    isAbove = plain[place] == ">"
    var number = plain[plain.index(after: place)...]
    isChange = number.hasPrefix("+") || number.hasPrefix("-")
    guard number.hasSuffix("%") else { return nil }
    number = number.dropLast()
    if number.hasPrefix("+") { number = number.dropFirst() }
    guard let value = Double(number), value.isFinite, value.magnitude <= 1e6 else { return nil }
    threshold = value / 100
  }

  /// Whether it is crossed; nil where the quantity is unknown, or the change lies within the spread's reach of the threshold.
  public func isCrossed(by comparison: Comparison) -> Bool? {
    let row = comparison[key] ?? comparison.rows.first { $0.key.hasPrefix(key) || $0.name == key }
    guard let row else { return nil }
    if isChange {
      guard let change = row.change else { return nil }
      // Within the spread of the threshold either answer could be an accident.
      if let spread = row.spread, (change - threshold).magnitude < spread { return nil }
      let isCrossed = isAbove ? change > threshold : change < threshold
      // A total that did not rise because less was done says nothing: a gate must not pass on it.
      return !isCrossed && comparison.hidesByLessWork(row.key) ? nil : isCrossed
    }
    guard let value = row.after, row.unit == .share else { return nil }
    return isAbove ? value > threshold : value < threshold
  }
}
