import CCUDAKernels
import CheckedNumbers
import ModelGraph

/// Where something is that a kernel reads or writes, before an instance's memory is known.
enum CUDAPlace: Sendable, Hashable {
  case view(TensorView)
  /// Bytes from the start of a packed weight.
  case weight(Int, offset: Int)
  /// A chain's weights, packed.
  case packed(Int)
  case null
  /// The word that a kernel sets where an index was out of range.
  case flag
}

/// A kernel of ours.
struct CUDALaunch: Sendable {
  enum Argument: Sendable {
    case place(CUDAPlace)
    case bytes([UInt8])
  }

  var source: CUDACompiler.Source
  var function: String
  var blocks: Int
  var threads: Int
  var sharedBytes = 0
  /// Starts before the kernel before it has ended, and waits for it by itself.
  var isProgrammatic = false
  var arguments: [Argument]

  static func value<Value: BitwiseCopyable>(_ value: Value) -> Argument { .bytes(withUnsafeBytes(of: value) { Array($0) }) }
}

/// A product for cuBLASLt, as it sees it: column-major, so that a row-major result is its transpose. D [rows x columns] = op(A) B, `rows` being
/// the weights' columns, `columns` the batch's rows.
struct CUDAMatmul: Sendable {
  /// All that decides which algorithm is fastest.
  struct Shape: Sendable, Hashable {
    var rows: Int
    var columns: Int
    var depth: Int
    var batches: Int
    var isTransposedA: Bool
    var isTransposedB: Bool
    var distanceA: Int
    var distanceB: Int
    var distanceD: Int
    var strideA: Int
    var strideB: Int
    var strideD: Int
    var biasStride: Int
    var hasBias: Bool
    /// `.none`, `.relu` or `.geluTanh`: what an epilogue does.
    var activation: Activation
    var type: DataType
  }

  var shape: Shape
  var a: CUDAPlace
  var b: CUDAPlace
  var d: CUDAPlace
  var bias: CUDAPlace
}

/// One piece of work of a program for a GPU.
struct CUDAStep: Sendable {
  enum Work: Sendable {
    case launch(CUDALaunch)
    case matmul(CUDAMatmul)
  }

  var name: String
  var layer: String
  var work: Work
}

/// Layers of a chain: either its steps as they are, or one kernel of ours per layer.
struct CUDAChain: Sendable {
  /// Steps of the program that it stands for.
  var steps: Range<Int>
  var rows: Int
  /// k = n.
  var width: Int
  var activation: Activation
  /// Weights by their number, biases, sources, targets; one per layer.
  var weights: [Int]
  var biases: [CUDAPlace]
  var sources: [TensorView]
  var targets: [TensorView]

  /// Columns per block, in tiles of 16.
  static let tileChoices = [1, 2, 4]

  /// One launch per layer; nil where the tiles do not divide the width or shared memory is short.
  func launches(tiles: Int, element: CUDACompiler.Element, sharedLimit: Int) -> [CUDALaunch]? {
    guard width % (16 * tiles) == 0, element != .float32 else { return nil }
    let groups = rows <= 8 ? 1 : rows <= 16 ? 2 : 4
    let slots = (width / 32 + 15) / 16
    let shared = max(slots * 16 * tiles * 1024, 16 * tiles * groups * 512)
    guard shared <= sharedLimit else { return nil }
    return weights.indices.map { layer in
      let shape = HRChainLayer(
        rows: Int32(clamping: rows), k: Int32(clamping: width), n: Int32(clamping: width), activation: activation.kernelNumber,
        sourceDistance: Int32(clamping: sources[layer].matrixRows?.distance ?? width),
        targetDistance: Int32(clamping: targets[layer].matrixRows?.distance ?? width))
      return CUDALaunch(
        source: .chain, function: "chain_t\(tiles)_g\(groups)_\(element.suffix)", blocks: width / 16 / tiles, threads: 512,
        sharedBytes: shared,
        isProgrammatic: layer > 0,
        arguments: [
          .place(.view(sources[layer])), .place(.packed(weights[layer])), .place(biases[layer]), .place(.view(targets[layer])),
          CUDALaunch.value(shape),
        ])
    }
  }
}

/// A program for one number of rows.
struct CUDAProgram: Sendable {
  var rows: Int
  var steps: [CUDAStep]
  var chains: [CUDAChain]
  var arenaBytes: Int
  var inputs: [TensorView]
  var outputs: [TensorView]
  /// Whether some kernel reports indices out of range.
  var usesFlag: Bool
}

