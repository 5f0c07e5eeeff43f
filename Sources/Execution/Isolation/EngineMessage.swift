import CheckedNumbers
import ModelConfiguration

/// What the server and an engine's process say to each other, over a socket: never a tensor, whose bytes lie in memory that both map.
///
/// A frame is 16 bytes ("HREP", version, kind, bytes of payload, zero; little-endian) and the payload.
enum EngineMessage: Sendable, Hashable {
  /// First, both ways: the program's version, for messages.
  case hello(program: String)
  /// To the engine: the model, once.
  case load(EngineLoad)
  case loaded(EngineLoaded)
  /// To the engine: an instance. Three descriptors come with it: its socket, memory of inputs, memory of outputs.
  case attach(UInt32)
  case attached
  case run(EngineRun)
  case ran(EngineRan)
  /// What was asked for last did not work.
  case failed(DeviceError)

  /// Of the frames and payloads. Raised with every change to them.
  static let version: UInt16 = 1
  static let headerBytes = 16
  /// A payload holds shapes and names: no model has so many that it takes more.
  static let maximumPayloadBytes = 16 << 20
  private static let magic: [UInt8] = [0x48, 0x52, 0x45, 0x50]

  /// What a header promises.
  struct Header: Hashable {
    var kind: UInt16
    var payloadBytes: Int
  }

  var kind: UInt16 {
    switch self {
    case .hello: 1
    case .load: 2
    case .loaded: 3
    case .attach: 4
    case .attached: 5
    case .run: 6
    case .ran: 7
    case .failed: 8
    }
  }

  /// The frame, in place of what `buffer` held.
  func encode(into buffer: inout [UInt8], version: UInt16 = EngineMessage.version) {
    buffer.removeAll(keepingCapacity: true)
    var writer = EngineWriter(buffer)
    buffer = []
    writer.bytes.append(contentsOf: Self.magic)
    writer.integer(version)
    writer.integer(kind)
    writer.integer(UInt64.zero)
    switch self {
    case .hello(let program): writer.text(program)
    case .load(let load): load.encode(to: &writer)
    case .loaded(let loaded): loaded.encode(to: &writer)
    case .attach(let number): writer.integer(number)
    case .attached: break
    case .run(let run): run.encode(to: &writer)
    case .ran(let ran): ran.encode(to: &writer)
    case .failed(let error):
      writer.integer(error.kind.code)
      // A log line's worth and more; engines have been seen to print whole graphs.
      writer.text(error.description.utf8.count <= 1 << 16 ? error.description : String(error.description.prefix(1 << 14)) + " ...")
    }
    let payload = UInt32(truncatingIfNeeded: writer.bytes.count - Self.headerBytes)
    withUnsafeBytes(of: payload.littleEndian) { writer.bytes.replaceSubrange(8..<12, with: $0) }
    swap(&buffer, &writer.bytes)
  }

  /// Reads a header.
  static func header(_ bytes: ArraySlice<UInt8>) throws(EngineMessageError) -> Header {
    guard bytes.count == headerBytes, Array(bytes.prefix(4)) == magic else { throw .malformed("it does not begin with HREP") }
    var reader = EngineReader(bytes.dropFirst(4))
    let version = try reader.integer(UInt16.self)
    if version != Self.version { throw .version(theirs: version, ours: Self.version) }
    let kind = try reader.integer(UInt16.self)
    let payload = Int(clamping: try reader.integer(UInt32.self))
    guard payload <= maximumPayloadBytes else {
      throw .malformed("a payload of \(payload) bytes is claimed; \(maximumPayloadBytes) is the most")
    }
    return Header(kind: kind, payloadBytes: payload)
  }

  /// Reads a payload.
  init(kind: UInt16, payload: ArraySlice<UInt8>) throws(EngineMessageError) {
    var reader = EngineReader(payload)
    switch kind {
    case 1: self = .hello(program: try reader.text())
    case 2: self = .load(try EngineLoad(&reader))
    case 3: self = .loaded(try EngineLoaded(&reader))
    case 4: self = .attach(try reader.integer())
    case 5: self = .attached
    case 6: self = .run(try EngineRun(&reader))
    case 7: self = .ran(try EngineRan(&reader))
    case 8:
      let code = try reader.integer(UInt8.self)
      guard let kind = DeviceError.Kind(code: code) else { throw .malformed("an error of kind \(code)") }
      self = .failed(DeviceError(kind, try reader.text()))
    default: throw .malformed("kind \(kind) is unknown")
    }
    try reader.finish()
  }
}

extension DeviceError.Kind {
  fileprivate var code: UInt8 {
    switch self {
    case .unsupported: 1
    case .badInput: 2
    case .batchFailed: 3
    case .instanceLost: 4
    case .unavailable: 5
    }
  }

  fileprivate init?(code: UInt8) {
    switch code {
    case 1: self = .unsupported
    case 2: self = .badInput
    case 3: self = .batchFailed
    case 4: self = .instanceLost
    case 5: self = .unavailable
    default: return nil
    }
  }
}
