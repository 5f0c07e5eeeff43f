/// Kernels that a compiler generates and names after what it fused: TensorRT's Myelin (`__myl_FcMulAddResh_0x3f1c`, `_gemm_mha_v2_0x88`) and
/// XLA (`loop_add_fusion_12`, `gemm_fusion_dot_17`, `input_reduce_fusion`).
enum FusedKernelName {
  /// What such a kernel does; nil for names of another form. `name` is in lower case.
  static func role(_ name: String) -> KernelName.Role? {
    if name.hasPrefix("__myl") || name.hasPrefix("_gemm_mha") || name.hasPrefix("myl_") { return myelin(name) }
    return xla(name)
  }

  /// Operators stand behind each other in four letters or so, `_` before a hash or the name of the graph ends them.
  private static func myelin(_ name: String) -> KernelName.Role {
    func has(_ parts: String...) -> Bool { parts.contains { name.contains($0) } }
    if has("mha", "attn", "attention") { return .attention }
    // Fully connected, matrix multiplication, convolution: what it computes beside them is its epilogue.
    if has("_fc", "gemm", "matmul", "_mm", "conv", "bmm") { return .tensorGEMM }
    // Softmax is written as its parts: the maximum, the difference, the exponential, the sum.
    if has("softmax") || has("max") && has("exp") && has("sum") { return .softmax }
    if has("mean") || has("mea") && has("sub") || has("layernorm", "rmsnorm", "sqrt") { return .normalization }
    if has("topk", "argmax", "sum", "max", "min", "red") { return .reduction }
    // Names of nothing but moves: reshapes, transposes, concatenations, gathers.
    let arithmetic = ["mul", "add", "sub", "div", "exp", "tanh", "erf", "sig", "relu", "act", "pow", "sel", "cmp", "neg", "cast", "rsq"]
    if arithmetic.contains(where: { name.contains($0) }) { return .elementwise }
    return has("move", "tran", "resh", "conc", "gath", "slic", "repl", "pad", "copy") ? .layout : .elementwise
  }

  /// Kinds as XLA's fusion wrapper and emitters name them.
  private static func xla(_ name: String) -> KernelName.Role? {
    if name.hasPrefix("gemm_fusion") || name.hasPrefix("triton_gemm") || name.hasPrefix("__triton_gemm") || name.hasPrefix("cudnn_gemm") {
      return .tensorGEMM
    }
    if name.hasPrefix("triton_softmax") || name.hasPrefix("softmax_fusion") { return .softmax }
    let stem = name.hasPrefix("wrapped_") ? String(name.dropFirst(8)) : name
    let isWrapped = stem.utf8.count != name.utf8.count
    let isUnnamed = name.hasPrefix("fusion") && name.dropFirst(6).allSatisfy { $0.isNumber || $0 == "_" || $0 == "." }
    guard isWrapped || isUnnamed || name.contains("_fusion") else { return nil }
    func has(_ parts: String...) -> Bool { parts.contains { stem.contains($0) } }
    // A fusion is named after its roots: a reduction among them is what takes the time.
    if has("scatter", "gather", "transpose", "concatenate", "copy", "slice", "pad", "reverse") { return .layout }
    if has("reduce", "sort") { return .reduction }
    // "fusion.3": XLA named nothing.
    return isUnnamed ? nil : .elementwise
  }
}
