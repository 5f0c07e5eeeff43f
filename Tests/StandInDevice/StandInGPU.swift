public import Execution
public import ModelConfiguration
import ModelGraph
import Synchronization
import Threads
public import TimeBase
import Trace

/// A device that behaves as a GPU does and computes nothing of use: copies, kernels and copies back on streams, one batch at a time per
/// engine, completion on a thread of its own, two slots per instance, records of all of it, and faults on serviceTime. Each row of an output
/// repeats the bytes of the same row of the first input, so that answers tell whose they are.
public final class StandInGPU: Device {
  /// What a batch does wrong.
  public enum Fault: Sendable, Hashable {
    /// A kernel fails; the instance is fine.
    case fails
    /// The context is lost: this batch and what is behind it on the instance.
    case isLost
    /// It does not come back until `release`.
    case hangs
  }

  /// How it behaves.
  public struct Options: Sendable {
    /// Batches per instance.
    public var depth = 2
    /// Of one batch, before its rows.
    public var kernelTime = TimeSpan.microseconds(500)
    /// Of one row.
    public var kernelTimePerRow = TimeSpan.zero
    /// Kernels that the time is divided among.
    public var kernels = 3
    /// Of one copy.
    public var copyTime = TimeSpan.microseconds(100)
    /// By the batch's number over all instances, from 1.
    public var faults: [Int: Fault] = [:]
    /// The usual GPU.
    public init() {}
  }

  /// "cuda:0".
  public let description: DeviceDescription
  let options: Options
  let engine = StandInEngine()
  private let count = Atomic<Int>(0)
  private let misuses = Mutex<[String]>([])

  /// A device.
  public init(name: String = "cuda:0", _ options: Options = Options()) {
    self.options = options
    description = DeviceDescription(name: name, deviceClass: .gpu, hardware: "Stand-in GPU", computeUnits: 16, memoryBytes: 1 << 30)
  }

  /// A model of these tensors, whose first dimension counts rows.
  public func load(_ signature: ModelSignature) -> any LoadedModel { StandInModel(self, signature) }

  /// A graph's inputs and outputs.
  public func load(_ source: ModelSource, _ options: LoadOptions) throws(DeviceError) -> any LoadedModel {
    guard case .graph(let graph) = source, options.maximumBatchRows > 0 else {
      throw DeviceError(.unsupported, "the stand-in device runs graphs with rows alone")
    }
    func tensor(_ id: ValueID) throws(DeviceError) -> ModelSignature.Tensor {
      let value = graph[id]
      guard value.type == .float32 else { throw DeviceError(.unsupported, "the stand-in device has fp32 alone") }
      return ModelSignature.Tensor(name: value.name, dataType: .float32, dims: value.shape.dropFirst().map { $0.fixedSize ?? 1 })
    }
    var (inputs, outputs): ([ModelSignature.Tensor], [ModelSignature.Tensor]) = ([], [])
    for id in graph.inputs { inputs.append(try tensor(id)) }
    for id in graph.outputs { outputs.append(try tensor(id)) }
    return load(ModelSignature(inputs: inputs, outputs: outputs))
  }

  /// Batches that hang come back, too late.
  public func release() { engine.release() }
  /// Batches it was given so far.
  public var batches: Int { count.load(ordering: .relaxed) }
  /// What was done with an instance that no device allows: to be empty.
  public var misuse: [String] { misuses.withLock { $0 } }

  func nextBatch() -> Int { count.wrappingAdd(1, ordering: .relaxed).newValue }
  func note(_ text: String) { misuses.withLock { $0.append(text) } }
}

final class StandInModel: LoadedModel {
  let device: StandInGPU
  let signature: ModelSignature
  let hasRowDimension = true
  let weightBytes = 0
  private let instances = Atomic<Int>(0)

  init(_ device: StandInGPU, _ signature: ModelSignature) {
    self.device = device
    self.signature = signature
  }

  var pipelineDepth: Int { device.options.depth }

  func steps(rows: Int) -> [DeviceStep] {
    (0..<device.options.kernels).map {
      DeviceStep("standin_kernel_\($0)", grid: (Int32(clamping: max(1, rows)), 1, 1), block: (128, 1, 1), registersPerThread: 32)
    }
  }

  func makeInstance() throws(DeviceError) -> any ModelInstance {
    StandInInstance(self, stream: Int32(clamping: 7 + instances.wrappingAdd(1, ordering: .relaxed).oldValue))
  }
}