extension Activation {
  /// As kernels number it.
  var kernelNumber: Int32 {
    let number =
      switch self {
      case .none: HR_ACTIVATE_NONE
      case .relu: HR_ACTIVATE_RELU
      case .gelu: HR_ACTIVATE_GELU
      case .geluTanh: HR_ACTIVATE_GELU_TANH
      case .tanh: HR_ACTIVATE_TANH
      case .sigmoid: HR_ACTIVATE_SIGMOID
      }
    return Int32(clamping: number)
  }
}

extension AttributedFunction {
  var kernelNumber: Int32 {
    let number =
      switch self {
      case .leakyRelu: HR_UNARY_LEAKY_RELU
      case .elu: HR_UNARY_ELU
      case .celu: HR_UNARY_CELU
      case .selu: HR_UNARY_SELU
      case .hardSigmoid: HR_UNARY_HARD_SIGMOID
      case .thresholdedRelu: HR_UNARY_THRESHOLDED_RELU
      }
    return Int32(clamping: number)
  }
}

extension UnaryOperation {
  var kernelNumber: Int32 {
    let number =
      switch self {
      case .squareRoot: HR_UNARY_SQRT
      case .erf: HR_UNARY_ERF
      case .tanh: HR_UNARY_TANH
      case .sigmoid: HR_UNARY_SIGMOID
      case .relu: HR_UNARY_RELU
      case .identity: HR_UNARY_IDENTITY
      case .absolute: HR_UNARY_ABSOLUTE
      case .negate: HR_UNARY_NEGATE
      case .exponential: HR_UNARY_EXPONENTIAL
      case .logarithm: HR_UNARY_LOGARITHM
      case .reciprocal: HR_UNARY_RECIPROCAL
      case .floor: HR_UNARY_FLOOR
      case .ceiling: HR_UNARY_CEILING
      case .round: HR_UNARY_ROUND
      case .sign: HR_UNARY_SIGN
      case .sine: HR_UNARY_SINE
      case .cosine: HR_UNARY_COSINE
      case .softplus: HR_UNARY_SOFTPLUS
      case .softsign: HR_UNARY_SOFTSIGN
      case .hardSwish: HR_UNARY_HARDSWISH
      case .gelu: HR_UNARY_GELU
      case .geluTanh: HR_UNARY_GELU_TANH
      }
    return Int32(clamping: number)
  }
}

extension BinaryOperation {
  var kernelNumber: Int32 {
    let number =
      switch self {
      case .add: HR_BINARY_ADD
      case .subtract: HR_BINARY_SUBTRACT
      case .multiply: HR_BINARY_MULTIPLY
      case .divide: HR_BINARY_DIVIDE
      case .power: HR_BINARY_POWER
      case .minimum: HR_BINARY_MINIMUM
      case .maximum: HR_BINARY_MAXIMUM
      }
    return Int32(clamping: number)
  }
}

extension Reduction {
  var kernelNumber: Int32 {
    let number =
      switch self {
      case .sum: HR_REDUCE_SUM
      case .mean: HR_REDUCE_MEAN
      case .maximum: HR_REDUCE_MAXIMUM
      case .minimum: HR_REDUCE_MINIMUM
      case .product: HR_REDUCE_PRODUCT
      case .l1: HR_REDUCE_L1
      case .l2: HR_REDUCE_L2
      case .sumOfSquares: HR_REDUCE_SQUARES
      case .logarithmOfSum: HR_REDUCE_LOGARITHM_OF_SUM
      case .logarithmOfSumOfExponentials: HR_REDUCE_LOGARITHM_OF_EXPONENTIALS
      }
    return Int32(clamping: number)
  }
}

extension DataType {
  /// As kernels number it; nil for what no kernel here computes with.
  var kernelNumber: Int32? {
    switch self {
    case .float32: Int32(clamping: HR_ELEMENT_FLOAT32)
    case .float16: Int32(clamping: HR_ELEMENT_FLOAT16)
    case .bfloat16: Int32(clamping: HR_ELEMENT_BFLOAT16)
    case .int32: Int32(clamping: HR_ELEMENT_INT32)
    case .int64: Int32(clamping: HR_ELEMENT_INT64)
    case .bool: Int32(clamping: HR_ELEMENT_BOOL)
    default: nil
    }
  }

  /// What kernels over it are compiled for.
  var element: CUDACompiler.Element? {
    switch self {
    case .float32: .float32
    case .float16: .float16
    case .bfloat16: .bfloat16
    default: nil
    }
  }
}
