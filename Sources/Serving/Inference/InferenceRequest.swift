public import KServe
public import ModelConfiguration
public import NIOCore
public import TimeBase

/// One inference as a front end hands it over: the protocol is decoded, nothing is checked against the model yet.
///
/// Tensor bytes are slices of what came from the socket; they are copied once, into the batch's slot.
public struct InferenceRequest: Sendable {
  /// Which way it came.
  public enum FrontEnd: String, Sendable, Hashable { case http, grpc }

  /// One input.
  public struct Input: Sendable {
    /// Tensor's name.
    public var name: String
    /// nil for a name the protocol does not know (gRPC: shown as "<invalid>").
    public var dataType: TensorDataType?
    /// The row dimension included where the model has one.
    public var shape: [Int]
    /// Elements, packed.
    public var data: TensorBytes
    /// A tensor without name and shape, of the model's single input (HTTP's raw binary request): both are filled in from the model.
    public var isRaw = false

    /// Every field stated.
    public init(name: String, dataType: TensorDataType?, shape: [Int], data: TensorBytes, isRaw: Bool = false) {
      self.name = name
      self.dataType = dataType
      self.shape = shape
      self.data = data
      self.isRaw = isRaw
    }
  }

  /// One output asked for.
  public struct Output: Sendable {
    /// Tensor's name.
    public var name: String
    /// 0: the tensor itself; n: the n best classes.
    public var classification: Int
    /// Goes into this shared-memory region instead of the answer.
    public var sharedMemory: SharedMemoryTarget?

    /// Every field stated.
    public init(name: String, classification: Int = 0, sharedMemory: SharedMemoryTarget? = nil) {
      self.name = name
      self.classification = classification
      self.sharedMemory = sharedMemory
    }
  }

  /// Model asked for or answering.
  public var modelName: String
  /// As asked for; empty: the policy's choice, i.e. the latest ready.
  public var modelVersion: String
  /// The client's name for the request; empty for none.
  public var id: String
  /// 0: the model's default level.
  public var priority: UInt64 = 0
  /// Queue timeout asked for, microseconds; 0: none.
  public var timeoutMicroseconds: UInt64 = 0
  /// In the order sent.
  public var inputs: [Input]
  /// Empty: every output of the model.
  public var outputs: [Output]
  /// Parameters other than priority and timeout.
  public var parameters: [String: KServeParameter] = [:]
  /// The first byte was read.
  public var received: Instant
  /// Decoding was done.
  public var parsed: Instant
  /// `Headroom-Require-Real: 1`: a simulated device must refuse.
  public var requiresReal = false
  /// Which way it came.
  public var frontEnd = FrontEnd.http
  /// Bytes of the body, for statistics.
  public var bytesIn = 0

  /// Places in shared memory that inputs come from and outputs go to.
  var sharedMemoryPlaces: [SharedMemoryTarget] {
    var places: [SharedMemoryTarget] = []
    for input in inputs { if case .sharedMemory(let place) = input.data { places.append(place) } }
    for output in outputs { if let place = output.sharedMemory { places.append(place) } }
    return places
  }

  /// A request; what is left out is the protocol's default.
  public init(
    modelName: String, modelVersion: String = "", id: String = "", inputs: [Input], outputs: [Output] = [], received: Instant,
    parsed: Instant
  ) {
    self.modelName = modelName
    self.modelVersion = modelVersion
    self.id = id
    self.inputs = inputs
    self.outputs = outputs
    self.received = received
    self.parsed = parsed
  }
}

/// A tensor's bytes, little endian, row major, packed; strings as length-prefixed elements (Triton's BYTES).
public enum TensorBytes: Sendable {
  /// One run of bytes.
  case one(ByteBuffer)
  /// Runs as they came from the socket, in order: joined only in the batch's slot.
  case many([ByteBuffer])
  /// A part of a registered shared-memory region.
  case sharedMemory(SharedMemoryTarget)

  /// Bytes in all.
  public var byteCount: Int {
    switch self {
    case .one(let buffer): buffer.readableBytes
    case .many(let buffers): buffers.reduce(0) { $0 + $1.readableBytes }
    case .sharedMemory(let target): target.byteSize
    }
  }
}

/// A place in a registered shared-memory region.
public struct SharedMemoryTarget: Sendable, Hashable {
  /// Registered name.
  public var region: String
  /// Bytes from the start of the region.
  public var offset: Int
  /// Bytes.
  public var byteSize: Int

  /// Every field stated.
  public init(region: String, offset: Int = 0, byteSize: Int) {
    self.region = region
    self.offset = offset
    self.byteSize = byteSize
  }
}

/// An inference's results.
public struct InferenceResponse: Sendable {
  /// One output.
  public struct Output: Sendable {
    /// Tensor's name.
    public var name: String
    /// Element type.
    public var dataType: TensorDataType
    /// The row dimension included where the model has one.
    public var shape: [Int]
    /// Little endian, packed; empty when it went into shared memory.
    public var data: ByteBuffer
    /// Where it went instead.
    public var sharedMemory: SharedMemoryTarget?

    /// Every field stated.
    public init(name: String, dataType: TensorDataType, shape: [Int], data: ByteBuffer, sharedMemory: SharedMemoryTarget? = nil) {
      self.name = name
      self.dataType = dataType
      self.shape = shape
      self.data = data
      self.sharedMemory = sharedMemory
    }
  }

  /// Model asked for or answering.
  public var modelName: String
  /// Version that answered.
  public var modelVersion: String
  /// The client's name for the request; empty for none.
  public var id: String
  /// In the order asked for, or the model's.
  public var outputs: [Output]
  /// Outputs are zeros and times come from a model: the answer's parameters must say `"simulated": true`.
  public var isSimulated: Bool
  /// Its way through queue and batch; nil where nobody noted it.
  public var execution: Execution?

  /// A request's way through the queue, and the phases of its batch.
  public struct Execution: Sendable, Hashable {
    /// The batch that carried it: counted from 0 by each loading of a model, and never reused.
    public var batch: Int64
    /// The model took the request and began to check it.
    public var accepted: Instant
    /// It entered the queue.
    public var enqueued: Instant
    /// It left the queue for its batch.
    public var departed: Instant
    /// Gathering began.
    public var computeStart: Instant
    /// The inputs were where the model reads them.
    public var inputsReady: Instant
    /// The last kernel ended.
    public var computeEnd: Instant
    /// The outputs could be read.
    public var outputsReady: Instant

    /// Every field stated.
    public init(
      batch: Int64, accepted: Instant, enqueued: Instant, departed: Instant, computeStart: Instant, inputsReady: Instant,
      computeEnd: Instant,
      outputsReady: Instant
    ) {
      self.batch = batch
      self.accepted = accepted
      self.enqueued = enqueued
      self.departed = departed
      self.computeStart = computeStart
      self.inputsReady = inputsReady
      self.computeEnd = computeEnd
      self.outputsReady = outputsReady
    }
  }

  /// Every field stated.
  public init(modelName: String, modelVersion: String, id: String, outputs: [Output], isSimulated: Bool) {
    self.modelName = modelName
    self.modelVersion = modelVersion
    self.id = id
    self.outputs = outputs
    self.isSimulated = isSimulated
  }
}
