import Execution
import Glibc
import Synchronization
import Testing

/// ONNX Runtime for tests: whether it is here, and the shortest way from inputs to outputs.
enum ONNXRuntimeFixture {
  static let library: ONNXRuntimeLibrary? = try? ONNXRuntimeLibrary()

  static let isHere = library != nil

  /// A file of `Tests/Data/onnxruntime`.
  static func path(_ name: String) -> String {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(2)
    return "/" + parts.joined(separator: "/") + "/Data/onnxruntime/\(name).onnx"
  }

  static func load(_ path: String, rows: Int, threads: Int = 1) throws -> any LoadedModel {
    try ONNXRuntimeDevice(try #require(library), threads: threads).load(.onnxFile(path), LoadOptions(maximumBatchRows: rows))
  }

  /// What one run gives: shapes and bytes of the outputs.
  static func run(_ instance: any ModelInstance, _ inputs: [(shape: [Int], bytes: [UInt8])], _ recorder: (any LaunchRecorder)? = nil) throws
    -> [(shape: [Int], bytes: [UInt8])]
  {
    let slot = try instance.prepare(inputs.map(\.shape))
    for (index, input) in inputs.enumerated() {
      try #require(slot.inputs[index].memory.count >= input.bytes.count)
      slot.inputs[index].memory.copyBytes(from: input.bytes)
    }
    return try finish(instance, slot, recorder)
  }

  static func finish(_ instance: any ModelInstance, _ slot: BatchSlot, _ recorder: (any LaunchRecorder)? = nil) throws -> [(
    shape: [Int], bytes: [UInt8]
  )] {
    let box = Mutex<Result<BatchTimes, DeviceError>?>(nil)
    instance.run(slot, events: recorder) { result in box.withLock { $0 = result } }
    let times = try #require(box.withLock { $0 }, "completion was not called").get()
    #expect(times.inputsReady <= times.computeEnd && times.computeEnd <= times.outputsReady)
    return slot.outputs.map { ($0.shape, Array($0.memory)) }
  }

  static func bytes<T: BitwiseCopyable>(_ values: [T]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

  static func values<T: BitwiseCopyable>(_ bytes: [UInt8], as type: T.Type) -> [T] {
    bytes.withUnsafeBytes { raw in
      (0..<raw.count / MemoryLayout<T>.stride).map { raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.stride, as: type) }
    }
  }

  /// KServe's form of BYTES: a length of four bytes before each element.
  static func strings(_ elements: [[UInt8]]) -> [UInt8] { elements.flatMap { bytes([UInt32(clamping: $0.count).littleEndian]) + $0 } }
}
