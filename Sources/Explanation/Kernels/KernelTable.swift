import CheckedNumbers
public import GPUModel
public import Trace

/// One kernel of a device: name and geometry, how often it ran, how it fills the device.
public struct KernelRow: Sendable, Hashable {
  /// As printed.
  public var name: String
  /// As the trace has it.
  public var fullName: String
  /// What the name says.
  public var parsed: KernelName
  /// Blocks in x, y, z; zeros where not recorded.
  public var grid: [Int]
  /// Threads in x, y, z.
  public var block: [Int]
  /// Registers of a thread.
  public var registers: Int
  /// Shared memory of a block, bytes.
  public var sharedBytes: Int
  /// Runs.
  public var count = 0
  /// Sum of durations, nanoseconds.
  public var total: Int64 = 0
  /// Shortest, nanoseconds.
  public var shortest: Int64 = .max
  /// Longest, nanoseconds.
  public var longest: Int64 = 0
  /// Median and tenth percentile, nanoseconds.
  public var median: Int64 = 0
  /// The tenth percentile: the fast mode of a kernel that something slows at times.
  public var fast: Int64 = 0
  /// Waves, fill and slot efficiency; nil where grid or device is unknown.
  public var fit: GridFit?
  /// Blocks that an SM holds at a time.
  public var occupancy: Occupancy?
  /// SMs with a resident block with what the name adds: a persistent kernel's blocks stay.
  public var residentSMShare: Double? { fit?.residentSMShare }
}

/// Kernels of a device, most time first, with what they do to its counters.
public struct KernelUse: Sendable {
  /// Rows by total time.
  public private(set) var rows: [KernelRow] = []
  /// Sum of durations, nanoseconds.
  public private(set) var total: Int64 = 0
  /// SM time: the sum over kernels of SMs holding a warp / SMs x time, nanoseconds of the whole device. nil where the device is unknown.
  public private(set) var smTime: Double?
  /// The same without the cap where kernels overlap: the largest it can be.
  public private(set) var smTimeUncapped: Double?
  /// Tensor pipe time, nanoseconds of the whole device; nil where the device is unknown.
  public private(set) var tensor: TensorTime?
  /// Time of kernels other than tensor products, 5 us and longer, nanoseconds: those that may run at memory speed.
  public private(set) var streaming: Int64 = 0
  /// Time of all other kernels, nanoseconds, each weighted by the share of SMs that it fills: one block alone moves next to nothing.
  public private(set) var otherFilled = 0.0
  /// Time-weighted SMs with a resident block of all kernels; nil where the device is unknown.
  public private(set) var fill: Double?
  /// The same without collectives: one takes as many blocks as it has channels, and waits for the link, not for SMs.
  public private(set) var computingFill: Double?
  /// Time-weighted slot efficiency of kernels with more than one wave.
  public private(set) var slotEfficiency: Double?
  /// The same with blocks counted per SM: co-resident blocks share an SM's throughput, so that a last wave of one block on each of its SMs' four
  /// places takes a quarter of a wave's time, and only SMs without a block lose something.
  public private(set) var waveBalance: Double?
  /// Share of kernel time in kernels of several waves.
  public private(set) var severalWavesShare = 0.0
  /// Nanoseconds by role.
  public private(set) var byRole: [KernelName.Role: Int64] = [:]
  /// Runs of kernels whose duration is over twice the fast mode of their own kind and geometry, time above it summed.
  public private(set) var slowTime: Int64 = 0

