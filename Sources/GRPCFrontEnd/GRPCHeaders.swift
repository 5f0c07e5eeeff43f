import NIOHPACK

/// The response heads and trailers.
enum GRPCHeaders {
  /// Before the first message.
  static let head: HPACKHeaders = [":status": "200", "content-type": "application/grpc"]
  /// After the last message of a call that went well.
  static let okTrailers: HPACKHeaders = ["grpc-status": "0"]

  /// After the last message, or, with `alone`, instead of any (Trailers-Only of grpc/grpc `doc/PROTOCOL-HTTP2.md`).
  static func trailers(_ status: GRPCStatus, alone: Bool, acceptEncoding: String?) -> HPACKHeaders {
    var headers: HPACKHeaders = alone ? head : [:]
    if let acceptEncoding { headers.add(name: "grpc-accept-encoding", value: acceptEncoding) }
    headers.add(name: "grpc-status", value: "\(status.code)")
    // Texts differ from call to call: in the compression table they would only push out what repeats.
    if !status.message.isEmpty { headers.add(name: "grpc-message", value: status.encodedMessage, indexing: .nonIndexable) }
    return headers
  }

  /// The answer to what is HTTP/2 but not gRPC.
  static func refusal(httpStatus: Int) -> HPACKHeaders { [":status": "\(httpStatus)"] }
}

/// What a request's head says.
struct GRPCRequestHead {
  var method = ""
  var path = ""
  var contentType = ""
  var timeout: String?
  var encoding: String?
  var bearerToken: String?
  var requiresReal = false
  var endsOnError = false

  init(_ headers: HPACKHeaders) {
    for (name, value, _) in headers {
      // By length first: a call has some ten fields, of which each would be compared with each name.
      switch name.utf8.count {
      case 5 where name == ":path": path = value
      case 7 where name == ":method": method = value
      case 12 where name == "content-type": contentType = value
      case 12 where name == "grpc-timeout": timeout = value
      case 13 where name == "grpc-encoding": encoding = value == "identity" ? nil : value
      case 13 where name == "authorization":
        if value.prefix(7).lowercased() == "bearer " { bearerToken = String(value.dropFirst(7)) }
      case 17 where name == "triton_grpc_error": endsOnError = value == "true"
      case 21 where name == "headroom-require-real": requiresReal = value == "1"
      default: break
      }
    }
  }

  /// "application/grpc", with "+proto" or parameters behind it.
  var isGRPC: Bool {
    guard contentType.hasPrefix("application/grpc") else { return false }
    let rest = contentType.dropFirst(16)
    return rest.isEmpty || rest.first == ";" || rest == "+proto" || rest.hasPrefix("+proto;")
  }
}
