import CheckedNumbers
import DeviceModel
public import GPUModel
import Glibc
import ModelConfiguration
import ModelGraph
import Planning
import Synchronization
public import TimeBase
import Trace

/// A GPU of the catalogue in real time: kernels take the time that the kernel model predicts, outputs are zeros. The host's path around it
/// is real.
public final class SimulatedDevice: Device {
  /// What crossing the bus costs.
  public struct Bus: Sendable, Hashable {
    /// Of one copy, before its bytes.
    public var latency: TimeSpan
    /// Each direction.
    public var bytesPerNanosecond: Double

    /// A bus; PCIe 5.0 x16 as measured on hosts of the catalogue's kind: 8 us per copy, 50 GB/s.
    public init(latency: TimeSpan = .microseconds(8), bytesPerNanosecond: Double = 50) {
      self.latency = latency
      self.bytesPerNanosecond = bytesPerNanosecond
    }
  }

  /// See `DeviceDescription`.
  public let description: DeviceDescription
  private let model: KernelModel
  private let type: ComputeType
  private let bus: Bus

  /// A device that predicts with this model, in this arithmetic.
  public init(name: String, model: KernelModel, type: ComputeType, bus: Bus = Bus()) {
    self.model = model
    self.type = type
    self.bus = bus
    description = DeviceDescription(
      name: name, deviceClass: .simulatedGPU, hardware: GPUDescription.name(model.gpu.name, .simulatedGPU), computeUnits: model.gpu.smCount,
      memoryBytes: 0)
  }

  /// Plans the model.
  public func load(_ source: ModelSource, _ options: LoadOptions) throws(DeviceError) -> any LoadedModel {
    guard case .graph(let graph) = source else {
      throw DeviceError(.unsupported, "a simulated device needs a model whose operators it can plan; this one needs ONNX Runtime")
    }
    do throws(PlanError) {
      return SimulatedModel(plan: try PlanBuilder(model: model, type: type).plan(graph), bus: bus, hasRows: options.maximumBatchRows > 0)
    } catch {
      throw DeviceError(.unsupported, "\(error)")
    }
  }
}

/// A planned model on a simulated device. Its instances share the device's block slots and copy engines, a stream each.
final class SimulatedModel: LoadedModel {
  let plan: Plan
  let bus: SimulatedDevice.Bus
  let signature: ModelSignature
  let hasRowDimension: Bool
  private let timeline: SimulatedTimeline
  private let instances = Atomic<Int>(0)

  init(plan: Plan, bus: SimulatedDevice.Bus, hasRows: Bool) {
    self.plan = plan
    self.bus = bus
    hasRowDimension = hasRows
    func tensor(_ id: ValueID) -> ModelSignature.Tensor {
      let value = plan.graph[id]
      let dims = value.shape.map { $0.fixedSize ?? -1 }
      return ModelSignature.Tensor(name: value.name, dataType: TensorDataType(value.type), dims: hasRows ? Array(dims.dropFirst()) : dims)
    }
    signature = ModelSignature(inputs: plan.graph.inputs.map(tensor), outputs: plan.graph.outputs.map(tensor))
    timeline = SimulatedTimeline(streams: 64)
  }

  var weightBytes: Int { Int(saturating: plan.weightBytes) }

  func steps(rows: Int) -> [DeviceStep] {
    // Rows that the plan refuses have run no batch.
    guard let batch = try? plan.at(rows: max(1, rows)) else { return [] }
    return batch.issued.map(DeviceStep.init)
  }

  func makeInstance() throws(DeviceError) -> any ModelInstance {
    let stream = instances.wrappingAdd(1, ordering: .relaxed).oldValue % 64
    return SimulatedInstance(self, timeline: timeline, stream: stream)
  }
}

/// `@unchecked Sendable`: owned by one thread at a time, as `ModelInstance` demands.
final class SimulatedInstance: ModelInstance, @unchecked Sendable {
  private let model: SimulatedModel
  private let timeline: SimulatedTimeline
  private let stream: Int
  private let slot = BatchSlot()
  private var inputs: [AlignedMemory]
  private var outputs: [AlignedMemory]
  private var rows = 1
  private var tables: [Int: (table: Int32, launches: Int)] = [:]

