import KServe
import ModelConfiguration
import NIOCore
import ProtobufWire

/// A tensor's typed contents (`InferTensorContents` of grpc_service.proto) on their way to packed little-endian bytes.
///
/// Which contents belong to which data type: the same file's comments. What does not fit is worded as triton-inference-server/server
/// `src/grpc/infer_handler.h` words it.
struct TensorContents {
  /// The message's fields, in the order of their numbers.
  private enum Field: Int {
    case bool = 1
    case int, int64, uint, uint64, fp32, fp64, bytes

    var naturalType: TensorDataType {
      switch self {
      case .bool: .bool
      case .int: .int32
      case .int64: .int64
      case .uint: .uint32
      case .uint64: .uint64
      case .fp32: .float32
      case .fp64: .float64
      case .bytes: .string
      }
    }

    /// Bytes each element of `type` takes, if this field may hold them.
    func width(for type: TensorDataType) -> Int? {
      switch (self, type) {
      case (.bool, .bool), (.int, .int8), (.uint, .uint8): 1
      case (.int, .int16), (.uint, .uint16): 2
      case (.int, .int32), (.uint, .uint32), (.fp32, .float32): 4
      case (.int64, .int64), (.uint64, .uint64), (.fp64, .float64): 8
      case (.bytes, .string): 0
      default: nil
      }
    }
  }

  /// The message's bytes; more than one when the field was sent in parts, which protobuf merges.
  var parts: [WireReader]

  /// The packed bytes. `message` is the whole request, of which a packed float field is a ready slice.
  func packed(as type: TensorDataType?, input: String, model: String, in message: ByteBuffer) throws -> ByteBuffer {
    var firstField: Field?
    for part in parts {
      var reader = part
      while let field = try reader.next() {
        guard let kind = Field(rawValue: field.number), field.payload.map({ kind == .bytes || $0.count > 0 }) ?? (kind != .bytes) else {
          continue
        }
        if firstField.map({ kind.rawValue < $0.rawValue }) ?? true { firstField = kind }
      }
    }
    guard let field = firstField else { return ByteBuffer() }
    guard let width = field.width(for: type ?? .invalid) else {
      throw GRPCStatus.invalidArgument(
        "unexpected explicit tensor data for input tensor '\(input)' for model '\(model)' of type '\(field.naturalType.kserveName)', "
          + "expected datatype '\((type ?? .invalid).kserveName)'")
    }
    var packed = ByteBuffer()
    for part in parts {
      var reader = part
      while let found = try reader.next() {
        guard found.number == field.rawValue else { continue }
        try Self.append(found, of: field, width: width, to: &packed, message: message)
      }
    }
    return packed
  }

  private static func append(_ found: WireField, of field: Field, width: Int, to packed: inout ByteBuffer, message: ByteBuffer) throws {
    switch field {
    case .bytes:
      guard let payload = found.payload else { throw WireError(offset: 0, reason: "bytes_contents must be bytes") }
      packed.writeInteger(UInt32(truncatingIfNeeded: payload.count), endianness: .little)
      packed.writeBytes(payload.rawBytes)
    case .fp32, .fp64:
      guard let payload = found.payload else {
        packed.writeLittleEndian(found.bits, width: width)
        return
      }
      guard payload.count.isMultiple(of: width) else {
        throw WireError(offset: payload.start, reason: "packed numbers of \(width) bytes do not fill \(payload.count) bytes")
      }
      if packed.readableBytes == 0, let slice = message.getSlice(at: message.readerIndex + payload.start, length: payload.count) {
        packed = slice
      } else {
        packed.writeBytes(payload.rawBytes)
      }
    case .bool:
      try eachInteger(found) { packed.writeInteger($0 == 0 ? 0 : 1, as: UInt8.self) }
    case .int, .int64, .uint, .uint64:
      if let payload = found.payload { packed.reserveCapacity(minimumWritableBytes: payload.count) }
      try eachInteger(found) { packed.writeLittleEndian($0, width: width) }
    }
  }

  private static func eachInteger(_ found: WireField, _ body: (UInt64) -> Void) throws(WireError) {
    guard var payload = found.payload else { return body(found.bits) }
    while !payload.isAtEnd { body(try payload.varint()) }
  }
}

extension ByteBuffer {
  /// The low `width` bytes of a number.
  fileprivate mutating func writeLittleEndian(_ bits: UInt64, width: Int) {
    switch width {
    case 1: writeInteger(UInt8(truncatingIfNeeded: bits))
    case 2: writeInteger(UInt16(truncatingIfNeeded: bits), endianness: .little)
    case 4: writeInteger(UInt32(truncatingIfNeeded: bits), endianness: .little)
    default: writeInteger(bits, endianness: .little)
    }
  }
}
