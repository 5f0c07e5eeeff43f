import CheckedNumbers
public import GPUModel
public import Trace

/// Who makes a device: names of counters and tools differ.
public enum DeviceVendor: Sendable, Hashable {
  case nvidia, amd

  /// By the device's name, else by the runtime whose calls launched its work.
  init(name: String?, firstCall: String?) {
    let lower = (name ?? "").lowercased()
    let marks = ["amd", "instinct", "radeon", "gfx9", "gfx1"]
    self = marks.contains { lower.contains($0) } || lower.isEmpty && firstCall?.hasPrefix("hip") == true ? .amd : .nvidia
  }

  /// NVIDIA's words in a sentence made this vendor's.
  func words(_ text: String) -> String {
    guard self == .amd else { return text }
    let pairs = [
      ("hardware counters of one step (ncu --set full)", "hardware counters of one step (rocprof-compute profile)"),
      ("nvidia-smi -q -d CLOCK,POWER,PERFORMANCE", "amd-smi metric --clock --power"),
      ("nvidia-smi -q -d CLOCK,POWER", "amd-smi metric --clock --power"), ("nvidia-smi pmon -c 5", "amd-smi process"),
      (
        "DCGM 1005 during the run: about 0.8 is the practical ceiling",
        "memory bandwidth by rocprof-compute: about 0.8 is the practical ceiling"
      ),
      ("nsys profile --trace=cuda,nvtx,osrt", "rocprofv3 --sys-trace"), ("CUDA graph", "HIP graph"), ("of SMs hold", "of CUs hold"),
      ("outside CUDA", "outside HIP"), ("CUDA calls", "HIP calls"),
    ]
    return pairs.reduce(text) { $0.replacing($1.0, with: $1.1) }
  }
}

/// What is known of a device: what the trace says first, the catalogue for the rest.
public struct DeviceFacts: Sendable, Hashable {
  /// Who makes it.
  public var vendor = DeviceVendor.nvidia
  /// The catalogue's GPU of that name, with the trace's own figures in place of its own; nil where neither is enough.
  public var gpu: GPU?
  /// SMs; nil where unknown.
  public var smCount: Int? { gpu?.smCount ?? traceSMCount }
  private var traceSMCount: Int?
  /// The device is a slice of a board (MIG): all shares are of the slice.
  public private(set) var isSlice = false
  /// SMs of the board a slice belongs to, by the catalogue; nil for a whole board or an unknown one.
  public private(set) var wholeSMCount: Int?
  /// Where the figures come from.
  public var source: String

  /// From a trace's description; `named` overrides it (`--gpu`).
  public init(_ description: GPUDescription?, named: GPU? = nil, firstCall: String? = nil, catalogue: GPUCatalogue = GPUCatalogue()) {
    vendor = DeviceVendor(name: description?.name, firstCall: firstCall)
    func known(_ value: Int64?) -> Int? { value.flatMap { $0 == Trace.unknown || $0 <= 0 ? nil : Int(exactly: $0) } }
    traceSMCount = known(description?.smCount)
    source = "the trace's device table"
    var gpu = named
    if gpu == nil, let name = description?.name { gpu = Self.match(name, description, catalogue) }
    guard var found = gpu else {
      if traceSMCount == nil { source = "unknown: the trace does not describe the device; name it with --gpu" }
      return
    }
    source = named == nil ? "the trace's device table and the catalogue's \(found.name)" : "the catalogue's \(found.name), as --gpu says"
    if named == nil {
      if let count = traceSMCount {
        isSlice = description?.name.contains("MIG ") == true
        if isSlice, found.smCount > 0 { found.scale(by: min(1, Double(count) / Double(found.smCount))) }
        wholeSMCount = isSlice ? found.smCount : nil
        found.smCount = count
      }
      if let registers = known(description?.maxRegistersPerSM) { found.registersPerSM = registers }
      if let warps = known(description?.maxWarpsPerSM) { found.warpsPerSM = warps }
      if let blocks = known(description?.maxBlocksPerSM) { found.blocksPerSM = blocks }
      if let shared = known(description?.maxSharedMemoryBytesPerSM) { found.sharedKilobytesPerSM = shared / 1024 }
    }
    self.gpu = found
  }

  /// "NVIDIA H100 80GB HBM3" is the catalogue's H100 SXM: the SM count decides between boards of one name.
  private static func match(_ name: String, _ description: GPUDescription?, _ catalogue: GPUCatalogue) -> GPU? {
    // "NVIDIA H200 (simulated by headroom)", "NVIDIA A100-SXM4-40GB", "Tesla T4".
    let plain = String(name.prefix { $0 != "(" })
    if let match = try? catalogue.find(plain) { return match.gpu }
    let words = Set(plain.lowercased().split { !($0.isLetter || $0.isNumber) }.map(String.init))
    let memory = description.map { Double($0.totalMemoryBytes) / 1e9 }
    // Every catalogue board whose model word (h100, a100, l40s, 5090) stands in the name.
    let candidates = catalogue.gpus.filter { gpu in
      let own = gpu.name.lowercased().split { !($0.isLetter || $0.isNumber) }.map(String.init)
      let models = own.filter { $0.contains { $0.isNumber } && !$0.hasSuffix("gb") && !$0.hasPrefix("sxm") }
      return !models.isEmpty && models.allSatisfy(words.contains)
    }
    return candidates.min { left, right in
      func distance(_ gpu: GPU) -> Double {
        var sum = 0.0
        if let count = description?.smCount, count > 0 { sum += Double((Int64(gpu.smCount) - count).magnitude) }
        if let memory, memory > 0 { sum += (gpu.memoryGigabytes - memory).magnitude / 10 }
        return sum
      }
      return (distance(left), left.name) < (distance(right), right.name)
    }
  }
}

extension GPU {
  /// What belongs to that share of its SMs: MIG gives a slice its part of memory and L2 as well, to within the instance profiles' rounding.
  fileprivate mutating func scale(by share: Double) {
    fp32Teraflops *= share
    tf32Teraflops = tf32Teraflops.map { $0 * share }
    fp16Teraflops = fp16Teraflops.map { $0 * share }
    fp8Teraflops = fp8Teraflops.map { $0 * share }
    memoryGigabytesPerSecond *= share
    l2Megabytes *= share
  }
}
