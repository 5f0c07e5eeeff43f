import CheckedNumbers
import Glibc
import ModelConfiguration
import TimeBase

/// One slot over a shared session. Inputs are read where the caller wrote them; outputs stay where ONNX Runtime put them until the next
/// `prepare`, strings excepted, which are copied once into the length-prefixed form.
///
/// Strings need more memory than the shape tells: the caller asks for it by `reserve`, or puts memory of its own into
/// `slot.inputs[i].memory`, which must live until the batch completed.
///
/// Sendable unchecked: an instance is owned by one thread at a time (`ModelInstance`), and shares only the session, which is Sendable.
final class ONNXRuntimeInstance: ModelInstance, @unchecked Sendable {
  private let model: ONNXRuntimeModel
  private let slot = BatchSlot()
  private var inputMemory: [GrowingMemory]
  private var outputStrings: [GrowingMemory]
  /// Values over `inputMemory`, kept while the shapes stay the same; nil for strings, whose values are made anew for each batch.
  private let inputValues: UnsafeMutablePointer<OpaquePointer?>
  private let outputValues: UnsafeMutablePointer<OpaquePointer?>
  private var preparedShapes: [[Int]] = []
  /// Inputs left to their defaults in this batch.
  private var absent: [Int] = []
  private var isPrepared = false
  private var isClosed = false

  private var library: ONNXRuntimeLibrary { model.session.library }
  private var inputs: [ModelSignature.Tensor] { model.session.signature.inputs }
  private var outputs: [ModelSignature.Tensor] { model.session.signature.outputs }

  init(_ model: ONNXRuntimeModel) {
    self.model = model
    let signature = model.session.signature
    inputMemory = signature.inputs.map { _ in GrowingMemory() }
    outputStrings = signature.outputs.map { _ in GrowingMemory() }
    inputValues = .allocate(capacity: max(signature.inputs.count, 1))
    inputValues.initialize(repeating: nil, count: max(signature.inputs.count, 1))
    outputValues = .allocate(capacity: max(signature.outputs.count, 1))
    outputValues.initialize(repeating: nil, count: max(signature.outputs.count, 1))
  }

  deinit {
    releaseAll()
    inputValues.deallocate()
    outputValues.deallocate()
  }

  func prepare(_ shapes: [[Int]]) throws(DeviceError) -> BatchSlot { try prepare(shapes, omitting: []) }

  func prepare(_ shapes: [[Int]], omitting absent: [Int]) throws(DeviceError) -> BatchSlot {
    guard !isClosed else { throw DeviceError(.instanceLost, "\(model.session.name): the instance is closed") }
    release(outputValues, outputs.count)
    slot.outputs.removeAll(keepingCapacity: true)
    isPrepared = false
    if shapes != preparedShapes || absent != self.absent || slot.inputs.count != inputs.count {
      for index in absent where !inputs.indices.contains(index) || !inputs[index].isOptional {
        let name = inputs.indices.contains(index) ? inputs[index].name : "\(index)"
        throw DeviceError(.badInput, "\(model.session.name): input '\(name)' has no default; send it")
      }
      try checkShapes(shapes, absent)
      release(inputValues, inputs.count)
      preparedShapes = []
      self.absent = absent
      slot.inputs.removeAll(keepingCapacity: true)
      for (index, shape) in shapes.enumerated() {
        let tensor = inputs[index]
        if absent.contains(index) {
          slot.inputs.append(BatchSlot.Tensor(shape: [], memory: UnsafeMutableRawBufferPointer(start: nil, count: 0)))
          continue
        }
        let elements = try elementCount(shape, tensor)
        // A guess for strings: see the type's comment.
        let (bytes, overflow) = elements.multipliedReportingOverflow(by: tensor.dataType.onnxElementBytes ?? 64)
        guard !overflow, let memory = inputMemory[index].reserve(bytes) else {
          throw DeviceError(.badInput, "\(model.session.name): no memory for input '\(tensor.name)' of shape \(Self.text(shape))")
        }
        slot.inputs.append(BatchSlot.Tensor(shape: shape, memory: memory))
      }
      preparedShapes = shapes
    } else {
      // The caller may have put memory of its own in the place of ours; the value made for it must not outlive it.
      for index in slot.inputs.indices where !absent.contains(index) && slot.inputs[index].memory.baseAddress != inputMemory[index].base {
        release(inputValues + index, 1)
        slot.inputs[index].memory = inputMemory[index].current
      }
    }
    isPrepared = true
    return slot
  }

  func reserve(_ slot: BatchSlot, input: Int, byteCount: Int) throws(DeviceError) {
    guard slot === self.slot, isPrepared, slot.inputs.indices.contains(input), let memory = inputMemory[input].reserve(byteCount) else {
      throw DeviceError(.badInput, "\(model.session.name): no memory for \(byteCount) bytes of strings")
    }
    slot.inputs[input].memory = memory
  }

