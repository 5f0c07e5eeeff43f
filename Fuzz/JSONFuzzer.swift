/// Bytes as the JSON of a body: the tree and the tape agree on what is JSON, what was read is written and read again the same, and an inference
/// request's JSON takes no more memory than its bytes justify.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSON(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  if let tree = try? JSONValue.parse(bytes) {
    for pretty in [false, true] {
      guard let again = try? JSONValue.parse(Array(tree.serialized(pretty: pretty).utf8)) else {
        preconditionFailure("what was written must be JSON")
      }
      precondition(again == tree, "a tree must survive being written")
    }
  }
  var tape = JSONTape()
  bytes.withUnsafeBytes { raw in
    guard (try? tape.read(raw)) != nil, let request = try? InferenceRequestJSON(tape, text: raw, model: "m") else { return }
    for input in request.inputs {
      if case .json(let packed) = input.source { precondition(packed.count <= 8 * raw.count + 8 * input.shape.count + 64) }
    }
  }
  return 0
}
