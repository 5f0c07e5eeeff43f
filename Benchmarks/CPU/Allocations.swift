import Execution
import HeapCount
import ModelGraph

/// Batches of the built-in models once their slots are there: what one still takes from the heap.
enum Allocations {
  private static let heads: [(String, BuiltInHead, rows: Int)] = [
    ("linear", .linear(layers: 20, hidden: 256), 128),
    ("stacked", .stacked(layers: 4, hidden: 128, heads: 5), 32),
    ("seqlen", .seqlen(layers: 4, hidden: 128, sequence: 16), 8),
    ("encoder", .encoder(layers: 2, hidden: 128, heads: 2, sequence: 32), 4),
  ]

  /// Whether no batch of the own kernels allocated, in any model and precision that is here. oneDNN allocates within each of its calls; its
  /// counts are printed and not judged.
  static func count() throws -> Bool {
    let batches = 20
    var isClean = true
    for engine in CPUDeviceOptions.Engine.allCases {
      // oneDNN may be absent, and a processor may lack a precision.
      guard let device = try? CPUDevice(CPUDeviceOptions(threads: 2, engine: engine)) else { continue }
      for (name, head, rows) in heads {
        let graph = try head.graph()
        for precision in LoadOptions.Precision.allCases {
          guard let model = try? device.load(.graph(graph), LoadOptions(maximumBatchRows: rows, precision: precision)) else { continue }
          let instance = try model.makeInstance()
          let shapes = graph.inputs.map { Shapes.sizes(graph[$0].shape, rows: rows) ?? [] }
          let slot = try instance.prepare(shapes)
          // Zeros are valid token numbers too.
          for input in slot.inputs { input.memory.initializeMemory(as: UInt8.self, repeating: 0) }
          func batch() throws {
            instance.run(try instance.prepare(shapes), events: nil) { if case .failure(let error) = $0 { CPUBenchmark.say("\(error)") } }
          }
          for _ in 0..<3 { try batch() }
          let before = heap_allocation_count()
          for _ in 0..<batches { try batch() }
          let allocations = heap_allocation_count() - before
          if engine == .own && allocations != 0 { isClean = false }
          CPUBenchmark.say("\(name), \(engine.rawValue), \(precision.rawValue): \(allocations) allocations in \(batches) batches")
        }
      }
    }
    return isClean
  }
}