  func run(_ slot: BatchSlot, events: (any LaunchRecorder)?, completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void) {
    guard slot === self.slot, isPrepared else {
      return completion(.failure(DeviceError(.batchFailed, "\(model.session.name): run without prepare, or with another instance's slot")))
    }
    isPrepared = false
    do throws(DeviceError) {
      try makeInputValues()
      let start = Self.now()
      try run()
      let computeEnd = Self.now()
      events?.record(step: 0, from: start, to: computeEnd)
      for index in outputs.indices { slot.outputs.append(try output(index)) }
      completion(.success(BatchTimes(inputsReady: start, computeEnd: computeEnd, outputsReady: Self.now())))
    } catch {
      slot.outputs.removeAll(keepingCapacity: true)
      release(outputValues, outputs.count)
      completion(.failure(error))
    }
  }

  func close() {
    isClosed = true
    isPrepared = false
    slot.inputs = []
    slot.outputs = []
    preparedShapes = []
    releaseAll()
  }

  // MARK: Inputs

  private func run() throws(DeviceError) {
    let session = model.session
    guard !absent.isEmpty else { return try session.run(session.inputNames, inputValues, count: inputs.count, outputValues) }
    let given = inputs.indices.filter { !absent.contains($0) }
    let (names, values) = (given.map { session.inputNames[$0] }, given.map { inputValues[$0] })
    let result: Result<Void, DeviceError> = names.withUnsafeBufferPointer { names in
      values.withUnsafeBufferPointer { values in
        guard let names = names.baseAddress, let values = values.baseAddress else {
          // Every input has its default: ONNX Runtime looks at neither list, and takes no null.
          return Result { () throws(DeviceError) in try session.run(session.inputNames, inputValues, count: 0, outputValues) }
        }
        return Result { () throws(DeviceError) in try session.run(names, values, count: given.count, outputValues) }
      }
    }
    try result.get()
  }

  private func checkShapes(_ shapes: [[Int]], _ absent: [Int]) throws(DeviceError) {
    let name = model.session.name
    guard shapes.count == inputs.count else {
      throw DeviceError(.badInput, "\(name): \(shapes.count) input shapes for \(inputs.count) inputs")
    }
    let rowsOfAll = zip(shapes, inputs).enumerated().first { !absent.contains($0.offset) && !$0.element.1.isOptional }?.element.0.first
    for (index, (tensor, shape)) in zip(inputs, shapes).enumerated() where !absent.contains(index) {
      let fits = shape.count == tensor.dims.count && zip(tensor.dims, shape).allSatisfy { $1 >= 0 && ($0 == -1 || $0 == $1) }
      guard fits else {
        throw DeviceError(
          .badInput, "\(name): input '\(tensor.name)' takes shape \(Self.text(tensor.dims)), not \(Self.text(shape))")
      }
      guard model.hasRowDimension, !tensor.isOptional, let rows = shape.first else { continue }
      guard rows <= model.maximumBatchRows, rows == rowsOfAll else {
        throw DeviceError(
          .badInput,
          "\(name): input '\(tensor.name)' has \(rows) rows; a batch holds \(model.maximumBatchRows) at most, the same for every input")
      }
    }
  }

