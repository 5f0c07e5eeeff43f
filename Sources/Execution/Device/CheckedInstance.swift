import ModelConfiguration

/// A model instance whose batches are checked on their way in and out: what a server runs requests of several clients on, whatever the device.
///
/// Nothing of an earlier batch can be read: every byte of every input is written by this batch before it runs, each request's own bytes
/// or zeros, and of the outputs no more is handed out than their shapes say. Requests are cut by rows alone, so that all of them must have
/// the shapes of the batch in every other dimension.
///
/// One batch at a time: `begin`, `reserve` for strings, `write` for each input and request in order, `run`, `checkOutputs`, then
/// `outputShape` and `outputBytes`.
///
/// `@unchecked Sendable`: owned by one thread at a time, as `ModelInstance` demands.
public final class CheckedInstance: @unchecked Sendable {
  /// What became of a request's bytes.
  public enum Written: Sendable, Hashable {
    /// They are in the batch.
    case whole
    /// They are not as many as its shape takes; its part of the batch holds zeros.
    case wrongSize(expected: Int)
    /// They could not be had; its part of the batch holds zeros.
    case failed
  }

  private struct Input {
    var isGiven = false
    var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    var written = 0
    /// Of one row; of the whole tensor where rows are not counted. 0 for strings.
    var rowBytes = 0
    var rowElements = 0
  }

  private struct Output {
    var shape: [Int] = []
    var memory = UnsafeRawBufferPointer(start: nil, count: 0)
    var rowBytes = 0
    /// For strings: where each row's elements begin, and the end.
    var rowEnds: [Int] = []
  }

  private let instance: any ModelInstance
  private let layout: BatchLayout
  private var slot = BatchSlot()
  private var rows = 1
  private var inputs: [Input]
  private var outputs: [Output]
  private var areOutputsChecked = false

  /// Checks what goes into and comes out of this instance.
  public init(_ instance: any ModelInstance, _ layout: BatchLayout) {
    self.instance = instance
    self.layout = layout
    inputs = layout.inputs.map { _ in Input() }
    outputs = layout.outputs.map { _ in Output() }
  }

  /// No more batches will come.
  public func close() { instance.close() }

  // MARK: - In

  /// Begins a batch. `shapes` are full ones in the configuration's order; of an input that is left out (`omitted`, ascending) the row
  /// dimension alone, where there is one.
  public func begin(_ shapes: [[Int]], rows: Int, omitting omitted: [Int] = []) throws(DeviceError) {
    areOutputsChecked = false
    guard shapes.count == layout.inputs.count, rows >= 1 else {
      throw DeviceError(.badInput, "\(shapes.count) inputs of \(rows) rows were given; the model has \(layout.inputs.count)")
    }
    self.rows = rows
    // Taken out while it is changed: each access to a variable of an object is checked for overlaps.
    var inputs: [Input] = []
    swap(&inputs, &self.inputs)
    defer { swap(&inputs, &self.inputs) }
    for index in inputs.indices {
      inputs[index] = Input()
      inputs[index].isGiven = omitted.isEmpty || !omitted.contains(index)
      let (tensor, shape) = (layout.inputs[index], shapes[index])
      if layout.countsRows, shape.first != rows {
        throw DeviceError(.badInput, "input '\(tensor.name)' has shape \(shape) in a batch of \(rows) rows")
      }
      guard inputs[index].isGiven else { continue }
      guard let elements = Self.elements(layout.countsRows ? shape.dropFirst() : shape[...]) else {
        throw DeviceError(.badInput, "input '\(tensor.name)' has shape \(shape), which no tensor can have")
      }
      let (bytes, overflow) = elements.multipliedReportingOverflow(by: tensor.bytesPerElement ?? 0)
      if overflow { throw DeviceError(.badInput, "input '\(tensor.name)' of shape \(shape) has too many bytes") }
      (inputs[index].rowElements, inputs[index].rowBytes) = (elements, bytes)
    }
    let device = layout.inDeviceOrder(shapes, rows: rows, omitting: omitted)
    let slot =
      device.omitted.isEmpty ? try instance.prepare(device.shapes) : try instance.prepare(device.shapes, omitting: device.omitted)
    self.slot = slot
    guard slot.inputs.count == layout.inputCount else {
      throw DeviceError(.batchFailed, "the device prepared \(slot.inputs.count) inputs; the model has \(layout.inputCount)")
    }
    for index in inputs.indices where inputs[index].isGiven {
      let tensor = layout.inputs[index]
      let given = slot.inputs[tensor.place]
      guard given.shape == shapes[index] else {
        throw DeviceError(
          .batchFailed, "the device prepared input '\(tensor.name)' with shape \(given.shape) instead of \(shapes[index])")
      }
      // What strings take is known when they are there: see `reserve`.
      if tensor.bytesPerElement == nil { continue }
      let (expected, overflow) = inputs[index].rowBytes.multipliedReportingOverflow(by: layout.countsRows ? rows : 1)
      guard !overflow, given.memory.count == expected else {
        throw DeviceError(
          .batchFailed, "the device prepared \(given.memory.count) bytes for input '\(tensor.name)' of shape \(given.shape)")
      }
      inputs[index].memory = given.memory
    }
  }

