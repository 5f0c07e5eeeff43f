import CheckedNumbers
public import Trace

/// What counters and the driver said of a GPU while a program ran: a DCGM exporter's page, nvidia-smi's CSV, or the samples that Nsight
/// Systems took beside its records (`--gpu-metrics-devices`).
public struct GPUMetrics: Sendable, Hashable {
  /// Why the driver holds the clock below what was asked for.
  public enum Throttle: UInt64, Sendable, Hashable, CaseIterable {
    // Bits of nvmlClocksEventReasons (NVML API reference, "Clocks Event Reasons").
    case applicationClocks = 0x2
    case powerCap = 0x4
    case hardwareSlowdown = 0x8
    case softwareThermal = 0x20
    case hardwareThermal = 0x40
    case powerBrake = 0x80

    /// As printed.
    public var text: String {
      switch self {
      case .applicationClocks: "application clocks"
      case .powerCap: "power cap"
      case .hardwareSlowdown: "hardware slowdown"
      case .softwareThermal, .hardwareThermal: "temperature"
      case .powerBrake: "power brake"
      }
    }
  }

  /// Means of the samples, 0...1.
  public private(set) var shares: [PredictedCounter.Counter: Double] = [:]
  /// The SM clock while the GPU worked, megahertz.
  public private(set) var clockMegahertz: Double?
  /// The largest one that the board allows, where given.
  public private(set) var largestClockMegahertz: Double?
  /// Watts drawn and allowed.
  public internal(set) var watts: (drawn: Double, limit: Double)? {
    get { wattsDrawn.flatMap { drawn in wattsAllowed.map { (drawn, $0) } } }
    set {
      wattsDrawn = newValue?.drawn
      wattsAllowed = newValue?.limit
    }
  }
  private var wattsDrawn: Double?
  private var wattsAllowed: Double?
  /// Reasons for a lower clock that were active in at least a tenth of the samples.
  public private(set) var throttles: [Throttle] = []
  /// Processes with memory on the GPU, where listed.
  public private(set) var processes: Int?
  /// GPU instances (MIG) whose counters are in the trace and are not weighed: which of them the program ran in is not known.
  public private(set) var undecidedInstances: [Int] = []
  /// Where it comes from.
  public private(set) var source: String

  /// Clock over the largest clock; nil where either is unknown.
  public func clockShare(largest: Double?) -> Double? {
    guard let clockMegahertz, let maximum = largestClockMegahertz ?? largest, maximum > 0 else { return nil }
    return clockMegahertz / maximum
  }

  /// Nothing was seen.
  var isEmpty: Bool { shares.isEmpty && clockMegahertz == nil && processes == nil && undecidedInstances.isEmpty }

  /// The samples in a trace, of one device; nil where there are none.
  ///
  /// Of a GPU that MIG has split the counters are those of its GPU instances, each a share of the instance. A program runs in one of them, and
  /// its trace's shares are of that one's SMs: its counters are weighed, the others' are other programs'.
  public init?(_ trace: Trace, device: Int64) {
    let samples = CounterSums.ofDevice(device, in: trace)
    source = "GPU metrics in the trace"
    if let whole = samples[nil] { take(whole) }
    let instances = samples.keys.compactMap { $0 }.sorted()
    let own = GPUInstances.numbers(ofDevice: device, in: trace) ?? Set(instances)
    if own.count == 1, let number = own.first, let part = samples[number] {
      take(part)
      source += ", of GPU instance \(number)"
    } else if own.count != 1 {
      undecidedInstances = instances
    }
    if isEmpty { return nil }
  }

  private mutating func take(_ sums: CounterSums) {
    shares.merge(sums.shares) { $1 }
    clockMegahertz = sums.clockMegahertz ?? clockMegahertz
  }

  /// A DCGM exporter's or Triton's metrics page, or CSV of `nvidia-smi --query-gpu=... --format=csv` or `--query-compute-apps=...`.
  ///
  /// - Parameter device: of pages that name several GPUs the one of this number counts.
  public init(_ text: String, path: String, device: Int64 = 0) throws(CompanionError) {
    source = path
    let first = text.split(maxSplits: 1, omittingEmptySubsequences: true, whereSeparator: \.isNewline).first ?? ""
    if first.contains(",")
      && (first.contains("pid") || first.contains("utilization") || first.contains("clocks") || first.contains("power"))
    {
      readCSV(text)
    } else {
      readPage(PrometheusText(text), device: device)
    }
    if isEmpty {
      throw CompanionError(
        path: path,
        reason:
          "neither metrics of a GPU (DCGM_FI_*, nv_gpu_*) nor nvidia-smi's CSV: nvidia-smi --query-gpu=utilization.gpu,clocks.sm,clocks.max.sm,power.draw,power.limit,clocks_event_reasons.active --format=csv -lms 200"
      )
    }
  }

  /// Takes what another source knows and this one does not.
  public mutating func add(_ other: GPUMetrics) {
    shares.merge(other.shares) { own, _ in own }
    if clockMegahertz == nil { (clockMegahertz, largestClockMegahertz) = (other.clockMegahertz, other.largestClockMegahertz) }
    if largestClockMegahertz == nil { largestClockMegahertz = other.largestClockMegahertz }
    if watts == nil { watts = other.watts }
    if throttles.isEmpty { throttles = other.throttles }
    if processes == nil { processes = other.processes }
    undecidedInstances = Set(undecidedInstances).union(other.undecidedInstances).sorted()
  }

