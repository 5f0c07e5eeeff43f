import CheckedNumbers
public import GPUModel
public import Trace

/// What a kernel's name says of it: library names carry the tile, the depth of a step, the cluster and the arithmetic. The forms are those
/// of cuBLAS (nvjet, ampere_..., xmma), CUTLASS, cuDNN and the frameworks, read from traces and from TensorRT's layer files.
public struct KernelName: Sendable, Hashable {
  /// What the kernel does, as far as the name says.
  public enum Role: String, Sendable, Hashable, CaseIterable {
    /// A matrix product on tensor cores.
    case tensorGEMM
    /// A matrix product on ordinary pipes.
    case plainGEMM
    /// Fused attention.
    case attention
    /// Unfused softmax.
    case softmax
    /// LayerNorm, RMSNorm, batch norm.
    case normalization
    /// Element-wise work: activations, additions, casts.
    case elementwise
    /// Copies between layouts, gathers, transposes.
    case layout
    /// Reductions, scans, sorts.
    case reduction
    /// Collectives between devices.
    case communication
    /// Not known.
    case other

    /// As printed.
    public var text: String {
      switch self {
      case .tensorGEMM: "GEMM (tensor cores)"
      case .plainGEMM: "GEMM (no tensor cores)"
      case .attention: "fused attention"
      case .softmax: "softmax"
      case .normalization: "normalization"
      case .elementwise: "element-wise"
      case .layout: "layout, gather"
      case .reduction: "reduction"
      case .communication: "communication"
      case .other: "other"
      }
    }

    /// Small work between the products: what fusion removes.
    public var isElementwise: Bool {
      switch self {
      case .softmax, .normalization, .elementwise, .layout, .reduction: true
      default: false
      }
    }
  }

  /// What it does.
  public var role: Role
  /// Output tile of one block; nil where the name does not say.
  public var tile: (m: Int, n: Int)? { tileM > 0 && tileN > 0 ? (tileM, tileN) : nil }
  /// Depth of one main-loop step, elements; 0 for unknown.
  public var stepK = 0
  /// Blocks of a cluster along both tile sides; 1 for none.
  public var cluster: (x: Int, y: Int) { (max(1, clusterX), max(1, clusterY)) }
  /// Blocks stay and take one tile after the other: the grid does not say how many tiles there are.
  public var isPersistent = false
  /// Compute capability that the name claims (80 in `sm80_xmma_...`); nil where it claims none.
  public var architecture: Int?
  /// Arithmetic; nil where the name does not say.
  public var type: ComputeType?
  private var tileM = 0
  private var tileN = 0
  private var clusterX = 1
  private var clusterY = 1

  /// Reads a name, demangled or short.
  public init(_ name: String) {
    role = .other
    let text = name.utf8.count > 4096 ? String(name.prefix(4096)) : name
    let lower = text.lowercased()
    func has(_ part: String) -> Bool { lower.contains(part) }
    if has("nccl") || has("rccl") || has("allreduce") || has("all_reduce") || has("allgather") {
      role = .communication
    } else if has("flash") || has("fmha") || has("sdpa") || has("attention") && !has("softmax") {
      role = .attention
      type = .fp16
    } else if lower.hasPrefix("nvjet") {
      role = .tensorGEMM
      readNVJet(lower)
    } else if has("gemm") || has("cijk_") || has("wgmma") || has("gemv") || has("_conv") && has("tensor") || has("xmma") || has("cutlass")
      || has("cudnn_") || has("winograd") || has("convolve")
    {
      readLibrary(lower)
    } else if has("softmax") {
      role = .softmax
    } else if has("layer_norm") || has("layernorm") || has("rmsnorm") || has("rms_norm") || has("batch_norm") || has("bn_fw")
      || has("bn_bw")
      || has("groupnorm")
    {
      role = .normalization
    } else if has("transpose") || has("gather") || has("scatter") || has("index") || has("catarray") || has("embedding")
      || has("nchwtonhwc")
      || has("nhwctonchw") || has("reformat") || has("copy_kernel") || has("_clone_")
    {
      role = .layout
    } else if has("reduce") || has("scan") || has("sort") || has("topk") {
      role = .reduction
    } else if has("elementwise") || has("pointwise") || has("triton_poi") || has("gelu") || has("relu") || has("dropout")
      || has("multi_tensor_apply")
    {
      role = .elementwise
    } else if has("triton_per") || has("triton_red") {
      role = .reduction
    }
  }

  /// `nvjet_sm90_hsh_48x64_64x15_4x2_h_bz_bias_TNN`: types of A, accumulator and result; tile; step depth x stages; cluster.
  private mutating func readNVJet(_ name: String) {
    let parts = name.split(separator: "_")
    if parts.count > 1, parts[1].hasPrefix("sm") { architecture = Int(parts[1].dropFirst(2).prefix { $0.isNumber }) }
    if parts.count > 2 {
      type =
        switch parts[2].first {
        case "h": .fp16
        case "t": .bf16
        case "s": .tf32
        default: nil
        }
    }
    var pairs: [(Int, Int)] = []
    for part in parts.dropFirst(3) {
      guard let pair = Self.pair(part) else { break }
      pairs.append(pair)
    }
    if let tile = pairs.first { (tileM, tileN) = tile }
    if pairs.count > 1 { stepK = pairs[1].0 }
    if pairs.count > 2 { (clusterX, clusterY) = pairs[2] }
    isPersistent = name.contains("_coop")
  }

