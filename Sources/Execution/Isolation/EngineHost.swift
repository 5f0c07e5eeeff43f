import CLinux
import Glibc
import Threads
import TimeBase

/// The engine's side: what the hidden command `engine-host` runs.
public enum EngineHost {
  /// Serves the process that started this one until it, or the model, is gone.
  public static func run(program: String, parent: Int32) -> Never {
    headroom_die_with_parent()
    nameProcess()
    // It may have ended before that was asked for.
    if getppid() != parent { _exit(0) }
    offerToTheKernel()
    headroom_close_from(EngineProcess.controlDescriptor + 1)
    // The server ends this process; a service manager that signals all of a service's processes would end batches that it still drains.
    for number in [SIGTERM, SIGINT, SIGHUP, SIGPIPE] { signal(number, SIG_IGN) }
    let control = EngineChannel(taking: EngineProcess.controlDescriptor)
    do throws(EngineChannel.Failure) {
      try serve(control, program)
    } catch {
      if case .message = error {
        // Its header carries this side's version, which tells the other what is wrong.
        try? control.send(.failed(DeviceError(.unsupported, "\(error)")))
        say("headroom engine-host: \(error)")
      }
    }
    _exit(0)
  }

  /// In place of "exe", in `ps` and `top`. Through /proc, as threads are named; the kernel keeps 15 bytes.
  private static func nameProcess() {
    let file = open("/proc/self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    _ = Array("headroom-engine".utf8).withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    close(file)
  }

  /// Where memory runs out, the kernel ends the engine whose request took it, not the server nor somebody else's process (proc(5),
  /// /proc/PID/oom_score_adj: 1,000 is the first choice; raising one's own needs no right).
  private static func offerToTheKernel() {
    let file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    _ = Array("1000".utf8).withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    close(file)
  }

  private static func serve(_ control: EngineChannel, _ program: String) throws(EngineChannel.Failure) {
    guard case .hello = try control.receive().message else { return }
    try control.send(.hello(program: program))
    guard case .load(let request) = try control.receive().message else { return }
    let model: any LoadedModel
    do throws(DeviceError) {
      model = try load(request)
    } catch {
      try control.send(.failed(error))
      return
    }
    try control.send(
      .loaded(
        EngineLoaded(
          signature: model.signature, hasRows: model.hasRowDimension, weightBytes: model.weightBytes,
          omissible: model.omissibleInputs.sorted(),
          step: model.steps(rows: 1).first?.name ?? "engine")))
    while true {
      let (message, descriptors) = try control.receive()
      guard case .attach = message, descriptors.count == 3 else {
        for descriptor in descriptors { close(descriptor) }
        return
      }
      let hosted = HostedInstance(
        model, channel: EngineChannel(taking: descriptors[0]), inputs: SharedRegion(taking: descriptors[1]),
        outputs: SharedRegion(taking: descriptors[2]))
      DetachedThread.start(named: "instance") { hosted.serve() }
    }
  }

  private static func load(_ request: EngineLoad) throws(DeviceError) -> any LoadedModel {
    switch request.engine {
    case .onnxRuntime(let library, let path, let threads, let options):
      let found = try ONNXRuntimeLibrary(.onnxRuntime(explicitPath: library, folders: [], linkerName: nil))
      return try ONNXRuntimeDevice(found, threads: threads).load(
        .onnxFile(path), LoadOptions(maximumBatchRows: 0, onnxRuntime: options))
    case .identity(let signature, let hasRows, let delay, let fault):
      return try IdentityModel(signature: signature, hasRowDimension: hasRows, delay: delay, fault: fault)
    }
  }

  private static func say(_ line: String) {
    _ = Array((line + "\n").utf8).withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
  }
}

/// An instance in the engine's process, with a thread of its own.
///
/// `@unchecked Sendable`: handed to its thread once, and used by it alone.
private final class HostedInstance: @unchecked Sendable {
  private let model: any LoadedModel
  private let channel: EngineChannel
  private let inputs: SharedRegion
  private let outputs: SharedRegion
  private let completion = BatchCompletion()

  init(_ model: any LoadedModel, channel: EngineChannel, inputs: SharedRegion, outputs: SharedRegion) {
    self.model = model
    self.channel = channel
    self.inputs = inputs
    self.outputs = outputs
  }

  /// Until the server closes the instance's socket.
  func serve() {
    do throws(EngineChannel.Failure) {
      let instance: any ModelInstance
      do throws(DeviceError) {
        instance = try model.makeInstance()
      } catch {
        try channel.send(.failed(error))
        return
      }
      try channel.send(.attached)
      while true {
        guard case .run(let request) = try channel.receive().message else { return }
        let answer: EngineMessage
        do throws(DeviceError) { answer = .ran(try run(request, on: instance)) } catch { answer = .failed(error) }
        try channel.send(answer)
      }
    } catch {
      // The server is done with this instance, or gone.
    }
  }

  private func run(_ request: EngineRun, on instance: any ModelInstance) throws(DeviceError) -> EngineRan {
    try inputs.follow(request.regionBytes)
    let declared = model.signature.inputs
    guard request.inputs.count == declared.count else {
      throw DeviceError(.badInput, "\(request.inputs.count) inputs were given; the model has \(declared.count)")
    }
    var omitted: [Int] = []
    for (index, input) in request.inputs.enumerated() {
      guard let input else {
        omitted.append(index)
        continue
      }
      guard input.fits(inputs.count, elementBytes: declared[index].dataType.byteSize) else {
        throw DeviceError(.badInput, "input '\(declared[index].name)' does not fit in the memory it is said to lie in")
      }
    }
    let slot = try instance.prepare(request.inputs.map { $0?.shape ?? [] }, omitting: omitted)
    for (index, input) in request.inputs.enumerated() {
      // Both engines read inputs from memory that is not their own.
      if let input { slot.inputs[index].memory = inputs[input.offset, input.byteCount] }
    }
    let times = try completion.wait { instance.run(slot, events: nil, completion: $0) }.get()
    return try answer(slot, times)
  }

  /// Copies the outputs to where the server reads them: engines keep theirs in memory of their own.
  private func answer(_ slot: BatchSlot, _ times: BatchTimes) throws(DeviceError) -> EngineRan {
    var tensors: [EngineTensor] = []
    var used = 0
    for output in slot.outputs {
      tensors.append(EngineTensor(shape: output.shape, offset: used, byteCount: output.memory.count))
      let (end, overflow) = used.addingReportingOverflow(output.memory.count)
      guard !overflow, end <= Int.max - 64 else { throw DeviceError(.batchFailed, "the outputs are too large") }
      used = (end + 63) & ~63
    }
    try outputs.reserve(used)
    for (output, tensor) in zip(slot.outputs, tensors) where tensor.byteCount > 0 {
      outputs[tensor.offset, tensor.byteCount].copyMemory(from: UnsafeRawBufferPointer(output.memory))
    }
    return EngineRan(
      outputs: tensors, regionBytes: used, inputsReady: times.inputsReady.nanoseconds, computeEnd: times.computeEnd.nanoseconds)
  }
}
