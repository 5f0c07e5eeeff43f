import Execution
import KServe
import ModelConfiguration
import NIOCore
import NIOPosix
import Synchronization
import Testing
import Threads
import TimeBase

@testable import Serving

/// Whatever a device does wrong with a batch, that batch's requests are told, and the others get their own values.
@Suite struct DeviceFaultTests {
  /// An identity device of FP32 rows that does as it is told with its second batch.
  private final class Device: LoadedModel, @unchecked Sendable {
    enum Fault: CaseIterable {
      case fails, isLost, isLostWhileIdle, isLostAndCannotBeMade, refuses, givesFewerBytes, givesMoreBytes, givesOtherRows, givesNoOutput,
        preparesLess
    }

    let fault: Fault
    let signature = ModelSignature(
      inputs: [.init(name: "x", dataType: .float32, dims: [4])], outputs: [.init(name: "y", dataType: .float32, dims: [4])])
    let hasRowDimension = true
    let weightBytes = 0
    let batches = Mutex(0)
    let made = Mutex(0)

    init(_ fault: Fault) { self.fault = fault }

    func steps(rows: Int) -> [DeviceStep] { [] }

    func makeInstance() throws(DeviceError) -> any ModelInstance {
      let number = made.withLock { made in
        made += 1
        return made
      }
      if fault == .isLostAndCannotBeMade, number == 2 { throw DeviceError(.unsupported, "no memory for an instance") }
      return Instance(self)
    }
  }

  private final class Instance: ModelInstance, @unchecked Sendable {
    private let device: Device
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 64)
    private let slot = BatchSlot()
    private var (isFaulty, isDead) = (false, false)

    init(_ device: Device) { self.device = device }
    deinit { memory.deallocate() }

    private func tensor(_ shape: [Int], _ bytes: Int) -> BatchSlot.Tensor {
      BatchSlot.Tensor(shape: shape, memory: UnsafeMutableRawBufferPointer(rebasing: memory[..<bytes]))
    }

    func prepare(_ shapes: [[Int]]) throws(DeviceError) -> BatchSlot {
      isFaulty = device.batches.withLock { batches in
        batches += 1
        return batches == 2
      }
      // With what it shares with another instance, between two batches: no batch of this one ever works again.
      if isFaulty, device.fault == .isLostWhileIdle { isDead = true }
      if isDead { throw DeviceError(.instanceLost, "another batch's error took the device") }
      if isFaulty, device.fault == .refuses { throw DeviceError(.badInput, "no such batch") }
      slot.inputs = shapes.map { tensor($0, $0.reduce(4, *) - (isFaulty && device.fault == .preparesLess ? 4 : 0)) }
      return slot
    }

    func run(_ slot: BatchSlot, events: (any LaunchRecorder)?, completion: @escaping @Sendable (Result<BatchTimes, DeviceError>) -> Void) {
      let (shape, bytes) = (slot.inputs[0].shape, slot.inputs[0].memory.count)
      slot.outputs = [tensor(shape, bytes)]
      switch isFaulty ? device.fault : .refuses {
      case .fails: return completion(.failure(DeviceError(.batchFailed, "a kernel failed")))
      case .isLost, .isLostAndCannotBeMade: return completion(.failure(DeviceError(.instanceLost, "the device fell off the bus")))
      case .givesFewerBytes: slot.outputs = [tensor(shape, bytes - 4)]
      case .givesMoreBytes: slot.outputs = [tensor(shape, bytes + 4)]
      case .givesOtherRows: slot.outputs = [tensor([shape[0] + 1] + shape.dropFirst(), bytes + 16)]
      case .givesNoOutput: slot.outputs = []
      case .refuses, .preparesLess, .isLostWhileIdle: break
      }
      completion(.success(BatchTimes(inputsReady: MonotonicClock.now, computeEnd: MonotonicClock.now, outputsReady: MonotonicClock.now)))
    }

    func close() {}
  }

  private static func served(_ loaded: any LoadedModel, _ text: String) throws -> ServedModel {
    try RandomBatchModel.served(try ModelConfiguration.parse(text, file: "config.pbtxt").configuration.normalized(), loaded)
  }

  private static func infer(_ model: ServedModel, _ loops: MultiThreadedEventLoopGroup, _ values: [Float]) async
    -> Result<InferenceResponse, KServeError>
  {
    await completion { done in
      _ = model.infer(ServerFixture.request("m", values), on: loops.next(), fallback: { nil }) { answer, _ in done(answer) }
    }
  }

  @Test(arguments: Device.Fault.allCases)
  private func aFaultAnswersItsBatchAlone(fault: Device.Fault) async throws {
    let device = Device(fault)
    let model = try Self.served(
      device,
      """
      name: "m" max_batch_size: 4 input [ { name: "x" data_type: TYPE_FP32 dims: [4] } ] output [ { name: "y" data_type: TYPE_FP32 dims: [4] } ]
      dynamic_batching { preferred_batch_size: [2] max_queue_delay_microseconds: 60000000 }
      """)
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    for batch in 1...4 {
      let (left, right) = ([Float](repeating: Float(batch), count: 4), [Float](repeating: Float(-batch), count: 4))
      async let one = Self.infer(model, loops, left)
      async let other = Self.infer(model, loops, right)
      let answers = (await one, await other)
      // Nothing of a batch had begun that an idle instance's loss meets: a new instance takes it.
      if batch == 2 && fault != .isLostWhileIdle || batch == 3 && fault == .isLostAndCannotBeMade {
        let problems = [answers.0.problem, answers.1.problem].compactMap { $0 }
        #expect(problems.count == 2)
        #expect(problems.allSatisfy { !$0.message.isEmpty && $0.status != .unavailable })
      } else {
        #expect(answers.0.values == left)
        #expect(answers.1.values == right)
      }
    }
    let made = [.isLost: 2, .isLostWhileIdle: 2, .isLostAndCannotBeMade: 3][fault] ?? 1
    #expect(device.made.withLock { $0 } == made, "a lost instance is made anew")
    #expect(model.counters.current.failures[.backend] == (fault == .isLostAndCannotBeMade ? 4 : fault == .isLostWhileIdle ? nil : 2))
    await withCheckedContinuation { continuation in model.queue.close { continuation.resume() } }
    try await loops.shutdownGracefully()
  }

  /// dims [3,2] of an output whose model gives [4]: no answer claims six values and carries four.
  @Test func anOutputThatCannotBeReshapedIsNoAnswer() async throws {
    let model = try Self.served(
      Device(.refuses),
      """
      name: "m" max_batch_size: 4 input [ { name: "x" data_type: TYPE_FP32 dims: [4] } ]
      output [ { name: "y" data_type: TYPE_FP32 dims: [3, 2] reshape { shape: [4] } } ]
      """)
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let problem = await Self.infer(model, loops, [1, 2, 3, 4]).problem
    #expect(problem?.message.contains("output 'y' has shape [1, 4], which cannot be given as [3, 2]") == true)
    await withCheckedContinuation { continuation in model.queue.close { continuation.resume() } }
    try await loops.shutdownGracefully()
  }
}
