public import TimeBase

/// One execution context of a loaded model.
///
/// Owned by one thread at a time: `prepare`, then `run`, then read the slot's outputs once `completion` was called, then the next
/// `prepare`. Where `LoadedModel.pipelineDepth` is 2, a second batch may be prepared and run before the first one's outputs were read:
/// `prepare` hands out the instance's slots in turn, and a turn ends with `run`, so that a slot that was prepared and not run is handed
/// out again. Outputs are read in the order of the runs, and no more than that many runs are unread at one time.
public protocol ModelInstance: AnyObject, Sendable {
  /// Memory for a batch's inputs, to be filled by the caller. `shapes` are full shapes, one an input in the signature's order, row
  /// dimension included where the model has one. Allocates only when a batch is larger than any before.
  func prepare(_ shapes: [[Int]]) throws(DeviceError) -> BatchSlot

  /// As `prepare`, without some inputs (`LoadedModel.omissibleInputs`; their places, ascending). Of those the shape is the row dimension
  /// alone, where there is one, and their memory is the device's own affair.
  func prepare(_ shapes: [[Int]], omitting omitted: [Int]) throws(DeviceError) -> BatchSlot

  /// Runs the batch in `slot`. Returns at once or after the work (the CPU device computes on the calling thread); `completion` is called
  /// exactly once, on any thread, possibly before this returns. It must not block.
  func run(_ slot: BatchSlot, events: (any LaunchRecorder)?, completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void)

  /// Room for a string input (length-prefixed elements, whose bytes the shape does not tell): `byteCount` bytes behind
  /// `slot.inputs[input].memory`. Devices without strings throw.
  func reserve(_ slot: BatchSlot, input: Int, byteCount: Int) throws(DeviceError)

  /// No more batches will come; waits for what runs. A lost instance is abandoned instead.
  func close()
}

extension ModelInstance {
  /// The usual case: every input is needed.
  public func prepare(_ shapes: [[Int]], omitting omitted: [Int]) throws(DeviceError) -> BatchSlot {
    if omitted.isEmpty { return try prepare(shapes) }
    throw DeviceError(.unsupported, "this model's device needs every input")
  }

  /// The usual case: no strings.
  public func reserve(_ slot: BatchSlot, input: Int, byteCount: Int) throws(DeviceError) {
    throw DeviceError(.unsupported, "this model's device takes no string tensors")
  }
}

/// When a batch's phases ended, CLOCK_MONOTONIC.
public struct BatchTimes: Sendable, Hashable {
  /// Inputs are where the model reads them (after H2D on a GPU).
  public var inputsReady: Instant
  /// The last kernel ended.
  public var computeEnd: Instant
  /// Outputs can be read from the slot (after D2H on a GPU).
  public var outputsReady: Instant

  /// Every field stated.
  public init(inputsReady: Instant, computeEnd: Instant, outputsReady: Instant) {
    self.inputsReady = inputsReady
    self.computeEnd = computeEnd
    self.outputsReady = outputsReady
  }
}

/// A batch's host memory: inputs to be written, outputs to be read. Belongs to one instance; never shared between threads at one time.
public final class BatchSlot {
  /// One tensor of a batch.
  public struct Tensor {
    /// Full shape, row dimension first where there is one.
    public var shape: [Int]
    /// Memory of exactly the tensor's bytes. For strings (length-prefixed elements) as much as was reserved.
    public var memory: UnsafeMutableRawBufferPointer

    /// A tensor over memory the device owns.
    public init(shape: [Int], memory: UnsafeMutableRawBufferPointer) {
      self.shape = shape
      self.memory = memory
    }
  }

  /// Inputs in the signature's order.
  public var inputs: [Tensor]
  /// Outputs in the signature's order; shapes and memory are valid after a successful run.
  public var outputs: [Tensor]

  /// A slot; the memory stays the device's.
  public init(inputs: [Tensor] = [], outputs: [Tensor] = []) {
    self.inputs = inputs
    self.outputs = outputs
  }
}