  private mutating func note(_ masks: [UInt64]) {
    let needed = max(1, (masks.count + 9) / 10)
    throttles = Throttle.allCases.filter { reason in masks.reduce(0) { $0 + ($1 & reason.rawValue != 0 ? 1 : 0) } >= needed }
  }

  private static func mean(_ values: [Double]) -> Double? { values.isEmpty ? nil : values.reduce(0, +) / Double(values.count) }

  private mutating func readPage(_ page: PrometheusText, device: Int64) {
    func values(_ name: String) -> [Double] {
      let samples = page.samples.filter { $0.name == name && $0.value.isFinite && $0.value >= 0 }
      let own = samples.filter { $0.labels["gpu"] == "\(device)" }
      let chosen = own.isEmpty ? samples : own
      // Of a GPU that MIG has split there is one of each GPU instance: shares of different things, of which one is the program's.
      let parts = Set(chosen.compactMap { $0.labels["GPU_I_ID"].flatMap { Int($0) } })
      if parts.count > 1 {
        undecidedInstances = parts.union(undecidedInstances).sorted()
        return chosen.filter { $0.labels["GPU_I_ID"] == nil }.map(\.value)
      }
      let ofParts = chosen.filter { $0.labels["GPU_I_ID"] != nil }
      return (ofParts.isEmpty ? chosen : ofParts).map(\.value)
    }
    func share(_ counter: PredictedCounter.Counter, _ names: [(String, Double)]) {
      for (name, scale) in names {
        if shares[counter] == nil, let value = Self.mean(values(name)) { shares[counter] = min(1, value * scale) }
      }
    }
    share(.nvidiaSMI, [("DCGM_FI_DEV_GPU_UTIL", 0.01), ("nv_gpu_utilization", 1)])
    share(.graphicsActive, [("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 1)])
    share(.smActive, [("DCGM_FI_PROF_SM_ACTIVE", 1)])
    share(.tensorActive, [("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", 1)])
    share(.memoryActive, [("DCGM_FI_PROF_DRAM_ACTIVE", 1)])
    clockMegahertz = Self.mean(values("DCGM_FI_DEV_SM_CLOCK"))
    largestClockMegahertz = Self.mean(values("DCGM_FI_DEV_MAX_SM_CLOCK"))
    if let drawn = Self.mean(values("DCGM_FI_DEV_POWER_USAGE") + values("nv_gpu_power_usage")),
      let limit = Self.mean(values("DCGM_FI_DEV_POWER_MGMT_LIMIT") + values("nv_gpu_power_limit"))
    {
      watts = (drawn, limit)
    }
    note(
      (values("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS") + values("DCGM_FI_DEV_CLOCKS_EVENT_REASONS")).map {
        UInt64(clamping: Int64(saturating: $0))
      })
  }

  private mutating func readCSV(_ text: String) {
    let lines = text.split(whereSeparator: \.isNewline).map { line in
      line.split(separator: ",", omittingEmptySubsequences: false).map { String($0.filter { $0 != " " && $0 != "\t" }) }
    }
    guard let header = lines.first else { return }
    func column(_ names: [String]) -> Int? {
      header.firstIndex { cell in names.contains { cell == $0 || cell.hasPrefix($0 + "[") } }
    }
    func numbers(_ column: Int?) -> [Double?] {
      guard let column else { return [] }
      return lines.dropFirst().map { cells in
        guard cells.indices.contains(column) else { return nil }
        let cell = cells[column]
        if cell.hasPrefix("0x") { return UInt64(cell.dropFirst(2), radix: 16).map { Double($0) } }
        return Double(cell.prefix { $0.isNumber || $0 == "." || $0 == "-" }).flatMap { $0.isFinite ? $0 : nil }
      }
    }
    if let pid = column(["pid"]) {
      processes = Set(lines.dropFirst().compactMap { $0.indices.contains(pid) ? Int($0[pid]) : nil }).count
      return
    }
    let use = numbers(column(["utilization.gpu"]))
    if let value = Self.mean(use.compactMap { $0 }) { shares[.nvidiaSMI] = min(1, value / 100) }
    // The clock of an idle GPU says nothing of the one it works at.
    func whileBusy(_ values: [Double?]) -> [Double] {
      let busy = values.indices.compactMap { index in
        use.indices.contains(index) && (use[index] ?? 0) >= 5 ? values[index] : nil
      }
      return busy.isEmpty ? values.compactMap { $0 } : busy
    }
    clockMegahertz = Self.mean(whileBusy(numbers(column(["clocks.sm", "clocks.current.sm"]))))
    largestClockMegahertz = Self.mean(numbers(column(["clocks.max.sm"])).compactMap { $0 })
    if let drawn = Self.mean(whileBusy(numbers(column(["power.draw", "power.draw.average", "power.draw.instant"])))),
      let limit = Self.mean(numbers(column(["power.limit", "enforced.power.limit"])).compactMap { $0 })
    {
      watts = (drawn, limit)
    }
    note(
      numbers(column(["clocks_event_reasons.active", "clocks_throttle_reasons.active"])).compactMap { $0 }.map {
        UInt64(clamping: Int64(saturating: $0))
      })
  }
}
