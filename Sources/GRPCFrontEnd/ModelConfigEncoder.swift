import CheckedNumbers
import JSONText
import ProtobufWire

/// Turns a configuration's JSON into the bytes of a `ModelConfig`. Members that the schema does not know are left out.
struct ModelConfigEncoder {
  var schema = ModelConfigSchema.standard

  /// The bytes of a message of this type.
  func encode(_ json: JSONValue, as message: String) -> [UInt8] {
    var writer = WireWriter()
    guard let fields = schema.messages[message] else { return [] }
    // Sorted by number, as protobuf's own writers do, so that the same configuration always gives the same bytes.
    let members = (json.objectValue ?? []).compactMap { member in fields[member.name].map { ($0, member.value) } }
    for (field, value) in members.sorted(by: { $0.0.number < $1.0.number }) {
      switch field.shape {
      case .single: write(value, field, always: false, to: &writer)
      case .repeated:
        if isPackable(field.type) {
          let packed = packedBytes(value.arrayValue ?? [], field.type)
          if !packed.isEmpty { writer.bytes(field.number, packed) }
        } else {
          for element in value.arrayValue ?? [] { write(element, field, always: true, to: &writer) }
        }
      case .map(let key):
        for member in value.objectValue ?? [] {
          writer.message(field.number) { entry in
            write(.string(member.name), .init(number: 1, shape: .single, type: key), always: true, to: &entry)
            write(member.value, .init(number: 2, shape: .single, type: field.type), always: true, to: &entry)
          }
        }
      }
    }
    return writer.bytes
  }

  private func isPackable(_ type: String) -> Bool { type != "string" && schema.messages[type] == nil }

  /// One value with its number. Scalars that are their type's default are left out unless `always`; messages never are, for they can be a
  /// choice whose presence is its meaning.
  private func write(_ value: JSONValue, _ field: ModelConfigSchema.Field, always: Bool, to writer: inout WireWriter) {
    if schema.messages[field.type] != nil {
      if value != .null { writer.bytes(field.number, encode(value, as: field.type)) }
    } else if field.type == "string" {
      let text = value.stringValue ?? ""
      if always || !text.isEmpty { writer.text(field.number, text) }
    } else if field.type == "float" {
      let number = Float(number(value))
      if always || number != 0 { writer.float(field.number, number) }
    } else {
      let number = integer(value, field.type)
      if always || number != 0 { writer.integer(field.number, number) }
    }
  }

  /// The payload of a packed field.
  private func packedBytes(_ values: [JSONValue], _ type: String) -> [UInt8] {
    if type == "double" {
      return values.flatMap { value -> [UInt8] in
        let bits = number(value).bitPattern
        return (0..<8).map { UInt8(truncatingIfNeeded: bits >> UInt64(clamping: 8 * $0)) }
      }
    }
    if type == "float" {
      return values.flatMap { value -> [UInt8] in
        let bits = Float(number(value)).bitPattern
        return (0..<4).map { UInt8(truncatingIfNeeded: bits >> UInt32(clamping: 8 * $0)) }
      }
    }
    var writer = WireWriter()
    for value in values { writer.varint(UInt64(bitPattern: integer(value, type))) }
    return writer.bytes
  }

  /// What JSON has no number for is a word there, as protobuf writes it.
  private func number(_ value: JSONValue) -> Double {
    switch value.stringValue {
    case "NaN": .nan
    case "Infinity": .infinity
    case "-Infinity": -.infinity
    default: value.doubleValue ?? 0
    }
  }

  /// The varint's bits. 64-bit integers may be texts in JSON, enums are names.
  private func integer(_ value: JSONValue, _ type: String) -> Int64 {
    if let values = schema.enums[type] { return value.stringValue.flatMap { values[$0] } ?? value.integerValue ?? 0 }
    if let flag = value.boolValue { return flag ? 1 : 0 }
    if let text = value.stringValue { return Int64(text) ?? UInt64(text).map { Int64(bitPattern: $0) } ?? 0 }
    return value.integerValue ?? 0
  }
}
