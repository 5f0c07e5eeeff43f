import CheckedNumbers
import Glibc
import ModelConfiguration
import Threads
import TimeBase

/// One instance's connection to an engine's process. Inputs are written where the engine reads them, outputs are read where it wrote them:
/// only their places travel.
///
/// Nothing that the process says is believed: sizes are compared with the memory that is there and with the shapes, strings are counted.
///
/// `@unchecked Sendable`: owned by one thread at a time, as `ModelInstance` demands; the keeper guards itself.
final class IsolatedInstance: ModelInstance, @unchecked Sendable {
  private let model: IsolatedModel
  private let slot = BatchSlot()
  private let inputs: SharedRegion
  private let outputs: SharedRegion
  private var channel: EngineChannel?
  private var generation = 0
  private var offsets: [Int] = []
  private var absent: [Int] = []
  private var used = 0
  private var isPrepared = false
  private var isClosed = false

  init(_ model: IsolatedModel) throws(DeviceError) {
    self.model = model
    inputs = try SharedRegion("headroom inputs")
    outputs = try SharedRegion("headroom outputs")
  }

  private var keeper: EngineKeeper { model.keeper }
  private var signature: ModelSignature { model.signature }

  func prepare(_ shapes: [[Int]]) throws(DeviceError) -> BatchSlot { try prepare(shapes, omitting: []) }

  func prepare(_ shapes: [[Int]], omitting absent: [Int]) throws(DeviceError) -> BatchSlot {
    isPrepared = false
    guard !isClosed else { throw DeviceError(.instanceLost, "model '\(keeper.name)': the instance is closed") }
    guard shapes.count == signature.inputs.count else {
      throw DeviceError(.badInput, "\(shapes.count) inputs were given; the model has \(signature.inputs.count)")
    }
    self.absent = absent
    slot.outputs.removeAll(keepingCapacity: true)
    offsets.removeAll(keepingCapacity: true)
    used = 0
    for (index, (tensor, shape)) in zip(signature.inputs, shapes).enumerated() {
      if absent.contains(index), !model.omissibleInputs.contains(index) {
        throw DeviceError(.badInput, "input '\(tensor.name)' has no default; send it")
      }
      offsets.append(used)
      guard !absent.contains(index) else { continue }
      guard let bytes = Self.byteCount(shape, tensor.dataType.byteSize ?? 0), let end = Self.aligned(used, bytes) else {
        throw DeviceError(.badInput, "input '\(tensor.name)' of shape \(shape) is out of range")
      }
      used = end
    }
    try inputs.reserve(used)
    slot.inputs.removeAll(keepingCapacity: true)
    for (index, shape) in shapes.enumerated() {
      let bytes = absent.contains(index) ? 0 : Self.byteCount(shape, signature.inputs[index].dataType.byteSize ?? 0) ?? 0
      slot.inputs.append(BatchSlot.Tensor(shape: absent.contains(index) ? [] : shape, memory: inputs[offsets[index], bytes]))
    }
    try connect()
    isPrepared = true
    return slot
  }

  /// Strings: their bytes go behind everything that is there, and what is there moves along where the memory has to grow.
  func reserve(_ slot: BatchSlot, input: Int, byteCount: Int) throws(DeviceError) {
    guard slot === self.slot, isPrepared, slot.inputs.indices.contains(input), !absent.contains(input), byteCount >= 0,
      let end = Self.aligned(used, byteCount)
    else { throw DeviceError(.badInput, "there is no input \(input) for \(byteCount) bytes") }
    offsets[input] = used
    used = end
    try inputs.reserve(used)
    for index in slot.inputs.indices where !absent.contains(index) {
      slot.inputs[index].memory = inputs[offsets[index], index == input ? byteCount : slot.inputs[index].memory.count]
    }
  }

  func run(_ slot: BatchSlot, events: (any LaunchRecorder)?, completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void) {
    guard slot === self.slot, isPrepared, let channel else {
      return completion(.failure(DeviceError(.batchFailed, "run without prepare, or with another instance's slot")))
    }
    isPrepared = false
    let start = MonotonicClock.now
    keeper.batchBegan()
    do throws(DeviceError) {
      let answer = try exchange(channel)
      let end = MonotonicClock.now
      // Its clock is ours; what it says of it is kept within what we saw.
      let ready = min(max(start, Instant(nanoseconds: answer.inputsReady)), end)
      let computed = min(max(ready, Instant(nanoseconds: answer.computeEnd)), end)
      events?.record(step: 0, from: ready, to: computed)
      keeper.batchEnded(isGood: true)
      completion(.success(BatchTimes(inputsReady: ready, computeEnd: computed, outputsReady: end)))
    } catch {
      slot.outputs.removeAll(keepingCapacity: true)
      // A batch that the engine refused in good order did not harm it.
      keeper.batchEnded(isGood: false)
      completion(.failure(error))
    }
  }