  /// Whether an input holds strings: then `reserve` comes before its first `write`.
  public func isString(_ input: Int) -> Bool { layout.inputs[input].bytesPerElement == nil }

  /// Room for a string input: the bytes of all requests together.
  public func reserve(_ input: Int, byteCount: Int) throws(DeviceError) {
    let tensor = layout.inputs[input]
    try instance.reserve(slot, input: tensor.place, byteCount: byteCount)
    let memory = slot.inputs[tensor.place].memory
    guard memory.count == byteCount else {
      throw DeviceError(.batchFailed, "the device reserved \(memory.count) bytes instead of \(byteCount) for input '\(tensor.name)'")
    }
    inputs[input].memory = memory
  }

  /// The next request's part of an input: `copy` is given exactly the memory of these rows and answers whether it filled it.
  public func write(
    _ input: Int, rows: Int, byteCount: Int, _ copy: (UnsafeMutableRawBufferPointer) -> Bool
  ) throws(DeviceError) -> Written {
    let (tensor, state) = (layout.inputs[input], inputs[input])
    let counted = layout.countsRows ? rows : 1
    let (fixed, overflow) = state.rowBytes.multipliedReportingOverflow(by: counted)
    let expected = tensor.bytesPerElement == nil ? byteCount : fixed
    guard state.isGiven, !overflow, counted >= 1, expected >= 0, expected <= state.memory.count - state.written else {
      throw DeviceError(
        .batchFailed,
        "input '\(tensor.name)' holds \(state.memory.count) bytes, of which \(state.written) are written; \(expected) more do not fit")
    }
    let part = UnsafeMutableRawBufferPointer(rebasing: state.memory[state.written..<state.written + expected])
    inputs[input].written += expected
    if byteCount == expected, copy(part), try holdsStrings(part, tensor, state.rowElements, counted) { return .whole }
    if tensor.bytesPerElement != nil {
      part.initializeMemory(as: UInt8.self, repeating: 0)
    } else {
      let (elements, overflow) = state.rowElements.multipliedReportingOverflow(by: counted)
      guard !overflow, StringElements.fill(part, count: elements) else {
        throw DeviceError(.batchFailed, "input '\(tensor.name)' has \(part.count) bytes for \(elements) strings")
      }
    }
    return byteCount == expected ? .failed : .wrongSize(expected: expected)
  }

  private func holdsStrings(
    _ part: UnsafeMutableRawBufferPointer, _ tensor: BatchLayout.Tensor, _ rowElements: Int, _ rows: Int
  ) throws(DeviceError) -> Bool {
    if tensor.bytesPerElement != nil { return true }
    let (elements, overflow) = rowElements.multipliedReportingOverflow(by: rows)
    return !overflow && StringElements.end(of: elements, in: UnsafeRawBufferPointer(part), from: 0) == part.count
  }

  /// Runs the batch; see `ModelInstance.run`. Fails where an input is not written to its end.
  public func run(events: (any LaunchRecorder)?, completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void) {
    for (tensor, state) in zip(layout.inputs, inputs) where state.isGiven && state.written != state.memory.count {
      return completion(
        .failure(
          DeviceError(.batchFailed, "of the \(state.memory.count) bytes of input '\(tensor.name)' only \(state.written) are written")))
    }
    instance.run(slot, events: events, completion: completion)
  }

