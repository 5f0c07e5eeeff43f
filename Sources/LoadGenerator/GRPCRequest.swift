import CheckedNumbers

/// A gRPC call as bytes: a header block without any compression state, which every connection can send as it is, and a length-prefixed message.
enum GRPCRequest {
  static let service = "/inference.GRPCInferenceService/"

  /// RFC 7541: fields of the static table by index, all others as literals that enter no table.
  static func headers(_ method: String, authority: String, isSecure: Bool, metadata: [String]) throws(LoadError) -> [UInt8] {
    // :method POST, :scheme https or http.
    var block: [UInt8] = [0x83, isSecure ? 0x87 : 0x86]
    // :path and :authority, names indexed.
    block.append(0x04)
    try append(service + method, to: &block)
    block.append(0x01)
    try append(authority, to: &block)
    var fields = [("content-type", "application/grpc"), ("te", "trailers")]
    let own = metadata.map { text in
      let colon = text.firstIndex(of: ":") ?? text.endIndex
      let value = text[colon...].dropFirst().drop { $0 == " " || $0 == "\t" }
      return (text[..<colon].lowercased(), String(value))
    }
    if !own.contains(where: { $0.0 == "user-agent" }) { fields.append(("user-agent", "headroom")) }
    for (name, value) in fields + own {
      block.append(0)
      try append(name, to: &block)
      try append(value, to: &block)
    }
    guard block.count <= 16_384 else { throw LoadError("the headers take \(block.count) bytes; gRPC sends 16384 at most") }
    return block
  }

  /// A string without Huffman coding, its length in a prefix of seven bits.
  private static func append(_ text: String, to block: inout [UInt8]) throws(LoadError) {
    let bytes = Array(text.utf8)
    if bytes.count < 127 {
      block.append(UInt8(clamping: bytes.count))
    } else {
      block.append(127)
      var rest = bytes.count - 127
      while rest >= 128 {
        block.append(UInt8(clamping: rest & 127) | 128)
        rest >>= 7
      }
      block.append(UInt8(clamping: rest))
    }
    block += bytes
  }

  /// One flag byte (not compressed), the length in four, the message.
  static func prefixed(_ message: [UInt8]) throws(LoadError) -> [UInt8] {
    guard let length = UInt32(exactly: message.count), length <= Int32.max else {
      throw LoadError("a request of \(message.count) bytes is too large for gRPC; ask for fewer rows")
    }
    return [0] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + message
  }

  /// The one message of an answer; nil where it is none, or compressed.
  static func message(in bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    guard bytes.count >= 5, bytes[0] == 0 else { return nil }
    let length = (1...4).reduce(0) { $0 << 8 | Int(bytes[$1]) }
    guard bytes.count == 5 + length else { return nil }
    return UnsafeRawBufferPointer(rebasing: bytes[5...])
  }
}
