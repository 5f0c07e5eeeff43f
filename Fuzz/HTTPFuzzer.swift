/// Bytes as they might come from a socket: request heads, chunked or plain bodies, and the JSON of an inference in them. None of it may trap,
/// hang or reserve what it merely claims; and however the bytes are cut, the framing is the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: start, count: count)
  var tape = JSONTape()
  read(bytes, &tape)
  guard case .head(let head) = HTTPRequestParser.parse(bytes) else { return 0 }
  precondition(head.length <= bytes.count && head.path.upperBound <= head.length)
  let rest = UnsafeRawBufferPointer(rebasing: bytes[head.length...])
  if head.isChunked {
    let whole = body(rest, piece: rest.count)
    precondition(whole == body(rest, piece: 1), "chunks must be the same however they arrive")
    whole.withUnsafeBytes { read($0, &tape) }
  } else {
    read(rest, &tape)
  }
  return 0
}

private func body(_ bytes: UnsafeRawBufferPointer, piece: Int) -> [UInt8] {
  var (chunks, body, offset) = (ChunkedBody(), [UInt8](), 0)
  while offset < bytes.count, !chunks.hasEnded, !chunks.isMalformed {
    let end = min(bytes.count, offset + max(1, piece))
    let part = UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
    offset += chunks.read(part) { body += part[$0] }
  }
  return body
}

private func read(_ bytes: UnsafeRawBufferPointer, _ tape: inout JSONTape) {
  do {
    try tape.read(bytes)
    let request = try InferenceRequestJSON(tape, text: bytes, model: "m")
    for input in request.inputs {
      if case .json(let packed) = input.source { precondition(packed.count <= 8 * bytes.count + 8 * input.shape.count + 64) }
    }
  } catch {
    // An error is an answer.
  }
}
