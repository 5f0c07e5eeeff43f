import Execution
import Glibc
import ModelGraph
import OperatorSamples
import Testing
import Threads
import TimeBase

extension OnStandIn {
  /// Graphs on the CUDA device, on the stand-in for NVIDIA's libraries, against the Double reference.
  @Suite struct CUDADeviceTests {
    /// What the device's batch gave, or why not.
    final class Batch: @unchecked Sendable {
      // Unchecked: `result` is behind the monitor's lock.
      private let monitor = Monitor()
      private var result: Result<BatchTimes, DeviceError>?

      func set(_ value: Result<BatchTimes, DeviceError>) {
        monitor.withLock { result = value }
        monitor.signal()
      }

      func wait() throws(DeviceError) -> BatchTimes {
        monitor.lock()
        while result == nil { monitor.wait() }
        let found = result
        monitor.unlock()
        guard let found else { throw DeviceError(.batchFailed, "no result") }
        return try found.get()
      }
    }

    /// Random inputs by name, and their shapes.
    static func inputs(_ graph: Graph, rows: Int, seed: UInt64) throws -> ([String: DenseArray], [[Int]]) {
      var generator = SplitMix64(seed: seed)
      var inputs: [String: DenseArray] = [:]
      var shapes: [[Int]] = []
      for id in graph.inputs {
        let shape = try #require(Shapes.sizes(graph[id].shape, rows: rows))
        shapes.append(shape)
        let values = (0..<shape.reduce(1, *)).map { _ in
          graph[id].type == .float32 ? Double(Float(generator.nextUnitDouble() * 2 - 1)) : Double(generator.next() % 2)
        }
        inputs[graph[id].name] = DenseArray(shape: shape, values: values)
      }
      return (inputs, shapes)
    }

    static func fill(_ slot: BatchSlot, _ graph: Graph, _ inputs: [String: DenseArray]) throws {
      for (index, id) in graph.inputs.enumerated() {
        let memory = slot.inputs[index].memory
        for (place, value) in try #require(inputs[graph[id].name]).values.enumerated() {
          switch graph[id].type {
          case .float32: memory.storeBytes(of: Float(value), toByteOffset: place * 4, as: Float.self)
          case .int64: memory.storeBytes(of: Int64(exactly: value) ?? 0, toByteOffset: place * 8, as: Int64.self)
          case .int32: memory.storeBytes(of: Int32(exactly: value) ?? 0, toByteOffset: place * 4, as: Int32.self)
          default: memory.storeBytes(of: UInt8(value), toByteOffset: place, as: UInt8.self)
          }
        }
      }
    }

    /// The largest difference from the reference, as a share of the largest value. A poisoned output is a not-a-number and counts as infinite.
    static func error(_ slot: BatchSlot, _ graph: Graph, _ inputs: [String: DenseArray]) throws -> Double {
      let expected = try ReferenceEvaluator.evaluate(graph, inputs: inputs)
      var (worst, scale) = (0.0, 1e-30)
      for index in graph.outputs.indices {
        #expect(slot.outputs[index].shape == expected[index].shape)
        for (place, value) in expected[index].values.enumerated() {
          let got = Double(slot.outputs[index].memory.loadUnaligned(fromByteOffset: place * 4, as: Float.self))
          worst = got.isNaN ? .infinity : max(worst, abs(got - value))
          if worst == .infinity { return worst }
          scale = max(scale, abs(value))
        }
      }
      return worst / scale
    }

    static func run(
      _ graph: Graph, rows: Int, _ instance: any ModelInstance, seed: UInt64 = 7
    ) throws -> Double {
      let (inputs, shapes) = try Self.inputs(graph, rows: rows, seed: seed)
      let slot = try instance.prepare(shapes)
      try fill(slot, graph, inputs)
      let batch = Batch()
      instance.run(slot, events: nil) { batch.set($0) }
      let times = try batch.wait()
      #expect(times.inputsReady <= times.computeEnd && times.computeEnd <= times.outputsReady)
      return try error(slot, graph, inputs)
    }

