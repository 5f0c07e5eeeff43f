import KServe
import ProtobufWire
import Serving

/// An entry of a `map<string, InferParameter>`.
enum WireParameter {
  /// Key and value; a value that names nothing is false, as protobuf's default of the first choice would be.
  static func entry(_ whole: WireReader) throws(WireError) -> (name: String, value: KServeParameter) {
    var reader = whole
    var name = ""
    var value = KServeParameter.bool(false)
    while true {
      let offset = reader.offset
      guard let field = try reader.next() else { return (name, value) }
      switch field.number {
      case 1: name = try field.message(at: offset).text()
      case 2: value = try parameter(try field.message(at: offset)) ?? value
      default: break
      }
    }
  }

  /// `InferParameter`'s choice: the last one given counts.
  private static func parameter(_ whole: WireReader) throws(WireError) -> KServeParameter? {
    var reader = whole
    var value: KServeParameter?
    while true {
      let offset = reader.offset
      guard let field = try reader.next() else { return value }
      switch field.number {
      case 1: value = .bool(field.bits != 0)
      case 2: value = .int(Int64(bitPattern: field.bits))
      case 3: value = .string(try field.message(at: offset).text())
      case 4: value = .double(Double(bitPattern: field.bits))
      case 5: value = .uint(field.bits)
      default: break
      }
    }
  }
}

/// The shared-memory parameters of one tensor, in whatever order they come. What is refused is worded as triton-inference-server/server
/// `src/grpc/grpc_utils.h` words it; negative numbers, which it does not look at, are refused too.
struct SharedMemoryParameters {
  private var region: String?
  private var offset: Int?
  private var byteSize: Int?

  /// Takes a parameter; others than these (`binary_data` and what a client makes up) have no effect on a tensor.
  mutating func set(_ name: String, _ value: KServeParameter, tensor: String) throws(GRPCStatus) {
    func mismatch(_ expected: String) -> GRPCStatus {
      .invalidArgument("invalid value type for '\(name)' parameter for tensor '\(tensor)', expected \(expected).")
    }
    func number() throws(GRPCStatus) -> Int {
      guard case .int(let number) = value else { throw mismatch("int64_param") }
      guard number >= 0, let number = Int(exactly: number) else {
        throw .invalidArgument("invalid value for '\(name)' parameter for tensor '\(tensor)', expected value >= 0.")
      }
      return number
    }
    switch name {
    case "shared_memory_region":
      guard case .string(let text) = value else { throw mismatch("string_param") }
      region = text
    case "shared_memory_offset": offset = try number()
    case "shared_memory_byte_size": byteSize = try number()
    default: break
    }
  }

  /// Where the tensor lies, if it lies in shared memory.
  func target(tensor: String) throws(GRPCStatus) -> SharedMemoryTarget? {
    guard let region else {
      guard let alone = offset != nil ? "offset" : byteSize != nil ? "byte_size" : nil else { return nil }
      throw .invalidArgument(
        "'shared_memory_\(alone)' can not be specified without 'shared_memory_region' parameter for tensor '\(tensor)'")
    }
    guard let byteSize else {
      throw .invalidArgument(
        "'shared_memory_byte_size' must be specified along with 'shared_memory_region' parameter for tensor '\(tensor)'")
    }
    return SharedMemoryTarget(region: region, offset: offset ?? 0, byteSize: byteSize)
  }
}
