import KServe
import ProtobufWire

/// Requests of the calls that are not inferences, read by field numbers of triton-inference-server/common `protobuf/grpc_service.proto`.
struct ControlRequest {
  /// Texts and numbers by field; the last one given counts.
  private(set) var texts: [Int: String] = [:]
  private(set) var integers: [Int: UInt64] = [:]
  /// Nested messages and bytes, in order.
  private(set) var payloads: [(number: Int, reader: WireReader)] = []

  /// Reads a message. `texts`: numbers of the fields that hold text.
  init(_ bytes: UnsafeRawBufferPointer, texts textFields: Set<Int>) throws(WireError) {
    var reader = WireReader(bytes)
    while let field = try reader.next() {
      if let payload = field.payload {
        if textFields.contains(field.number) { texts[field.number] = try payload.text() } else { payloads.append((field.number, payload)) }
      } else {
        integers[field.number] = field.bits
      }
    }
  }

  func text(_ number: Int) -> String { texts[number] ?? "" }
  func flag(_ number: Int) -> Bool { integers[number] ?? 0 != 0 }
}

/// An entry of one of the maps whose values are a choice of scalars (`ModelRepositoryParameter`, `LogSettingsRequest.SettingValue`).
struct ControlEntry {
  var key = ""
  /// Which choice was given and its number, or its bytes.
  var choice = 0
  var integer: UInt64 = 0
  var bytes: [UInt8] = []
  /// Texts of a repeated first field (`TraceSettingRequest.SettingValue`).
  var values: [String] = []

  init(_ entry: WireReader, isTextList: Bool = false) throws(WireError) {
    var reader = entry
    while true {
      let offset = reader.offset
      guard let field = try reader.next() else { return }
      if field.number == 1 { key = try field.message(at: offset).text() }
      guard field.number == 2 else { continue }
      var value = try field.message(at: offset)
      while let part = try value.next() {
        if isTextList {
          if part.number == 1 { values.append(try part.message(at: value.offset).text()) }
          continue
        }
        choice = part.number
        integer = part.bits
        bytes = part.payload.map { Array($0.rawBytes) } ?? []
      }
    }
  }
}