    static let heads: [BuiltInHead] = [
      .linear(layers: 4, hidden: 32), .stacked(layers: 3, hidden: 32, heads: 3), .seqlen(layers: 2, hidden: 32, sequence: 4),
      .encoder(layers: 1, hidden: 32, heads: 2, sequence: 8),
    ]

    @Test(arguments: heads, [LoadOptions.Precision.fp32, .fp16, .bf16])
    func headsAnswerAsTheReferenceDoes(_ head: BuiltInHead, _ precision: LoadOptions.Precision) throws {
      let standIn = try #require(StandIn())
      try autoreleased {
        let device = try standIn.device()
        let graph = try head.graph().withRowsFirst()
        let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 40, precision: precision))
        let instance = try model.makeInstance()
        let limit = precision == .fp32 ? 2e-5 : precision == .fp16 ? 0.01 : 0.08
        // Twice each: kernels and memory as they were bound, then as they are found again. 40 rows are too many for a chain's kernel.
        for rows in [1, 3, 40, 3] {
          let error = try Self.run(graph, rows: rows, instance, seed: UInt64(clamping: rows))
          #expect(error < limit, "\(head.name), \(precision), \(rows) rows")
        }
        instance.close()
      }
      #expect(standIn.complaints == [])
    }

    /// Operators with a definition, of an input that does not lie row by row: the kernel of its name, or copies.
    @Test(arguments: [LoadOptions.Precision.fp32, .fp16]) func definitionsAnswerAsTheReferenceDoes(_ precision: LoadOptions.Precision)
      throws
    {
      let standIn = try #require(StandIn())
      let device = try standIn.device()
      for sample in OperatorSample.all {
        // In 16 bits equals may come about, whose first place the reference does not see.
        if precision != .fp32 && ["ArgMax", "ArgMin", "Hardmax", "TopK"].contains(sample.name) { continue }
        var graph = try sample.graph(isTransposed: true)
        graph.outputs = try graph.outputs.map { result in
          graph[result].type == .float32 ? result : try graph.apply(.cast(.float32), "real", [result])
        }
        let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 4, precision: precision))
        let instance = try model.makeInstance()
        #expect(try Self.run(graph, rows: 2, instance) < (precision == .fp32 ? 2e-5 : 0.01), "\(sample)")
        instance.close()
      }
      #expect(standIn.complaints == [])
    }

    @Test(.enabled(if: !StandIn.isGPUTested, "needs the stand-in")) func graphsRunWhatLaunchesRun() throws {
      let standIn = try #require(StandIn())
      let graph = try BuiltInHead.linear(layers: 3, hidden: 64).graph()
      for graphs in [true, false] {
        let device = try standIn.device(graphs: graphs)
        let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 8, precision: .fp16))
        let instance = try model.makeInstance()
        #expect(try Self.run(graph, rows: 8, instance) < 0.01)
        let before = (standIn.calls("cuGraphLaunch"), standIn.calls("cublasLtMatmul") + standIn.calls("cuLaunchKernel"))
        #expect(try Self.run(graph, rows: 8, instance) < 0.01)
        // The second slot binds its own; from the third batch on nothing is bound.
        let bound = (standIn.calls("cuGraphLaunch"), standIn.calls("cublasLtMatmul") + standIn.calls("cuLaunchKernel"))
        #expect(try Self.run(graph, rows: 8, instance) < 0.01)
        let after = (standIn.calls("cuGraphLaunch"), standIn.calls("cublasLtMatmul") + standIn.calls("cuLaunchKernel"))
        #expect(after.0 - bound.0 == (graphs ? 1 : 0))
        #expect((after.1 == bound.1) == graphs)
        #expect(bound.1 > before.1)
        instance.close()
      }
      #expect(standIn.complaints == [])
    }

    /// The configuration's `optimization { cuda { graphs } }` decides over the device's default.
    @Test(.enabled(if: !StandIn.isGPUTested, "needs the stand-in")) func theModelsOptionsDecideAboutGraphs() throws {
      let standIn = try #require(StandIn())
      let device = try standIn.device(graphs: true)
      let graph = try BuiltInHead.linear(layers: 3, hidden: 40).graph()
      let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 2, cudaGraphs: false))
      let instance = try model.makeInstance()
      #expect(try Self.run(graph, rows: 2, instance) < 1e-5)
      #expect(standIn.calls("cuGraphLaunch") == 0)
      instance.close()
    }

    @Test func twoBatchesAreOnTheirWayAtOnce() throws {
      let standIn = try #require(StandIn())
      let device = try standIn.device()
      // Large enough inputs for the copy streams.
      let graph = try BuiltInHead.linear(layers: 1, hidden: 128).graph()
      let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 300, precision: .fp16))
      let instance = try model.makeInstance()
      let rows = 300
      var batches: [(BatchSlot, [String: DenseArray], Batch)] = []
      for round in 0..<3 {
        // The first slot comes again with the third batch: its batch has to be over.
        if round == 2 { _ = try batches[0].2.wait() }
        if round == 2 { #expect(try Self.error(batches[0].0, graph, batches[0].1) < 0.01) }
        let (inputs, shapes) = try Self.inputs(graph, rows: rows, seed: UInt64(clamping: round))
        let slot = try instance.prepare(shapes)
        try Self.fill(slot, graph, inputs)
        let batch = Batch()
        instance.run(slot, events: nil) { batch.set($0) }
        batches.append((slot, inputs, batch))
      }
      #expect(batches[0].0 !== batches[1].0 && batches[0].0 === batches[2].0)
      for round in 1..<3 {
        _ = try batches[round].2.wait()
        #expect(try Self.error(batches[round].0, graph, batches[round].1) < 0.01)
      }
      #expect(standIn.complaints == [])
      instance.close()
    }

    @Test func severalInstancesShareTheWeights() throws {
      let standIn = try #require(StandIn())
      let device = try standIn.device()
      let graph = try BuiltInHead.linear(layers: 3, hidden: 64).graph()
      let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 8, precision: .fp16))
      let instances = try (0..<3).map { _ in try model.makeInstance() }
      for instance in instances {
        #expect(try Self.run(graph, rows: 5, instance) < 0.01)
        instance.close()
      }
      #expect(standIn.complaints == [])
    }

    // MARK: - Faults

    @Test(.enabled(if: !StandIn.isGPUTested, "needs the stand-in")) func anErrorThatSticksLosesTheInstanceAndTheNextOneGetsANewContext()
      throws
    {
      let standIn = try #require(StandIn())
      let device = try standIn.device()
      let graph = try BuiltInHead.linear(layers: 3, hidden: 64).graph()
      let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 8, precision: .fp16))
      let first = try model.makeInstance()
      let second = try model.makeInstance()
      #expect(try Self.run(graph, rows: 4, first) < 0.01)
      standIn.fail("cuGraphLaunch", code: 700)
      let failure = #expect(throws: DeviceError.self) { try Self.run(graph, rows: 4, first) }
      #expect(failure?.kind == .instanceLost)
      #expect(failure?.description.contains("CUDA_ERROR_ILLEGAL_ADDRESS") == true)
      // The other instance's context went with it: it is told so, nothing of it reaches the driver.
      let other = #expect(throws: DeviceError.self) { try Self.run(graph, rows: 4, second) }
      #expect(other?.kind == .instanceLost)
      let third = try model.makeInstance()
      #expect(try Self.run(graph, rows: 4, third) < 0.01)
      #expect(standIn.calls("cuDevicePrimaryCtxReset_v2") >= 1)
      #expect(standIn.complaints == [])
      third.close()
    }

    @Test(.enabled(if: !StandIn.isGPUTested, "needs the stand-in")) func whatIsGatheredWhileAnotherInstanceLosesTheContextIsNobodyElses()
      throws
    {
      let standIn = try #require(StandIn())
      try autoreleased {
        let device = try standIn.device()
        let graph = try BuiltInHead.linear(layers: 3, hidden: 64).graph()
        let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 8, precision: .fp16))
        let (first, second) = (try model.makeInstance(), try model.makeInstance())
        #expect(try Self.run(graph, rows: 4, first) < 0.01)
        let (inputs, shapes) = try Self.inputs(graph, rows: 4, seed: 1)
        // Another thread's, about to be filled.
        let held = try second.prepare(shapes)
        standIn.fail("cuGraphLaunch", code: 700)
        #expect(throws: DeviceError.self) { try Self.run(graph, rows: 4, first) }
        let third = try model.makeInstance()
        let own = try third.prepare(shapes)
        try Self.fill(own, graph, inputs)
        held.inputs[0].memory.initializeMemory(as: UInt8.self, repeating: 0xff)
        let batch = Batch()
        third.run(own, events: nil) { batch.set($0) }
        _ = try batch.wait()
        #expect(try Self.error(own, graph, inputs) < 0.01)
        #expect(held.inputs[0].memory.allSatisfy { $0 == 0xff })
        for instance in [first, second, third] { instance.close() }
      }
      #expect(standIn.complaints == [])
    }

    @Test(.enabled(if: !StandIn.isGPUTested, "needs the stand-in")) func aModelThatDoesNotFitSaysHowMuchItNeedsAndWhatIsFree() throws {
      let standIn = try #require(StandIn())
      standIn.setMemory(40 << 10)
      let device = try standIn.device()
      let graph = try BuiltInHead.linear(layers: 8, hidden: 64).graph()
      let failure = #expect(throws: DeviceError.self) {
        _ = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 8))
      }
      #expect(failure?.kind == .unsupported)
      let text = failure?.description ?? ""
      #expect(text.contains(graph.name) && text.contains("weights") && text.contains("free"), "\(text)")
      // What was allocated before is given back.
      #expect(standIn.liveCount == 0, "\(standIn.live)")
    }

    @Test(.enabled(if: !StandIn.isGPUTested, "needs the stand-in")) func nothingIsLeftBehind() throws {
      let standIn = try #require(StandIn())
      try autoreleased {
        let device = try standIn.device()
        let graph = try BuiltInHead.encoder(layers: 1, hidden: 32, heads: 2, sequence: 8).graph().withRowsFirst()
        let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 4, precision: .fp16))
        let instance = try model.makeInstance()
        for rows in 1...4 { _ = try Self.run(graph, rows: rows, instance) }
        instance.close()
      }
      // The waiting thread lets go of the instance's slots a moment after.
      for _ in 0..<1000 where standIn.liveCount > 0 { MonotonicClock.yield() }
      #expect(standIn.liveCount == 0, "\(standIn.live)")
      #expect(standIn.complaints == [])
    }

    @Test func anIndexOutOfRangeIsTheRequestsFault() throws {
      let standIn = try #require(StandIn())
      let device = try standIn.device()
      var graph = Graph(name: "table")
      let indices = graph.addInput("indices", .int64, [.rows])
      let table = graph.addConstant("table", try #require(Tensor(float32: (0..<12).map(Float.init), shape: [3, 4])))
      try graph.addOutput(try graph.apply(.gather(axis: 0), "rows", [table, indices]), named: "out")
      let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 4))
      let instance = try model.makeInstance()
      for (index, isValid) in [(2, true), (3, false), (-3, true), (-4, false), (0, true)] {
        let slot = try instance.prepare([[1]])
        slot.inputs[0].memory.storeBytes(of: Int64(clamping: index), as: Int64.self)
        let batch = Batch()
        instance.run(slot, events: nil) { batch.set($0) }
        if isValid {
          _ = try batch.wait()
          let row = (index + 3) % 3
          #expect(slot.outputs[0].memory.load(fromByteOffset: 4, as: Float.self) == Float(row * 4 + 1))
        } else {
          let failure = #expect(throws: DeviceError.self) { try batch.wait() }
          #expect(failure?.kind == .badInput)
        }
      }
      instance.close()
    }

    /// The same of operators by an index, whichever side it is of; ONNX's OneHot takes any.
    @Test func placesOutOfRangeAreTheRequestsFault() throws {
      let standIn = try #require(StandIn())
      let device = try standIn.device()
      for (name, attributes) in [("GatherND", [:]), ("ScatterND", [:]), ("OneHot", ["depth": .integer(3)])]
        as [(String, [String: OperatorAttribute.Content])]
      {
        var graph = Graph(name: name)
        let indices = graph.addInput("indices", .int32, [.rows, .fixed(1)])
        let table = graph.addConstant("table", try #require(Tensor(float32: [1, 2, 3], shape: [3])))
        let pair = graph.addConstant("pair", try #require(Tensor(float32: [0, 7], shape: [2])))
        let updates = graph.addInput("updates", .float32, [.rows])
        let inputs = name == "OneHot" ? [indices, pair] : name == "GatherND" ? [table, indices] : [table, indices, updates]
        try graph.addOutput(try graph.apply(.defined(try #require(DefinedOperator(name, attributes))), "y", inputs), named: "out")
        let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 4))
        let instance = try model.makeInstance()
        for (index, isValid) in [(2, true), (3, false), (-3, true), (-4, false), (Int(Int32.min), false), (0, true)] {
          let slot = try instance.prepare([[1, 1], [1]])
          slot.inputs[0].memory.storeBytes(of: Int32(clamping: index), as: Int32.self)
          slot.inputs[1].memory.storeBytes(of: 9, as: Float.self)
          let batch = Batch()
          instance.run(slot, events: nil) { batch.set($0) }
          if isValid || name == "OneHot" {
            _ = try batch.wait()
            let values = (0..<(name == "GatherND" ? 1 : 3)).map { slot.outputs[0].memory.load(fromByteOffset: $0 * 4, as: Float.self) }
            let place = (index + 3) % 3
            let expected: [Float] =
              switch name {
              case "GatherND": [Float(place + 1)]
              case "ScatterND": (0..<3).map { $0 == place ? 9 : Float($0 + 1) }
              default: (0..<3).map { isValid && $0 == place ? 7 : 0 }
              }
            #expect(values == expected, "\(name) at \(index)")
          } else {
            let failure = #expect(throws: DeviceError.self) { try batch.wait() }
            #expect(failure?.kind == .badInput)
          }
        }
        instance.close()
      }
      #expect(standIn.complaints == [])
    }

    @Test func whatIsMissingIsNamedWithThePackageThatBringsIt() {
      let nowhere = CUDASearch(explicitPath: "/nonexistent", folders: [], asksLinker: false)
      let driver = #expect(throws: DeviceError.self) { try CUDADevice(CUDADeviceOptions(search: nowhere)) }
      #expect(driver?.description.contains("libcuda") == true && driver?.description.contains("driver") == true)
      let compiler = #expect(throws: DeviceError.self) { try CUDACompiler(nowhere) }
      #expect(compiler?.description.contains("nvidia-cuda-nvrtc") == true)
    }

    @Test func shapesOfOtherModelsAreRefused() throws {
      let standIn = try #require(StandIn())
      let device = try standIn.device()
      let graph = try BuiltInHead.linear(layers: 2, hidden: 32).graph()
      let model = try device.load(.graph(graph), LoadOptions(maximumBatchRows: 8))
      let instance = try model.makeInstance()
      for shapes in [[], [[4, 31]], [[0, 32]], [[4]]] as [[[Int]]] {
        let failure = #expect(throws: DeviceError.self) { _ = try instance.prepare(shapes) }
        #expect(failure?.kind == .badInput)
      }
      instance.close()
    }

    /// A scope of its own: what it made is gone behind it.
    private func autoreleased(_ body: () throws -> Void) rethrows { try body() }
  }
}