  /// Kernels of one device. `facts` gives SMs and occupancy limits; `overlap` says whether kernels ever run at once.
  public init(of activity: DeviceActivity, trace: Trace, facts: DeviceFacts, overlap: Bool) {
    let descriptions = trace.kernelDescriptions
    var position = [Int32](repeating: -1, count: descriptions.count)
    var durations: [[Int64]] = []
    for event in activity.events where event.kind == .kernel {
      let id = trace.kernels.description[Int(event.row)]
      let index = Int(id.rawValue)
      guard position.indices.contains(index) else { continue }
      if position[index] < 0 {
        position[index] = Int32(clamping: rows.count)
        rows.append(Self.row(descriptions[index], id, trace, facts))
        durations.append([])
      }
      durations[Int(position[index])].append(event.end - event.start)
    }
    for index in rows.indices {
      durations[index].sort()
      let sorted = durations[index]
      rows[index].count = sorted.count
      rows[index].total = sorted.reduce(0) { $0.addingSaturated($1) }
      rows[index].shortest = sorted.first ?? 0
      rows[index].longest = sorted.last ?? 0
      rows[index].median = sorted.isEmpty ? 0 : sorted[sorted.count / 2]
      rows[index].fast = sorted.isEmpty ? 0 : sorted[sorted.count / 10]
      total = total.addingSaturated(rows[index].total)
      byRole[rows[index].parsed.role, default: 0] += rows[index].total
      let fast = rows[index].fast
      for duration in sorted.reversed() {
        if duration <= 2 * fast { break }
        slowTime += duration - fast
      }
      let isStreaming = !rows[index].parsed.role.isProduct && fast >= 5_000
      if isStreaming, (rows[index].fit?.residentSMShare ?? 1) > 0.5 {
        streaming += rows[index].total
      } else {
        otherFilled += Double(rows[index].total) * (rows[index].fit?.residentSMShare ?? 1)
      }
    }
    weigh()
    if let gpu = facts.gpu { count(activity, trace, position, gpu, overlap: overlap) }
    rows.sort { ($1.total, $0.fullName, $0.grid.count) < ($0.total, $1.fullName, $1.grid.count) }
  }

  private static func row(_ description: KernelDescription, _ id: KernelID, _ trace: Trace, _ facts: DeviceFacts) -> KernelRow {
    let full = trace.names[description.demangledName] ?? trace.names[description.shortName] ?? "unknown"
    var row = KernelRow(
      name: KernelName.short(trace, id), fullName: full, parsed: KernelName(full),
      grid: [description.gridX, description.gridY, description.gridZ].map { Int($0 == Trace.unknown32 ? 0 : max(0, $0)) },
      block: [description.blockX, description.blockY, description.blockZ].map { Int($0 == Trace.unknown32 ? 0 : max(0, $0)) },
      registers: Int(max(0, description.registersPerThread)),
      sharedBytes: Int(max(0, description.staticSharedMemoryBytes)) + Int(max(0, description.dynamicSharedMemoryBytes)))
    guard let blocks = description.blockCount, let smCount = facts.smCount else { return row }
    var perSM = 1
    if let gpu = facts.gpu, let threads = description.threadsPerBlock, let count = Int(exactly: threads), count <= 2048 {
      let occupancy = Occupancy(threads: count, registersPerThread: row.registers, sharedBytes: row.sharedBytes, on: gpu)
      row.occupancy = occupancy
      perSM = max(1, occupancy.blocksPerSM)
    }
    row.fit = GridFit(blocks: Int(clamping: blocks), blocksPerSM: perSM, smCount: smCount)
    return row
  }

  private mutating func weigh() {
    var (fillSum, fillWeight, slots, slotWeight) = (0.0, 0.0, 0.0, 0.0)
    var (ownSum, ownWeight, balance) = (0.0, 0.0, 0.0)
    for row in rows {
      guard let fit = row.fit else { continue }
      let weight = Double(row.total)
      fillSum += fit.residentSMShare * weight
      fillWeight += weight
      if row.parsed.role == .communication { continue }
      ownSum += fit.residentSMShare * weight
      ownWeight += weight
      if fit.waves > 1 {
        slots += fit.slotEfficiency * weight
        balance += fit.residentSMShare * weight
        slotWeight += weight
      }
    }
    if fillWeight > 0 { fill = fillSum / fillWeight }
    if ownWeight > 0 { computingFill = ownSum / ownWeight }
    if slotWeight > 0 { (slotEfficiency, waveBalance) = (slots / slotWeight, balance / slotWeight) }
    if total > 0 { severalWavesShare = slotWeight / Double(total) }
  }

