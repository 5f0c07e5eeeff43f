/// Bytes to a configuration, through its checks, to JSON and back: none of it may trap, hang, or change what was read.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfiguration(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let text = String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  guard let parsed = try? ModelConfiguration.parse(text, file: "fuzz.pbtxt") else { return 0 }
  let normalized = parsed.configuration.normalized(usableGPUs: [0])
  _ = try? normalized.validate()
  let tensor = ModelSignature.Tensor(name: "a", dataType: .float32, dims: [-1, 4])
  _ = try? parsed.configuration.completed(from: ModelSignature(inputs: [tensor], outputs: [tensor]))
  precondition((try? ModelConfiguration(json: normalized.json())) == normalized, "JSON must keep what was read")
  return 0
}
