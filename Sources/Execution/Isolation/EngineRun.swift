import CheckedNumbers

/// A tensor in memory that both processes map.
struct EngineTensor: Sendable, Hashable {
  var shape: [Int]
  var offset: Int
  var byteCount: Int

  /// No tensor has more dimensions.
  static let maximumDimensions = 1024

  func encode(to writer: inout EngineWriter) {
    writer.list(shape) { $0.integer(Int64(clamping: $1)) }
    writer.integer(Int64(clamping: offset))
    writer.integer(Int64(clamping: byteCount))
  }

  init(shape: [Int], offset: Int, byteCount: Int) {
    self.shape = shape
    self.offset = offset
    self.byteCount = byteCount
  }

  init(_ reader: inout EngineReader) throws(EngineMessageError) {
    shape = try reader.list(minimumElementBytes: 8) { reader throws(EngineMessageError) in Int(clamping: try reader.integer(Int64.self)) }
    offset = Int(clamping: try reader.integer(Int64.self))
    byteCount = Int(clamping: try reader.integer(Int64.self))
    guard shape.count <= Self.maximumDimensions, shape.allSatisfy({ $0 >= 0 }), offset >= 0, byteCount >= 0 else {
      throw .malformed("a tensor of shape \(shape.prefix(16)) in \(byteCount) bytes from \(offset)")
    }
  }

  /// Whether it lies within so many bytes and, where its elements have a size, takes exactly what its shape needs.
  func fits(_ regionBytes: Int, elementBytes: Int?) -> Bool {
    let (end, overflow) = offset.addingReportingOverflow(byteCount)
    guard !overflow, end <= regionBytes else { return false }
    guard let elementBytes else { return true }
    var needed = elementBytes
    for size in shape {
      let (product, overflow) = needed.multipliedReportingOverflow(by: size)
      if overflow { return false }
      needed = product
    }
    return needed == byteCount
  }
}

/// A batch: where its inputs lie; nil for one that is left to its default.
struct EngineRun: Sendable, Hashable {
  var inputs: [EngineTensor?]
  /// Bytes of the memory of inputs that are in use.
  var regionBytes: Int

  func encode(to writer: inout EngineWriter) {
    writer.list(inputs) { writer, input in writer.optional(input) { $1.encode(to: &$0) } }
    writer.integer(Int64(clamping: regionBytes))
  }

  init(inputs: [EngineTensor?], regionBytes: Int) {
    self.inputs = inputs
    self.regionBytes = regionBytes
  }

  init(_ reader: inout EngineReader) throws(EngineMessageError) {
    inputs = try reader.list(minimumElementBytes: 1) { reader throws(EngineMessageError) in
      try reader.optional { reader throws(EngineMessageError) in try EngineTensor(&reader) }
    }
    regionBytes = Int(clamping: try reader.integer(Int64.self))
    guard regionBytes >= 0 else { throw .malformed("\(regionBytes) bytes of inputs") }
  }
}

/// A batch's end: where its outputs lie, and when its phases ended (CLOCK_MONOTONIC, which both processes share).
struct EngineRan: Sendable, Hashable {
  var outputs: [EngineTensor]
  var regionBytes: Int
  var inputsReady: Int64
  var computeEnd: Int64

  func encode(to writer: inout EngineWriter) {
    writer.list(outputs) { $1.encode(to: &$0) }
    writer.integer(Int64(clamping: regionBytes))
    writer.integer(inputsReady)
    writer.integer(computeEnd)
  }

  init(outputs: [EngineTensor], regionBytes: Int, inputsReady: Int64, computeEnd: Int64) {
    self.outputs = outputs
    self.regionBytes = regionBytes
    self.inputsReady = inputsReady
    self.computeEnd = computeEnd
  }

  init(_ reader: inout EngineReader) throws(EngineMessageError) {
    outputs = try reader.list(minimumElementBytes: 20) { reader throws(EngineMessageError) in try EngineTensor(&reader) }
    regionBytes = Int(clamping: try reader.integer(Int64.self))
    inputsReady = try reader.integer()
    computeEnd = try reader.integer()
    guard regionBytes >= 0 else { throw .malformed("\(regionBytes) bytes of outputs") }
  }
}