  /// SM and tensor time, run by run: a run that overlaps another is stretched by it, and its own work is that of the fast mode.
  private mutating func count(_ activity: DeviceActivity, _ trace: Trace, _ position: [Int32], _ gpu: GPU, overlap: Bool) {
    var uncapped = 0.0
    let shares = rows.map { ($0.fit?.residentSMShare ?? 1) * Self.tail($0, gpu) }
    // Starts and ends of residency with their share of SMs, only where kernels overlap at all.
    var edges: [(time: Double, share: Double)] = []
    // Durations as they count for the tensor pipe, by row.
    var own = [[Double]](repeating: [], count: rows.count)
    var waiting: (event: DeviceEvent, row: Int, overlaps: Bool)?
    var runningEnd = Int64.min
    func settle(nextStart: Int64) {
      guard let (event, row, overlaps) = waiting else { return }
      let duration = Double(event.end - event.start)
      own[row].append(overlaps || nextStart < event.end ? min(duration, Double(rows[row].fast)) : duration)
    }
    for event in activity.events where event.kind == .kernel {
      let row = Int(position[Int(trace.kernels.description[Int(event.row)].rawValue)])
      let resident = Self.resident(Double(event.end - event.start))
      uncapped += shares[row] * resident
      if overlap {
        edges.append((Double(event.start), shares[row]))
        edges.append((Double(event.start) + resident, -shares[row]))
      }
      guard rows[row].parsed.role == .tensorGEMM || rows[row].parsed.role == .attention else {
        settle(nextStart: event.start)
        waiting = nil
        runningEnd = max(runningEnd, event.end)
        continue
      }
      settle(nextStart: event.start)
      waiting = (event, row, event.start < runningEnd)
      runningEnd = max(runningEnd, event.end)
    }
    settle(nextStart: .max)
    smTimeUncapped = uncapped
    smTime = overlap ? Self.capped(&edges) : uncapped
    var (estimate, low, high) = (0.0, 0.0, 0.0)
    for row in rows.indices where !own[row].isEmpty {
      let blocks = Int64(clamping: rows[row].grid.reduce(1) { $0.multipliedSaturated(by: max(1, $1)) })
      // The time is nearly linear in the duration: a few representatives stand for thousands of runs.
      let sorted = own[row].sorted()
      let size = max(1, (sorted.count + Self.representatives - 1) / Self.representatives)
      for from in stride(from: 0, to: sorted.count, by: size) {
        let part = sorted[from..<min(sorted.count, from + size)]
        let time = TensorTime(rows[row].parsed, blocks: blocks, nanoseconds: part.reduce(0, +) / Double(part.count), on: gpu)
        estimate += time.estimate * Double(part.count)
        low += time.interval.lowerBound * Double(part.count)
        high += time.interval.upperBound * Double(part.count)
      }
    }
    tensor = TensorTime(estimate: estimate, interval: min(low, estimate)...max(high, estimate))
  }

  /// Durations that stand for all of a kernel's.
  private static let representatives = 64

  /// Nanoseconds of a record in which warps are resident.
  static func resident(_ nanoseconds: Double) -> Double {
    CounterConstants.residentNanoseconds(nanoseconds)
  }

  /// What is left of a kernel's SM time by blocks that do not end together.
  private static func tail(_ kernel: KernelRow, _ gpu: GPU) -> Double {
    let blocks = kernel.fit?.blocks ?? 0
    return blocks > gpu.smCount || kernel.parsed.isPersistent || (Double(blocks) >= 0.9 * Double(gpu.smCount) && kernel.fast > 20_000)
      ? CounterConstants.tailShare : 1
  }

  /// The area under the sum of shares, each moment at most 1: two kernels cannot hold an SM's worth of blocks each on one SM.
  public static func capped(_ edges: inout [(time: Double, share: Double)]) -> Double {
    edges.sort { ($0.time, $0.share) < ($1.time, $1.share) }
    var (sum, area, last) = (0.0, 0.0, edges.first?.time ?? 0)
    for edge in edges {
      area += min(1, max(0, sum)) * (edge.time - last)
      sum += edge.share
      last = edge.time
    }
    return area
  }
}
