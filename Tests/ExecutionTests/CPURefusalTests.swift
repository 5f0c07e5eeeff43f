import Execution
import ModelGraph
import Testing

/// What the CPU device cannot run it says before a model is loaded, never with a request.
@Suite struct CPURefusalTests {
  private static func device() throws -> CPUDevice { try CPUDevice(CPUDeviceOptions(threads: 1)) }

  /// y = operation(x, c), three columns.
  private static func graph(_ operation: BinaryOperation, _ type: DataType) throws -> Graph {
    var graph = Graph(name: "binary")
    let x = graph.addInput("x", type, [.rows, .fixed(3)])
    let c = graph.addInput("c", type, [.fixed(3)])
    let y = try graph.apply(.binary(operation), "y", [x, c])
    graph.outputs = [y]
    return graph
  }

  @Test(arguments: BinaryOperation.allCases, DataType.allCases)
  func whatIsNotRefusedLoadsAndWhatIsRefusedDoesNot(_ operation: BinaryOperation, _ type: DataType) throws {
    guard let graph = try? Self.graph(operation, type) else { return }
    let device = try Self.device()
    for rows in [0, 1, 8] {
      let options = LoadOptions(maximumBatchRows: rows)
      let refusal = device.refusal(of: graph, options)
      let loaded = Result { () throws(DeviceError) in try device.load(.graph(graph), options) }
      switch loaded {
      case .success(let model):
        #expect(refusal == nil, "\(operation) of \(type): \(String(describing: refusal))")
        let instance = try model.makeInstance()
        let slot = try instance.prepare([[1, 3], [3]])
        for input in slot.inputs { input.memory.initializeMemory(as: UInt8.self, repeating: 1) }
        instance.run(slot, events: nil) { result in
          if case .failure(let error) = result { #expect(error.kind != .unsupported, "\(operation) of \(type): \(error)") }
        }
      case .failure(let error):
        #expect(refusal?.kind == .unsupported && error.kind == .unsupported, "\(operation) of \(type): \(error)")
      }
    }
  }

  @Test func theRefusalNamesTheLayer() throws {
    let refusal = try Self.device().refusal(of: try Self.graph(.power, .int64), LoadOptions(maximumBatchRows: 4))
    #expect(refusal?.description.contains("powers of integers") == true)
    #expect(try Self.device().refusal(of: try Self.graph(.power, .float32), LoadOptions(maximumBatchRows: 4)) == nil)
  }
}