  init(_ model: SimulatedModel, timeline: SimulatedTimeline, stream: Int) {
    self.model = model
    self.timeline = timeline
    self.stream = stream
    inputs = model.plan.graph.inputs.map { _ in AlignedMemory() }
    outputs = model.plan.graph.outputs.map { _ in AlignedMemory() }
  }

  func prepare(_ shapes: [[Int]]) throws(DeviceError) -> BatchSlot {
    let graph = model.plan.graph
    guard shapes.count == graph.inputs.count else {
      throw DeviceError(.badInput, "\(shapes.count) inputs were given; the model has \(graph.inputs.count)")
    }
    rows = 1
    for (id, shape) in zip(graph.inputs, shapes) {
      for (dimension, size) in zip(graph[id].shape, shape) where dimension == .rows { rows = size }
    }
    slot.inputs.removeAll(keepingCapacity: true)
    slot.outputs.removeAll(keepingCapacity: true)
    for (index, id) in graph.inputs.enumerated() { slot.inputs.append(try tensor(graph[id], inputs[index])) }
    for (index, id) in graph.outputs.enumerated() {
      let made = try tensor(graph[id], outputs[index])
      made.memory.initializeMemory(as: UInt8.self, repeating: 0)
      slot.outputs.append(made)
    }
    for (index, (given, made)) in zip(shapes, slot.inputs).enumerated() where given != made.shape {
      throw DeviceError(
        .badInput,
        "shape \(given) was given for input '\(model.signature.inputs[index].name)'; the model takes \(made.shape) at \(rows) rows")
    }
    return slot
  }

  private func tensor(_ value: Value, _ memory: AlignedMemory) throws(DeviceError) -> BatchSlot.Tensor {
    var shape: [Int] = []
    var bytes = value.type.bytesPerElement
    for dimension in value.shape {
      guard let size = dimension.size(rows: rows) else { throw DeviceError(.badInput, "\"\(value.name)\" is out of range at \(rows) rows") }
      let (product, overflow) = bytes.multipliedReportingOverflow(by: size)
      guard !overflow, size >= 0 else { throw DeviceError(.badInput, "\"\(value.name)\" is out of range at \(rows) rows") }
      shape.append(size)
      bytes = product
    }
    return BatchSlot.Tensor(shape: shape, memory: try memory.reserve(bytes))
  }

  func run(_ slot: BatchSlot, events: (any LaunchRecorder)?, completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void) {
    do throws(PlanError) {
      let batch = try model.plan.at(rows: max(1, rows))
      let known =
        tables[rows]
        ?? (
          timeline.register(batch.issued.map { KernelTiming($0, bytesPerNanosecond: model.plan.gpu.memoryGigabytesPerSecond) }),
          batch.launches.count * batch.runs
        )
      tables[rows] = known
      func copy(_ bytes: Int) -> TimeSpan {
        model.bus.latency + TimeSpan(nanoseconds: Int64(saturating: Double(bytes) / model.bus.bytesPerNanosecond))
      }
      timeline.submit(
        SimulatedTimeline.Batch(
          table: known.table, kernels: known.launches, upload: copy(batch.inputBytes), download: copy(batch.outputBytes),
          uploadBytes: batch.inputBytes, downloadBytes: batch.outputBytes, stream: stream,
          events: events, completion: completion))
    } catch {
      completion(.failure(DeviceError(.badInput, "\(error)")))
    }
  }

  func close() {}
}

extension DeviceStep {
  /// A launch as planned.
  init(_ launch: Launch) {
    guard case .gpu(let shape) = launch.shape else {
      self.init(launch.kernelName)
      return
    }
    func dimensions(_ values: [Int]) -> (Int32, Int32, Int32) {
      func dimension(_ index: Int) -> Int32 { values.indices.contains(index) ? Int32(clamping: values[index]) : 1 }
      return (dimension(0), dimension(1), dimension(2))
    }
    self.init(
      launch.kernelName, grid: dimensions(shape.grid), block: dimensions(shape.block),
      registersPerThread: Int32(clamping: shape.registersPerThread), sharedMemoryBytes: Int32(clamping: shape.sharedMemoryBytes))
  }
}
