import CheckedNumbers
import Trace

/// Counters' samples of one device, or of one of its GPU instances, added up.
struct CounterSums {
  /// What a counter's name stands for.
  private enum Meaning {
    case share(PredictedCounter.Counter)
    case clock
    /// Reads, writes or both: a share of what memory can move.
    case memory

    /// Names as Nsight Systems gives them: "SMs Active [Throughput %]"; older versions write "SM Active".
    init?(_ name: some StringProtocol) {
      let name = name.lowercased()
      if name.hasPrefix("gr active") {
        self = .share(.graphicsActive)
      } else if name.hasPrefix("sms active") || name.hasPrefix("sm active") {
        self = .share(.smActive)
      } else if name.hasPrefix("tensor active") {
        self = .share(.tensorActive)
      } else if name.hasPrefix("gpc clock frequency") {
        self = .clock
      } else if name.hasPrefix("dram read") && name.contains("%") || name.hasPrefix("dram write") && name.contains("%") {
        self = .memory
      } else {
        return nil
      }
    }
  }

  private var sums: [PredictedCounter.Counter: (sum: Double, count: Double)] = [:]
  private var clock = (sum: 0.0, count: 0.0)
  private var memory = 0.0
  private var memorySamples: [NameID: Double] = [:]

  private mutating func add(_ value: Double, _ meaning: Meaning, _ name: NameID) {
    // A slice's SM active may read above 100 % (NVIDIA/DCGM, issue 152).
    let share = min(100, value) / 100
    switch meaning {
    case .share(let counter):
      let old = sums[counter] ?? (0, 0)
      sums[counter] = (old.sum + share, old.count + 1)
    case .clock:
      // In hertz or megahertz, by version.
      if value > 0 { clock = (clock.sum + (value > 1e6 ? value / 1e6 : value), clock.count + 1) }
    case .memory:
      memory += share
      memorySamples[name, default: 0] += 1
    }
  }

  /// Means, 0...1.
  var shares: [PredictedCounter.Counter: Double] {
    var shares = sums.mapValues { $0.sum / $0.count }
    // Reads and writes are two counters of one bus: their sum is its use.
    if let samples = memorySamples.values.max() { shares[.memoryActive] = min(1, memory / samples) }
    return shares
  }

  /// Mean of the samples of a clock that ran.
  var clockMegahertz: Double? { clock.count > 0 ? clock.sum / clock.count : nil }

  /// By GPU instance; nil: the whole GPU. Without an entry: no sample of it that means something here.
  static func ofDevice(_ device: Int64, in trace: Trace) -> [Int?: CounterSums] {
    let table = trace.counters
    if table.count == 0 { return [:] }
    var meanings: [NameID: (instance: Int?, meaning: Meaning)] = [:]
    for (index, text) in trace.names.texts.enumerated() {
      let (instance, name) = GPUInstances.parsed(text)
      if let meaning = Meaning(name) { meanings[NameID(rawValue: Int32(clamping: index))] = (instance, meaning) }
    }
    var found: [Int?: CounterSums] = [:]
    for row in 0..<table.count where table.device[row] == device || table.device[row] == Trace.unknown {
      guard let (instance, meaning) = meanings[table.counter[row]], table.value[row].isFinite, table.value[row] >= 0 else { continue }
      found[instance, default: CounterSums()].add(table.value[row], meaning, table.counter[row])
    }
    return found
  }
}
