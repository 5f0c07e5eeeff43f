/// Bytes as the body of a repository, trace, log or shared-memory call, over HTTP and over gRPC: each way of reading one, and none may trap or
/// take more memory than came.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzControl(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  if let document = try? HTTPDocument(bytes: bytes) {
    for (name, value) in (try? document.strings(in: "parameters")) ?? [] where name.hasPrefix("file:") {
      precondition((Base64.decode(value) ?? []).count <= value.utf8.count, "base 64 must not grow")
    }
    _ = try? document.bool("unload_dependents", in: "parameters")
    _ = try? document.bool("ready")
    _ = try? document.unsigned("byte_size")
    _ = try? document.required("key").string("key")
    _ = try? document.lists()
    _ = try? document.parameters()
  }
  bytes.withUnsafeBytes { raw in
    guard let request = try? ControlRequest(raw, texts: [1, 2, 3]) else { return }
    _ = (request.text(1), request.flag(2))
    for payload in request.payloads {
      _ = try? ControlEntry(payload.reader)
      _ = try? ControlEntry(payload.reader, isTextList: true)
    }
  }
  return 0
}
