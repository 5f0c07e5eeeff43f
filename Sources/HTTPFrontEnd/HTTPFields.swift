import KServe

/// Header fields of a request that are looked at rarely: found in the head's bytes when they are asked for, so that other requests pay nothing.
struct HTTPFields {
  let head: HTTPRequestHead
  /// The head's bytes, which the ranges of `head` count from.
  let bytes: UnsafeRawBufferPointer

  /// A field's value; `name` in lower case.
  func value(_ name: String) -> String? { HTTPRequestParser.value(of: name, in: bytes) }

  /// Host and port that the request is for: of the target where it has them, of the Host field otherwise.
  var host: String? {
    guard let authority = head.authority else { return value("host") }
    return String(decoding: UnsafeRawBufferPointer(rebasing: bytes[authority]), as: UTF8.self)
  }

  var bearerToken: String? {
    head.bearerToken.map { String(decoding: UnsafeRawBufferPointer(rebasing: bytes[$0]), as: UTF8.self) }
  }
}