  private func elementCount(_ shape: [Int], _ tensor: ModelSignature.Tensor) throws(DeviceError) -> Int {
    var count = 1
    for size in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      guard !overflow else {
        throw DeviceError(.badInput, "\(model.session.name): input '\(tensor.name)' of shape \(Self.text(shape)) has too many elements")
      }
      count = product
    }
    return count
  }

  private func makeInputValues() throws(DeviceError) {
    for index in inputs.indices where !absent.contains(index) {
      let tensor = inputs[index]
      let given = slot.inputs[index]
      let what = "\(model.session.name): input '\(tensor.name)'"
      if let size = tensor.dataType.onnxElementBytes {
        let elements = try elementCount(given.shape, tensor)
        guard given.shape == preparedShapes[index], given.memory.count / size >= elements else {
          throw DeviceError(.badInput, "\(what) was changed after prepare: \(given.memory.count) bytes for shape \(Self.text(given.shape))")
        }
        // Foreign memory: the value made for ours does not describe it.
        if given.memory.baseAddress != inputMemory[index].base { release(inputValues + index, 1) }
        if inputValues[index] != nil { continue }
        let dimensions = given.shape.map { Int64($0) }
        inputValues[index] = try library.made(.batchFailed, what) { out in
          dimensions.withUnsafeBufferPointer {
            library.table.createTensorWithData(
              library.memoryInfo, given.memory.baseAddress, elements * size, $0.baseAddress, dimensions.count, tensor.dataType.onnxElement,
              out)
          }
        }
      } else {
        release(inputValues + index, 1)
        inputValues[index] = try stringValue(given, tensor, what)
      }
    }
  }

  /// A string tensor from length-prefixed elements. ONNX Runtime keeps strings of its own, so they are copied once.
  private func stringValue(_ given: BatchSlot.Tensor, _ tensor: ModelSignature.Tensor, _ what: String) throws(DeviceError) -> OpaquePointer
  {
    let elements = try elementCount(given.shape, tensor)
    let dimensions = given.shape.map { Int64($0) }
    let value = try library.made(.batchFailed, what) { out in
      dimensions.withUnsafeBufferPointer {
        library.table.createTensor(library.allocator, $0.baseAddress, dimensions.count, tensor.dataType.onnxElement, out)
      }
    }
    do throws(DeviceError) {
      var offset = 0
      for index in 0..<elements {
        guard given.memory.count - offset >= 4 else {
          throw DeviceError(.badInput, "\(what): the bytes end before element \(index) of \(elements)")
        }
        let length = Int(UInt32(littleEndian: given.memory.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
        offset += 4
        guard given.memory.count - offset >= length else {
          throw DeviceError(.badInput, "\(what): element \(index) of \(elements) has \(length) bytes, more than are left")
        }
        var buffer: UnsafeMutablePointer<CChar>?
        try library.check(library.table.resizedStringBuffer(value, index, length, &buffer), .batchFailed, what)
        if let buffer, length > 0, let base = given.memory.baseAddress { memcpy(buffer, base + offset, length) }
        offset += length
      }
    } catch {
      library.table.releaseValue(value)
      throw error
    }
    return value
  }

  // MARK: Outputs

  private func output(_ index: Int) throws(DeviceError) -> BatchSlot.Tensor {
    let tensor = outputs[index]
    let what = "\(model.session.name): output '\(tensor.name)'"
    guard let value = outputValues[index] else { throw DeviceError(.batchFailed, "\(what) was not computed") }
    let info = try library.made(.batchFailed, what) { library.table.tensorTypeAndShape(value, $0) }
    defer { library.table.releaseTensorInfo(info) }
    let (type, shape) = try ONNXRuntimeSession.typeAndShape(library, info, .batchFailed, what)
    guard type == tensor.dataType.onnxElement else {
      throw DeviceError(.batchFailed, "\(what) has ONNX element type \(type), the model promised \(tensor.dataType.onnxElement)")
    }
    var elements = 0
    try library.check(library.table.elementCount(info, &elements), .batchFailed, what)
    guard let size = tensor.dataType.onnxElementBytes else {
      return BatchSlot.Tensor(shape: shape, memory: try strings(value, elements, index, what))
    }
    var data: UnsafeMutableRawPointer?
    try library.check(library.table.tensorData(value, &data), .batchFailed, what)
    let (bytes, overflow) = elements.multipliedReportingOverflow(by: size)
    guard !overflow, bytes == 0 || data != nil else { throw DeviceError(.batchFailed, "\(what) has no memory") }
    return BatchSlot.Tensor(shape: shape, memory: UnsafeMutableRawBufferPointer(start: data, count: data == nil ? 0 : bytes))
  }

  private func strings(_ value: OpaquePointer, _ elements: Int, _ index: Int, _ what: String) throws(DeviceError)
    -> UnsafeMutableRawBufferPointer
  {
    var lengths: [Int] = []
    lengths.reserveCapacity(max(elements, 0))
    var total = 0
    for element in 0..<max(elements, 0) {
      var length = 0
      try library.check(library.table.stringLength(value, element, &length), .batchFailed, what)
      let (sum, overflow) = total.addingReportingOverflow(length)
      guard length >= 0, UInt32(exactly: length) != nil, !overflow, sum <= Int.max - 4 else {
        throw DeviceError(.batchFailed, "\(what): element \(element) has \(length) bytes; KServe carries 4 GiB at most")
      }
      total = sum + 4
      lengths.append(length)
    }
    guard let memory = outputStrings[index].reserve(total) else { throw DeviceError(.batchFailed, "\(what): no memory for \(total) bytes") }
    guard let base = memory.baseAddress else { return memory }
    var offset = 0
    for (element, length) in lengths.enumerated() {
      (base + offset).storeBytes(of: UInt32(clamping: length).littleEndian, as: UInt32.self)
      offset += 4
      try library.check(library.table.stringElement(value, length, element, base + offset), .batchFailed, what)
      offset += length
    }
    return memory
  }

  // MARK: Values

  private func release(_ values: UnsafeMutablePointer<OpaquePointer?>, _ count: Int) {
    for index in 0..<count {
      if let value = values[index] { library.table.releaseValue(value) }
      values[index] = nil
    }
  }

  private func releaseAll() {
    release(inputValues, inputs.count)
    release(outputValues, outputs.count)
  }

  private static func text(_ shape: [Int]) -> String { "[\(shape.map(String.init).joined(separator: ","))]" }

  private static func now() -> Instant {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }
}