  // MARK: - Out

  /// Checks that every output is what its shape says. To be called after a successful run and before outputs are read.
  public func checkOutputs() throws(DeviceError) {
    var outputs: [Output] = []
    swap(&outputs, &self.outputs)
    defer { swap(&outputs, &self.outputs) }
    let (slot, rows) = (self.slot, self.rows)
    guard slot.outputs.count == layout.outputCount else {
      throw DeviceError(.batchFailed, "the model gave \(slot.outputs.count) outputs; it has \(layout.outputCount)")
    }
    for (index, output) in layout.outputs.enumerated() {
      let tensor = slot.outputs[output.place]
      if layout.countsRows, tensor.shape.first != rows {
        throw DeviceError(
          .batchFailed,
          "output '\(output.name)' has shape \(tensor.shape) for a batch of \(rows) rows: its first dimension must be the rows")
      }
      let memory = UnsafeRawBufferPointer(tensor.memory)
      outputs[index].shape = tensor.shape
      outputs[index].memory = memory
      guard let rowElements = Self.elements(layout.countsRows ? tensor.shape.dropFirst() : tensor.shape[...]) else {
        throw DeviceError(.batchFailed, "output '\(output.name)' has shape \(tensor.shape), which no tensor can have")
      }
      if let size = output.bytesPerElement {
        let (rowBytes, overflow) = rowElements.multipliedReportingOverflow(by: size)
        let (expected, tooMany) = rowBytes.multipliedReportingOverflow(by: layout.countsRows ? rows : 1)
        guard !overflow, !tooMany, memory.count == expected else { throw wrongSize(output.name, tensor) }
        outputs[index].rowBytes = rowBytes
      } else {
        outputs[index].rowEnds = try stringRows(output.name, tensor, memory, rowElements)
      }
    }
    areOutputsChecked = true
  }

  private func wrongSize(_ name: String, _ tensor: BatchSlot.Tensor) -> DeviceError {
    DeviceError(.batchFailed, "output '\(name)' of shape \(tensor.shape) came with \(tensor.memory.count) bytes")
  }

  /// Strings differ in length: where each row's elements end must be looked for.
  private func stringRows(
    _ name: String, _ tensor: BatchSlot.Tensor, _ memory: UnsafeRawBufferPointer, _ rowElements: Int
  ) throws(DeviceError) -> [Int] {
    let count = layout.countsRows ? rows : 1
    var ends = [0]
    ends.reserveCapacity(count + 1)
    var offset = 0
    for _ in 0..<count {
      guard let end = StringElements.end(of: rowElements, in: memory, from: offset) else { throw wrongSize(name, tensor) }
      offset = end
      ends.append(end)
    }
    guard offset == memory.count else { throw wrongSize(name, tensor) }
    return ends
  }

  /// Of the whole batch, in the configuration's order.
  public func outputShape(_ output: Int) -> [Int] { outputs[output].shape }

  /// Exactly the bytes of these rows of an output; all of them where rows are not counted. Valid until the next `begin`.
  public func outputBytes(_ output: Int, rows range: Range<Int>) throws(DeviceError) -> UnsafeRawBufferPointer {
    guard areOutputsChecked, range.lowerBound >= 0, range.upperBound <= rows else {
      throw DeviceError(.batchFailed, "rows \(range.lowerBound) to \(range.upperBound) were asked for in a batch of \(rows)")
    }
    let state = outputs[output]
    if !layout.countsRows { return state.memory }
    let bytes =
      layout.outputs[output].bytesPerElement == nil
      ? state.rowEnds[range.lowerBound]..<state.rowEnds[range.upperBound]
      : range.lowerBound * state.rowBytes..<range.upperBound * state.rowBytes
    return UnsafeRawBufferPointer(rebasing: state.memory[bytes])
  }

  /// nil for what is negative or too large to count.
  private static func elements(_ sizes: ArraySlice<Int>) -> Int? {
    var product = 1
    for size in sizes {
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      guard size >= 0, !overflow else { return nil }
      product = next
    }
    return product
  }
}
