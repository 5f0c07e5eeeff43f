import CheckedNumbers
public import ModelConfiguration
public import ModelGraph
public import Trace

/// Something that runs models: a CPU, a GPU, or a simulated one in real time.
///
/// A device loads a model's weights once (`LoadedModel`), and from it makes instances, each with a stream and batch slots of its own
/// (`ModelInstance`). How CUDA maps onto this is written down in `Docs/decisions/execution.md`.
public protocol Device: AnyObject, Sendable {
  /// What it is.
  var description: DeviceDescription { get }

  /// Why the device cannot run this graph (a type, an operator with those types), nil where it can. Asked before `load`, so that another
  /// device may take the model; cheap: no weight is touched.
  func refusal(of graph: Graph, _ options: LoadOptions) -> DeviceError?

  /// Loads a model: weights, kernels, everything its instances share. Blocking and slow; never called on an event loop.
  func load(_ model: ModelSource, _ options: LoadOptions) throws(DeviceError) -> any LoadedModel
}

extension Device {
  /// The usual case: nothing is known before `load`.
  public func refusal(of graph: Graph, _ options: LoadOptions) -> DeviceError? { nil }
}

/// What a device is, for reports and traces.
public struct DeviceDescription: Sendable, Hashable {
  /// "cpu", "cuda:0", "sim:rtx-pro-6000".
  public var name: String
  /// What kind of device it is: sentences about it are made from this.
  public var deviceClass: DeviceClass
  /// The hardware in words: "AMD EPYC 9555 (AVX-512, BF16), 2 threads".
  public var hardware: String
  /// Threads that compute, or streaming multiprocessors.
  public var computeUnits: Int
  /// Memory, bytes; 0 where unknown.
  public var memoryBytes: Int

  /// Every field stated.
  public init(name: String, deviceClass: DeviceClass, hardware: String, computeUnits: Int, memoryBytes: Int) {
    self.name = name
    self.deviceClass = deviceClass
    self.hardware = hardware
    self.computeUnits = computeUnits
    self.memoryBytes = memoryBytes
  }

  /// Kernel times come from a model and outputs are zeros.
  public var isSimulated: Bool { deviceClass.isSimulated }
  /// Its name in a trace's list of devices, from which a reader knows its class.
  public var traceName: String { GPUDescription.name(hardware.isEmpty ? name : hardware, deviceClass) }
  /// Which of several devices of its kind it is, as models' `gpus` and resources name them: "cuda:1" is 1, any other 0.
  public var ordinal: Int {
    guard let colon = name.lastIndex(of: ":"), let number = Int(name[name.index(after: colon)...]), number >= 0 else { return 0 }
    return number
  }
}

/// A kernel of a model, for traces.
public struct DeviceStep: Sendable, Hashable {
  /// As profilers print it.
  public var name: String
  /// Blocks by dimension; zeros where a kernel has none, as on a processor.
  public var grid: (x: Int32, y: Int32, z: Int32) { (gridX, gridY, gridZ) }
  /// Threads per block by dimension; zeros where a kernel has none.
  public var block: (x: Int32, y: Int32, z: Int32) { (blockX, blockY, blockZ) }
  /// Registers per thread; 0 where unknown.
  public var registersPerThread: Int32
  /// Shared memory per block, bytes.
  public var sharedMemoryBytes: Int32
  private var gridX: Int32
  private var gridY: Int32
  private var gridZ: Int32
  private var blockX: Int32
  private var blockY: Int32
  private var blockZ: Int32

  /// A kernel; without a grid it is a processor's, or not known.
  public init(
    _ name: String, grid: (Int32, Int32, Int32) = (0, 0, 0), block: (Int32, Int32, Int32) = (0, 0, 0), registersPerThread: Int32 = 0,
    sharedMemoryBytes: Int32 = 0
  ) {
    self.name = name
    (gridX, gridY, gridZ) = grid
    (blockX, blockY, blockZ) = block
    self.registersPerThread = registersPerThread
    self.sharedMemoryBytes = sharedMemoryBytes
  }
}

/// Where a model comes from.
public enum ModelSource: Sendable {
  /// A graph with its weights.
  case graph(Graph)
  /// An ONNX file that no device runs as a graph: for devices with an engine that reads ONNX itself. `keeping`: what the file's bytes
  /// live in, for as long as the model may be loaded again from it.
  case onnxFile(String, keeping: TemporaryFolder? = nil)
}

/// How a model is to be loaded.
public struct LoadOptions: Sendable {
  /// Rows that a batch holds at most; 0: the model has no row dimension.
  public var maximumBatchRows: Int
  /// Arithmetic of matrix products.
  public var precision: Precision
  /// Row counts that batches will mostly have: what engines are compared at, besides one row and the largest batch.
  public var preferredRows: [Int]
  /// For models that ONNX Runtime runs.
  public var onnxRuntime: ONNXRuntimeOptions
  /// Whether batches on a GPU run as CUDA graphs; nil: the device decides.
  public var cudaGraphs: Bool?

  /// What a product's operands are stored as. Sums are always kept in fp32.
  public enum Precision: String, Sendable, Hashable, CaseIterable {
    case fp32, bf16, fp16
  }

  /// Options.
  public init(
    maximumBatchRows: Int, precision: Precision = .fp32, preferredRows: [Int] = [], onnxRuntime: ONNXRuntimeOptions = ONNXRuntimeOptions(),
    cudaGraphs: Bool? = nil
  ) {
    self.onnxRuntime = onnxRuntime
    self.cudaGraphs = cudaGraphs
    self.maximumBatchRows = maximumBatchRows
    self.preferredRows = preferredRows
    self.precision = precision
  }
}

/// A model on a device: weights and kernels, shared by its instances.
public protocol LoadedModel: AnyObject, Sendable {
  /// Inputs and outputs; dimensions without the row dimension where the model has one (`hasRowDimension`), -1 for a variable one.
  var signature: ModelSignature { get }
  /// Whether dimension 0 of every input and output counts rows.
  var hasRowDimension: Bool { get }
  /// Bytes of weights on the device.
  var weightBytes: Int { get }
  /// The kernels that a batch of so many rows runs, in launch order: what the step numbers of its records mean.
  func steps(rows: Int) -> [DeviceStep]
  /// Inputs that a batch may do without, by their places in the signature.
  var omissibleInputs: Set<Int> { get }
  /// A small batch takes less time than handing it to another thread: it may run where it arrived.
  var isImmediate: Bool { get }
  /// Batches that an instance may hold at one time: 1, or 2 where the next batch's inputs can be gathered while one runs.
  var pipelineDepth: Int { get }
  /// Why no batch can run for now, though the model is loaded; nil where one can.
  var outage: String? { get }
  /// An execution context of its own: one stream, its slots. Blocking.
  func makeInstance() throws(DeviceError) -> any ModelInstance
}

extension LoadedModel {
  /// The usual case: batches take time.
  public var isImmediate: Bool { false }

  /// The usual case: one slot.
  public var pipelineDepth: Int { 1 }

  /// The usual case: what is loaded runs.
  public var outage: String? { nil }

  /// The usual case: every input is needed.
  public var omissibleInputs: Set<Int> { [] }
}