  private mutating func readLibrary(_ name: String) {
    let isTensor =
      name.contains("tensorop") || name.contains("s16816") || name.contains("s1688") || name.contains("h16816") || name.contains("h1688")
      || name.contains("s161616") || name.contains("i16832") || name.contains("hmma") || name.contains("imma") || name.contains("wgmma")
      || name.contains("tensor16x8") || name.contains("tensor8x8") || name.contains("884") || name.contains("wmma") || name.contains("mfma")
      || name.contains("_mt") && name.contains("_mi")
    role = isTensor ? .tensorGEMM : .plainGEMM
    if let range = name.firstRange(of: "sm"), let number = Int(name[range.upperBound...].prefix { $0.isNumber }),
      (50...130).contains(number)
    {
      architecture = number
    } else if let range = name.firstRange(of: "cutlass_"), let number = Int(name[range.upperBound...].prefix { $0.isNumber }) {
      architecture = number
    } else if name.hasPrefix("ampere") {
      architecture = 80
    } else if name.hasPrefix("volta") {
      architecture = 70
    } else if name.hasPrefix("turing") {
      architecture = 75
    }
    if isTensor {
      type = name.contains("bf16") ? .bf16 : name.contains("tf32") || name.contains("_s1688") && !name.contains("f16") ? .tf32 : .fp16
    } else {
      type = .fp32
    }
    if let range = name.firstRange(of: "tilesize") {
      let sizes = name[range.upperBound...].prefix { $0.isNumber || $0 == "x" }.split(separator: "x").compactMap { Int($0) }
      if sizes.count >= 2 { (tileM, tileN) = (sizes[0], sizes[1]) }
      if sizes.count >= 3 { stepK = sizes[2] }
      return
    }
    // AxB and then CxSTAGES, as `..._128x64_32x6_tn_...`; `ldg8_f2f_stages_64x5` has words between.
    for part in name.split(whereSeparator: { $0 == "_" || $0 == "<" || $0 == "(" || $0 == ">" }) {
      guard let pair = Self.pair(part) else { continue }
      if tileM == 0 {
        guard pair.0 >= 8, pair.1 >= 8 else { continue }
        (tileM, tileN) = pair
      } else {
        stepK = pair.0
        break
      }
    }
  }

  /// "48x64"; nil for anything else.
  private static func pair(_ text: Substring) -> (Int, Int)? {
    let sides = text.split(separator: "x", omittingEmptySubsequences: false)
    guard sides.count == 2, let left = Int(sides[0]), let right = Int(sides[1]), (1...4096).contains(left), (1...4096).contains(right)
    else {
      return nil
    }
    return (left, right)
  }

  /// The name of a kernel of a trace: short where there is a short one, else the demangled one without its arguments.
  public static func short(_ trace: Trace, _ id: KernelID) -> String {
    guard trace.kernelDescriptions.indices.contains(Int(id.rawValue)) else { return "unknown" }
    let description = trace[id]
    let text = trace.names[description.shortName] ?? trace.names[description.demangledName] ?? "unknown"
    return withoutArguments(text)
  }

  /// `void at::native::foo<8, Bar>(int, float)` as `foo`, with what distinguishes a CUTLASS kernel kept.
  static func withoutArguments(_ name: String) -> String {
    var text = Substring(name)
    if text.hasPrefix("void ") { text = text.dropFirst(5) }
    // Cut at the first bracket; an anonymous namespace is no bracket of arguments.
    text = Substring(text.replacing("(anonymous namespace)::", with: ""))
    let end = text.firstIndex { $0 == "<" || $0 == "(" } ?? text.endIndex
    var head = text[..<end]
    if let range = head.ranges(of: "::").last { head = head[range.upperBound...] }
    if head == "Kernel" || head == "Kernel2" || head == "device_kernel", end < text.endIndex {
      let inner = text[text.index(after: end)...].prefix { $0 != ">" && $0 != "(" && $0 != "<" }
      return String(inner.prefix(60))
    }
    return String(head.prefix(60))
  }

  /// Tiles compare by value.
  public static func == (left: KernelName, right: KernelName) -> Bool {
    left.role == right.role && left.tileM == right.tileM && left.tileN == right.tileN && left.stepK == right.stepK
      && left.clusterX == right.clusterX && left.clusterY == right.clusterY && left.isPersistent == right.isPersistent
      && left.architecture == right.architecture && left.type == right.type
  }

  /// As `==`.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(role)
    hasher.combine(tileM)
    hasher.combine(tileN)
    hasher.combine(stepK)
  }
}
