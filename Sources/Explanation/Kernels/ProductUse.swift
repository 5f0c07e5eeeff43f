import CheckedNumbers
public import GPUModel
public import Trace

/// Matrix products whose shapes a trace tells: by the operators that launched them (Kineto's input shapes), or by the ranges around their
/// launches (PyTorch's emit_nvtx writes "aten::mm, op_id = 3, sizes = [[50, 1024], [1024, 1024]]").
public struct ProductUse: Sendable {
  /// Products of one shape and type.
  public struct Row: Sendable, Hashable {
    /// Independent products.
    public var batch: Int
    /// Rows of the result.
    public var m: Int
    /// Columns of the result.
    public var n: Int
    /// Depth.
    public var k: Int
    /// Arithmetic.
    public var type: ComputeType
    /// Calls.
    public var count: Int
    /// Kernel time of all calls, nanoseconds.
    public var total: Int64
    /// The kernel that took most of it, as printed.
    public var kernel: String
    /// The model's time of one call, nanoseconds; nil where it has none.
    public var predicted: Double?
    /// Its error band, as a share.
    public var band: Double?
    /// The larger of FLOPs over peak and bytes over bandwidth, nanoseconds: what the device could do at best.
    public var limit: Double
    /// Whether the arithmetic is that limit, else memory.
    public var isMathBound: Bool

    /// FLOPs of one call.
    public var operations: Double { 2 * Double(batch) * Double(m) * Double(n) * Double(k) }
    /// Kernel time of one call, nanoseconds.
    public var mean: Double { Double(total) / Double(max(1, count)) }
    /// Share of the binding limit that the kernels reached, 0...1.
    public var limitShare: Double { mean > 0 ? min(1, limit / mean) : 0 }
    /// "50 x 1024 x 1024", with the batch in front where there is one.
    public var text: String { (batch > 1 ? "\(batch) x " : "") + "\(m) x \(n) x \(k)" }
  }

  /// By total time.
  public private(set) var rows: [Row] = []
  /// FLOPs of all of them.
  public var operations: Double { rows.reduce(0) { $0 + $1.operations * Double($1.count) } }
  /// Share of the products' kernel time, as their names tell products, whose shapes are known.
  public private(set) var coverage = 0.0
  /// Dense peak over which the model FLOPs utilization counts, FLOPs per second; nil without a GPU.
  public private(set) var peak: Double?

  struct Shape: Hashable {
    var batch: Int
    var m: Int
    var n: Int
    var k: Int
    var type: ComputeType
  }