  func close() {
    isClosed = true
    isPrepared = false
    slot.inputs = []
    slot.outputs = []
    channel = nil
  }

  // MARK: - The conversation

  /// To the process that runs now: the one of the batch before, if it is alive.
  private func connect() throws(DeviceError) {
    if let channel, channel.isOpen { return }
    channel = nil
    (channel, generation) = try keeper.attach(inputs: inputs.descriptor, outputs: outputs.descriptor)
  }

  private func exchange(_ channel: EngineChannel) throws(DeviceError) -> EngineRan {
    let message: EngineMessage
    do throws(EngineChannel.Failure) {
      var tensors: [EngineTensor?] = []
      tensors.reserveCapacity(slot.inputs.count)
      for (index, input) in slot.inputs.enumerated() {
        tensors.append(
          absent.contains(index) ? nil : EngineTensor(shape: input.shape, offset: offsets[index], byteCount: input.memory.count))
      }
      try channel.send(.run(EngineRun(inputs: tensors, regionBytes: used)))
      message = try channel.receive().message
    } catch {
      // It is made anew with the next batch.
      self.channel = nil
      throw keeper.failure(error, generation, "in the middle of this batch")
    }
    switch message {
    case .failed(let error): throw error
    case .ran(let answer):
      do throws(DeviceError) { try take(answer) } catch {
        self.channel = nil
        throw keeper.failure(.system(error.description), generation, "")
      }
      return answer
    default:
      self.channel = nil
      throw keeper.failure(.system("it answered \(message.kind) to a batch"), generation, "")
    }
  }

  private func take(_ answer: EngineRan) throws(DeviceError) {
    guard answer.outputs.count == signature.outputs.count else {
      throw DeviceError(.batchFailed, "it gave \(answer.outputs.count) outputs; the model has \(signature.outputs.count)")
    }
    try outputs.follow(answer.regionBytes)
    for (tensor, declared) in zip(answer.outputs, signature.outputs) {
      guard tensor.fits(outputs.count, elementBytes: declared.dataType.byteSize) else {
        throw DeviceError(
          .batchFailed, "output '\(declared.name)' of shape \(tensor.shape) does not fit in \(tensor.byteCount) bytes from \(tensor.offset)"
        )
      }
      let memory = outputs[tensor.offset, tensor.byteCount]
      if declared.dataType.byteSize == nil, !Self.holdsStrings(memory, shape: tensor.shape) {
        throw DeviceError(.batchFailed, "output '\(declared.name)' does not hold the strings of its shape \(tensor.shape)")
      }
      slot.outputs.append(BatchSlot.Tensor(shape: tensor.shape, memory: memory))
    }
  }

  // MARK: - Sizes

  private static func byteCount(_ shape: [Int], _ elementBytes: Int) -> Int? {
    var bytes = elementBytes
    for size in shape {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: size)
      guard !overflow, size >= 0 else { return nil }
      bytes = product
    }
    return bytes
  }

  /// Where the next tensor begins: cache lines, as engines like it.
  private static func aligned(_ used: Int, _ bytes: Int) -> Int? {
    let (end, overflow) = used.addingReportingOverflow(bytes)
    return overflow || end > Int.max - 64 ? nil : (end + 63) & ~63
  }

  /// As many length-prefixed elements as the shape says, and nothing behind them.
  private static func holdsStrings(_ memory: UnsafeMutableRawBufferPointer, shape: [Int]) -> Bool {
    guard let elements = byteCount(shape, 1), elements <= memory.count / 4 else { return false }
    var offset = 0
    for _ in 0..<elements {
      guard memory.count - offset >= 4 else { return false }
      let length = Int(clamping: UInt32(littleEndian: memory.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
      guard memory.count - offset - 4 >= length else { return false }
      offset += 4 + length
    }
    return offset == memory.count
  }
}
