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
    /// A matrix product on ordinary pipes, as its name says.
    case plainGEMM
    /// A matrix product whose name says neither.
    case unknownGEMM
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
      case .unknownGEMM: "GEMM"
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

    /// A matrix product or convolution, on whatever pipes.
    public var isProduct: Bool {
      switch self {
      case .tensorGEMM, .plainGEMM, .unknownGEMM: true
      default: false
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
    let lower = Self.bounded(name).lowercased()
    func has(_ part: String) -> Bool { lower.contains(part) }
    if let fused = FusedKernelName.role(lower) {
      role = fused
      if role == .tensorGEMM { type = lower.contains("bf16") ? .bf16 : .fp16 }
    } else if lower.hasPrefix("triton_poi") {
      // Named after all that was fused into it, attention and products included.
      role = .elementwise
    } else if lower.hasPrefix("triton_red") || lower.hasPrefix("triton_per") {
      role = has("softmax") ? .softmax : has("layer_norm") || has("rms_norm") || has("batch_norm") ? .normalization : .reduction
    } else if has("nccl") || has("rccl") || has("allreduce") || has("all_reduce") || has("allgather") {
      role = .communication
    } else if has("flash") || has("fmha") || has("sdpa") || (has("attention") || has("attn") || has("pagedkv")) && !has("softmax") {
      role = .attention
      type = .fp16
    } else if lower.hasPrefix("nvjet") {
      role = .tensorGEMM
      readNVJet(lower)
    } else if has("splitkreduce") {
      role = .reduction
    } else if has("gemm") || has("cijk_") || has("gmma") || has("gemv") || has("_conv") && has("tensor") || has("xmma") || has("cutlass")
      || has("cudnn_") || has("winograd") || has("convolve") || has("scudnn") || has("marlin") || has("wgrad_alg") || has("dgrad_engine")
      || lower.hasPrefix("triton_tem") || lower.hasPrefix("triton_mm") || has("matmul_kernel") || has("matmul_ogs")
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
      || has("nhwctonchw") || has("reformat") || has("copy_kernel") || has("_clone_") || has("reshape_and_cache")
    {
      role = .layout
    } else if has("reduce") || has("scan") || has("sort") || has("topk") || has("argmax") {
      role = .reduction
    } else if has("elementwise") || has("pointwise") || has("gelu") || has("relu") || has("dropout")
      || has("multi_tensor_apply") || has("silu") || has("act_and_mul") || has("rotary")
    {
      role = .elementwise
    }
  }

  /// `nvjet_sm90_hsh_48x64_64x15_4x2_h_bz_bias_TNN`: types of A, accumulator and result; tile; step depth x stages; cluster. Some write
  /// no architecture: `nvjet_tst_192x192_64x4_2x1_v_bz_coopB_TNN`.
  private mutating func readNVJet(_ name: String) {
    var parts = name.split(separator: "_").dropFirst()
    if let first = parts.first, first.hasPrefix("sm") {
      architecture = Int(first.dropFirst(2).prefix { $0.isNumber })
      parts = parts.dropFirst()
    }
    if let types = parts.first {
      type =
        switch types.first {
        case "h": .fp16
        case "t": .bf16
        case "s": .tf32
        default: nil
        }
    }
    var pairs: [(Int, Int)] = []
    for part in parts.dropFirst() {
      guard let pair = Self.pair(part) else { break }
      pairs.append(pair)
    }
    if let tile = pairs.first { (tileM, tileN) = tile }
    if pairs.count > 1 { stepK = pairs[1].0 }
    if pairs.count > 2 { (clusterX, clusterY) = pairs[2] }
    isPersistent = name.contains("_coop")
  }

  /// What names of tensor-core products hold: instruction shapes (s16816), instructions (hmma, gmma), operand types that ordinary pipes
  /// have no library kernels for (xmma's f16f16, bf16bf16, tf32f32), and projects that write nothing else.
  private static let tensorMarks = [
    "tensorop", "s16816", "s1688", "h16816", "h1688", "s161616", "i16832", "i16864", "hmma", "imma", "qmma", "gmma", "tensor16x8",
    "tensor8x8", "s884", "h884", "wmma", "mfma", "f16f16", "bf16bf16", "tf32f32", "i8i8", "e4m3", "e5m2", "fp8", "mxfp4", "marlin",
    "warpspecialized",
    "cutlass_3x", "deep_gemm", "triton_tem", "triton_mm", "matmul_ogs",
  ]
  /// What names of products on ordinary pipes hold.
  private static let plainMarks = [
    "sgemm", "dgemm", "cgemm", "zgemm", "simt", "ffma", "gemv", "gemmsn", "gemmk1", "f32f32_f32f32", "f64f64", "scudnn", "winograd",
    "convolve_sgemm", "dfma", "wgrad_alg", "dgrad_engine", "conv2d_grouped_direct",
  ]

  private mutating func readLibrary(_ name: String) {
    let isTensor = Self.tensorMarks.contains { name.contains($0) } || name.contains("_mt") && name.contains("_mi")
    // Only what says so: a library's kernel without a word of its pipes is mostly one of tensor cores.
    let isPlain = !isTensor && Self.plainMarks.contains { name.contains($0) }
    role = isTensor ? .tensorGEMM : isPlain ? .plainGEMM : .unknownGEMM
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
      // Eight and four bits have no place among the types whose peaks are known.
      let isNarrow = ["e4m3", "e5m2", "fp8", "mxfp4", "i8i8", "imma", "i168"].contains { name.contains($0) }
      if !isNarrow {
        type =
          name.contains("bf16") || name.contains("bfloat16")
          ? .bf16 : name.contains("tf32") || name.contains("_s1688") && !name.contains("f16") ? .tf32 : .fp16
      }
    } else if isPlain {
      type = .fp32
    }
    if let range = name.firstRange(of: "tilesize") {
      let sizes = name[range.upperBound...].prefix { $0.isNumber || $0 == "x" }.split(separator: "x").compactMap { Int($0) }
      if sizes.count >= 2 { (tileM, tileN) = (sizes[0], sizes[1]) }
      if sizes.count >= 3 { stepK = sizes[2] }
      return
    }
    // AxB and then CxSTAGES, as `..._128x64_32x6_tn_...`; `ldg8_f2f_stages_64x5` has words between. All in one, as Tensile's
    // `_MT128x64x32_` and Triton's `_16x128x256x1_`: tile, then depth.
    for part in name.split(whereSeparator: { $0 == "_" || $0 == "<" || $0 == "(" || $0 == ">" }) {
      let sides = (part.hasPrefix("mt") ? part.dropFirst(2) : part).split(separator: "x").compactMap { Int($0) }
      if tileM == 0, (3...4).contains(sides.count), part.allSatisfy({ $0.isNumber || $0 == "x" || $0 == "m" || $0 == "t" }),
        sides.allSatisfy({ (1...4096).contains($0) }), sides[0] >= 8, sides[1] >= 8
      {
        (tileM, tileN, stepK) = (sides[0], sides[1], sides[2])
        return
      }
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

  /// The beginning of a name that is longer than any compiler writes.
  private static func bounded(_ name: String) -> String {
    name.utf8.count > 4096 ? String(decoding: name.utf8.prefix(4096), as: UTF8.self) : name
  }

  /// `void at::native::foo<8, Bar>(int, float)` as `foo`, with what distinguishes a CUTLASS kernel kept.
  static func withoutArguments(_ name: String) -> String {
    var text = Substring(bounded(name))
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
