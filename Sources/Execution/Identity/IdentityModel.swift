import CheckedNumbers
import Glibc
public import ModelConfiguration
import TimeBase
import Threads

/// A model whose outputs are its inputs: what measures everything around a model. It takes every type, strings included, and can be told to
/// take time, as the reference server's identity backend (triton-inference-server/identity_backend, parameter `execute_delay_ms`).
public final class IdentityModel: LoadedModel {
  /// Inputs and outputs as configured.
  public let signature: ModelSignature
  /// For each output the input it repeats.
  let sources: [Int]
  /// Whether dimension 0 counts rows.
  public let hasRowDimension: Bool
  /// Nothing.
  public var weightBytes: Int { 0 }
  /// Time a batch takes beyond the copy.
  public let delay: TimeSpan
  /// Faults asked for by tests: the n-th batch (from 1) of an instance fails, or hangs.
  public let fault: Fault?

  /// A planned fault, for tests of the server's reliability (`parameters { key: "fail_batch" }`, `hang_batch`).
  public enum Fault: Sendable, Hashable {
    /// This batch fails.
    case fail(batch: Int)
    /// This batch takes so long.
    case hang(batch: Int, TimeSpan)
    /// This batch ends the process by a signal: only for an engine's own process.
    case signal(batch: Int, Int32)
    /// This batch ends the process: only for an engine's own process.
    case exit(batch: Int, Int32)

    /// Whether it ends the process that runs the model.
    public var endsTheProcess: Bool {
      switch self {
      case .fail, .hang: false
      case .signal, .exit: true
      }
    }
  }

  /// A model of these tensors. Throws where the outputs are not the inputs again.
  public init(signature: ModelSignature, hasRowDimension: Bool, delay: TimeSpan = .zero, fault: Fault? = nil) throws(DeviceError) {
    guard signature.inputs.count == signature.outputs.count else {
      throw DeviceError(
        .unsupported,
        "the identity backend needs as many outputs as inputs; the configuration has \(signature.inputs.count) and \(signature.outputs.count)"
      )
    }
    sources = Self.sources(signature)
    for (source, output) in zip(sources, signature.outputs) {
      let input = signature.inputs[source]
      if input.dataType != output.dataType {
        throw DeviceError(
          .unsupported, "the identity backend gives input \"\(input.name)\" as output \"\(output.name)\": their types must be equal")
      }
      // triton-inference-server/identity_backend src/identity.cc.
      if input.dims != output.dims {
        throw DeviceError(
          .unsupported,
          "expected input and output shape to match, got \(Self.text(input.dims)) of \"\(input.name)\" and \(Self.text(output.dims)) of "
            + "\"\(output.name)\"")
      }
    }
    self.signature = signature
    self.hasRowDimension = hasRowDimension
    self.delay = delay
    self.fault = fault
  }

  /// By number where the names are INPUT<n> and OUTPUT<n>, which the reference server's backend demands; else in the order they stand.
  private static func sources(_ signature: ModelSignature) -> [Int] {
    func numbers(_ tensors: [ModelSignature.Tensor], _ word: String) -> [Int]? {
      let numbers = tensors.compactMap { $0.name.hasPrefix(word) ? Int($0.name.dropFirst(word.count)) : nil }
      return numbers.count == tensors.count && Set(numbers).count == numbers.count ? numbers : nil
    }
    guard let inputs = numbers(signature.inputs, "INPUT"), let outputs = numbers(signature.outputs, "OUTPUT"),
      Set(inputs) == Set(outputs)
    else { return Array(signature.outputs.indices) }
    return outputs.compactMap { inputs.firstIndex(of: $0) }
  }

  private static func text(_ dims: [Int]) -> String { "[" + dims.map(String.init).joined(separator: ",") + "]" }

  /// What is left out comes back as zeros, an open dimension as 1 (identity_backend `src/identity.cc`).
  public var omissibleInputs: Set<Int> { Set(signature.inputs.indices) }

  /// A copy takes less than handing it to another thread, unless it is told to take time or to fail.
  public var isImmediate: Bool { delay <= .zero && fault == nil }

  /// One step.
  public func steps(rows: Int) -> [DeviceStep] { [DeviceStep("identity")] }

  /// A context with memory of its own.
  public func makeInstance() throws(DeviceError) -> any ModelInstance { IdentityInstance(self) }
}

/// `@unchecked Sendable`: owned by one thread at a time, as `ModelInstance` demands.
final class IdentityInstance: ModelInstance, @unchecked Sendable {
  private let model: IdentityModel
  private var memory: [AlignedMemory]
  private let slot = BatchSlot()
  private var batches = 0

  init(_ model: IdentityModel) {
    self.model = model
    memory = model.signature.inputs.map { _ in AlignedMemory() }
  }

  func prepare(_ shapes: [[Int]]) throws(DeviceError) -> BatchSlot { try prepare(shapes, omitting: []) }

  func prepare(_ shapes: [[Int]], omitting omitted: [Int]) throws(DeviceError) -> BatchSlot {
    guard shapes.count == memory.count else {
      throw DeviceError(.badInput, "\(shapes.count) inputs were given; the model has \(memory.count)")
    }
    slot.inputs.removeAll(keepingCapacity: true)
    for (index, given) in shapes.enumerated() {
      let tensor = model.signature.inputs[index]
      let isOmitted = !omitted.isEmpty && omitted.contains(index)
      let shape = isOmitted ? (model.hasRowDimension ? Array(given.prefix(1)) : []) + tensor.dims.map { $0 < 0 ? 1 : $0 } : given
      // An empty string is a length of zero.
      var bytes = tensor.dataType.byteSize ?? (isOmitted ? 4 : 0)
      for size in shape {
        let (product, overflow) = bytes.multipliedReportingOverflow(by: size)
        guard !overflow, product >= 0 else {
          throw DeviceError(.badInput, "shape \(shape) of input '\(tensor.name)' is out of range")
        }
        bytes = product
      }
      let reserved = try memory[index].reserve(bytes)
      if isOmitted { reserved.initializeMemory(as: UInt8.self, repeating: 0) }
      slot.inputs.append(BatchSlot.Tensor(shape: shape, memory: reserved))
    }
    return slot
  }

  func reserve(_ slot: BatchSlot, input: Int, byteCount: Int) throws(DeviceError) {
    guard slot.inputs.indices.contains(input) else { throw DeviceError(.badInput, "there is no input \(input)") }
    slot.inputs[input].memory = try memory[input].reserve(byteCount)
  }

  func run(_ slot: BatchSlot, events: (any LaunchRecorder)?, completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void) {
    batches += 1
    let start = MonotonicClock.now
    var delay = model.delay
    switch model.fault {
    case .fail(let batch) where batch == batches:
      return completion(.failure(DeviceError(.batchFailed, "the batch failed, as the model's configuration asks (fail_batch)")))
    case .hang(let batch, let span) where batch == batches: delay = span
    case .signal(let batch, let number) where batch == batches:
      // To this thread: one to the process may come after the batch was answered.
      raise(number)
    case .exit(let batch, let code) where batch == batches: _exit(code)
    default: break
    }
    if delay > .zero { MonotonicClock.sleep(until: start + delay) }
    // The output is the input's own memory: nothing is copied.
    slot.outputs.removeAll(keepingCapacity: true)
    for source in model.sources { slot.outputs.append(slot.inputs[source]) }
    let end = MonotonicClock.now
    events?.record(step: 0, from: start, to: end)
    completion(.success(BatchTimes(inputsReady: start, computeEnd: end, outputsReady: end)))
  }

  func close() {}
}