  /// Of one device; nil where the trace tells no shape.
  public init?(of activity: DeviceActivity, trace: Trace, host: HostActivity, facts: DeviceFacts) {
    let calls = OperatorCalls(trace, wants: Self.isProduct, payload: Self.shape)
    if calls.isEmpty { return nil }
    var sums: [Shape: (count: Int, total: Int64, names: [KernelID: Int64])] = [:]
    // A call counts once however many kernels it launched.
    var counted: Set<Int64> = []
    let roles = trace.kernelDescriptions.map { KernelName(trace.names[$0.demangledName] ?? trace.names[$0.shortName] ?? "").role }
    var (products, known) = (0.0, 0.0)
    for event in activity.events where event.kind == .kernel {
      let description = trace.kernels.description[Int(event.row)]
      let role = roles.indices.contains(Int(description.rawValue)) ? roles[Int(description.rawValue)] : .other
      let duration = event.end - event.start
      let isProduct = role.isProduct
      if isProduct { products += Double(duration) }
      guard let (call, key) = calls.launching(event, trace, host) else { continue }
      // A product's own helpers (a reduction of split-K, a fill) belong to it; an element-wise kernel under aten::linear does too.
      if isProduct { known += Double(duration) }
      let shape = call.payload
      var sum = sums[shape] ?? (0, 0, [:])
      if counted.insert(key).inserted { sum.count += 1 }
      sum.total = sum.total.addingSaturated(duration)
      sum.names[description, default: 0] += duration
      sums[shape] = sum
    }
    if sums.isEmpty { return nil }
    coverage = products > 0 ? min(1, known / products) : 0
    let model = facts.gpu.map { KernelModel(gpu: $0, calibration: KernelCalibrations.calibration(for: $0)) }
    rows = sums.map { shape, sum in
      let top = sum.names.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }?.key
      var row = Row(
        batch: shape.batch, m: shape.m, n: shape.n, k: shape.k, type: shape.type, count: sum.count, total: sum.total,
        kernel: top.map { KernelName.short(trace, $0) } ?? "unknown", predicted: nil, band: nil, limit: 0, isMathBound: true)
      if row.type == .fp32, let top, let description = Optional(trace[top]),
        KernelName(trace.names[description.demangledName] ?? trace.names[description.shortName] ?? "").type == .tf32
      {
        row.type = .tf32
      }
      if let gpu = facts.gpu { Self.compare(&row, gpu, model) }
      return row
    }.sorted { ($1.total, $0.text) < ($0.total, $1.text) }
    peak = facts.gpu.flatMap { gpu in rows.first.flatMap { gpu.peakFLOPs($0.type) } }
  }

  private static func compare(_ row: inout Row, _ gpu: GPU, _ model: KernelModel?) {
    let gemm = GEMM(batch: row.batch, m: row.m, n: row.n, k: row.k, type: row.type)
    let math = gpu.peakFLOPs(row.type).map { row.operations / $0 * 1e9 } ?? 0
    let memory = gemm.bytes / max(1, gpu.memoryGigabytesPerSecond)
    (row.limit, row.isMathBound) = (max(math, memory), math >= memory)
    if let prediction = try? model?.explain(gemm) {
      row.predicted = prediction.microseconds * 1e3
      row.band = prediction.relativeErrorBand
    }
  }

  /// Kernel time of products whose bytes take longer than their arithmetic and that reach most of the memory's bandwidth, nanoseconds. What
  /// exceeds it by more than the figure's own error came from L2.
  public var streamingNanoseconds: Int64 {
    rows.reduce(Int64(0)) { sum, row in
      let reached = row.mean > 0 ? row.limit / row.mean : 0
      return !row.isMathBound && (0.6...1.1).contains(reached) ? sum.addingSaturated(row.total) : sum
    }
  }

  /// FLOPs of known products over the dense peak and a span, 0...1.
  public func mfu(span: Int64) -> Double? { peak.flatMap { $0 > 0 && span > 0 ? operations / (Double(span) / 1e9) / $0 : nil } }

  /// Products of ATen and of the libraries under it.
  static func isProduct(_ name: String) -> Bool {
    [
      "aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::linear", "aten::matmul", "aten::_addmm_activation",
      "aten::_scaled_mm",
    ]
    .contains(name)
  }

  /// The product of an operator's inputs; nil where their shapes do not fit it.
  static func shape(_ name: String, _ shapes: [[Int64]], _ types: String) -> Shape? {
    func size(_ value: Int64) -> Int? { value > 0 && value < 1 << 31 ? Int(exactly: value) : nil }
    func make(_ batch: [Int64], _ m: Int64, _ n: Int64, _ k: Int64) -> Shape? {
      let all = batch.reduce(Int64(1)) { $0.multipliedSaturated(by: max(0, $1)) }
      guard let batch = size(all), let m = size(m), let n = size(n), let k = size(k) else { return nil }
      return Shape(batch: batch, m: m, n: n, k: k, type: type(types))
    }
    let matrices =
      name == "aten::addmm" || name == "aten::baddbmm" || name == "aten::_addmm_activation" ? Array(shapes.dropFirst()) : shapes
    guard matrices.count >= 2 else { return nil }
    let (left, right) = (matrices[0], matrices[1])
    switch name {
    case "aten::mm", "aten::addmm", "aten::_addmm_activation", "aten::_scaled_mm":
      guard left.count == 2, right.count == 2, left[1] == right[0] else { return nil }
      return make([], left[0], right[1], left[1])
    case "aten::bmm", "aten::baddbmm":
      guard left.count == 3, right.count == 3, left[0] == right[0], left[2] == right[1] else { return nil }
      return make([left[0]], left[1], right[2], left[2])
    case "aten::linear":
      // The weight is stored as [n, k]; all leading sizes of the input are rows.
      guard let k = left.last, left.count >= 1, right.count == 2, right[1] == k else { return nil }
      return make([], left.dropLast().reduce(1) { $0.multipliedSaturated(by: max(0, $1)) }, right[0], k)
    case "aten::matmul":
      guard left.count >= 2, right.count >= 2, let k = left.last, right[right.count - 2] == k, let n = right.last else { return nil }
      let rows = left[left.count - 2]
      if right.count == 2 { return make([], left.dropLast().reduce(1) { $0.multipliedSaturated(by: max(0, $1)) }, n, k) }
      return make(Array(left.dropLast(2)), rows, n, k)
    default: return nil
    }
  }

  /// The first input's type as ATen names it; half precision where nothing is said.
  static func type(_ types: String) -> ComputeType {
    if types.contains("BFloat16") { return .bf16 }
    if types.contains("Half") { return .fp16 }
    // Single precision runs on tensor cores only where TF32 is allowed, which the operator does not say.
    if types.contains("float") { return .fp32 }
    return .fp16
  }
}
