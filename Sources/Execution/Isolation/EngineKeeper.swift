import Glibc
import Threads
import TimeBase

/// Keeps one model's process: a thread of its own starts it, waits for its end, and starts it again as `EngineLifecycle` decides.
///
/// The thread lives as long as its child: Linux kills the child when the thread that started it ends (PR_SET_PDEATHSIG).
///
/// `@unchecked Sendable`: what changes is guarded by the monitor.
final class EngineKeeper: @unchecked Sendable {
  let name: String
  let isolation: EngineIsolation
  private let load: EngineLoad
  private let monitor = Monitor()
  private var lifecycle: EngineLifecycle
  private var control: EngineChannel?
  private var pid: pid_t = 0
  private var loaded: EngineLoaded?
  /// Why the first start failed: the model's own load error.
  private var refusal: DeviceError?
  private var attached: UInt32 = 0
  private var goodBatches = 0
  private var proof: (batches: Int, call: @Sendable () -> Void)?

  init(name: String, load: EngineLoad, isolation: EngineIsolation) {
    self.name = name
    self.load = load
    self.isolation = isolation
    lifecycle = EngineLifecycle(isolation.limits)
  }

  // MARK: - For the model

  /// Starts the process and waits until the model is loaded in it. Called once.
  func start() throws(DeviceError) -> EngineLoaded {
    guard DetachedThread.start(named: "engine \(name)", { self.keep() }) else {
      throw DeviceError(.unsupported, "\(name): the system has no thread left for an engine's process")
    }
    monitor.lock()
    defer { monitor.unlock() }
    while true {
      if let refusal { throw refusal }
      if let loaded { return loaded }
      monitor.wait()
    }
  }

  /// No batch comes any more. The process holds nothing that would have to be saved.
  func close() {
    monitor.lock()
    lifecycle.handle(.closed, at: MonotonicClock.now)
    if pid > 0 { kill(pid, SIGKILL) }
    monitor.unlock()
    monitor.broadcast()
  }

  /// Calls once, when so many batches in a row were good, counted from now on.
  func whenProven(batches: Int, _ call: @escaping @Sendable () -> Void) {
    monitor.withLock {
      goodBatches = 0
      proof = (batches, call)
    }
  }

  // MARK: - For the instances

  /// A connection of an instance's own, to the process that runs now or soon; and which process it is.
  func attach(inputs: Int32, outputs: Int32) throws(DeviceError) -> (channel: EngineChannel, generation: Int) {
    // A process may end between the look at it and the word to it: no batch is lost by that, and the next one is asked.
    for _ in 0..<3 {
      do throws(Gone) { return try attachOnce(inputs, outputs) } catch {
        switch error {
        case .ended(let generation): _ = end(of: generation)
        case .refused(let error): throw error
        }
      }
    }
    throw DeviceError(.batchFailed, "model '\(name)': the process that runs its engine ended again and again before a batch began")
  }

  /// Why there is no connection.
  private enum Gone: Error {
    case ended(generation: Int)
    case refused(DeviceError)
  }

  private func attachOnce(_ inputs: Int32, _ outputs: Int32) throws(Gone) -> (channel: EngineChannel, generation: Int) {
    let (channel, generation) = try handOff(inputs, outputs)
    channel.limit(isolation.timeLimit)
    do throws(EngineChannel.Failure) {
      switch try channel.receive().message {
      case .attached: return (channel, generation)
      case .failed(let error): throw .system(error.description)
      case let other: throw .system("it answered \(other.kind) to an instance")
      }
    } catch {
      if case .closed = error { throw .ended(generation: generation) }
      throw .refused(failure(error, generation, "before a batch began"))
    }
  }

  /// Waits for a process, and gives it one end of a new socket and the memory.
  private func handOff(_ inputs: Int32, _ outputs: Int32) throws(Gone) -> (channel: EngineChannel, generation: Int) {
    func refused(_ kind: DeviceError.Kind, _ reason: String) -> Gone { .refused(DeviceError(kind, "model '\(name)': \(reason)")) }
    monitor.lock()
    defer { monitor.unlock() }
    let deadline = MonotonicClock.now + isolation.timeLimit
    waiting: while true {
      let now = MonotonicClock.now
      // A second of a batch's time is little beside an error.
      switch lifecycle.admission(at: now, maximumWait: .milliseconds(1000)) {
      case .go: break waiting
      case .refuse(let reason): throw refused(.unavailable, "its engine runs in a process of its own, and \(reason)")
      case .wait(let until):
        if now >= deadline { throw refused(.instanceLost, "the process that runs its engine is not ready in time") }
        monitor.wait(until: min(until, deadline))
      }
    }
    let generation = lifecycle.generation
    guard let control else { throw .ended(generation: generation) }
    attached &+= 1
    let ours: EngineChannel
    let theirs: EngineChannel
    do throws(DeviceError) { (ours, theirs) = try EngineChannel.pair() } catch { throw .refused(error) }
    do throws(EngineChannel.Failure) {
      try control.send(.attach(attached), [theirs.descriptor, inputs, outputs])
    } catch {
      if case .closed = error { throw .ended(generation: generation) }
      throw refused(.batchFailed, "the process that runs its engine takes no instance: \(error)")
    }
    return (ours, generation)
  }

  /// Why no batch can run for now: the process is given up; nil otherwise.
  var outage: String? {
    monitor.withLock { lifecycle.outage(at: MonotonicClock.now) }.map { "the process that runs its engine is given up: \($0)" }
  }

  func batchBegan() { monitor.withLock { lifecycle.handle(.batchBegan, at: MonotonicClock.now) } }

  func batchEnded(isGood: Bool) {
    monitor.lock()
    lifecycle.handle(.batchEnded(isGood: isGood), at: MonotonicClock.now)
    var call: (@Sendable () -> Void)?
    if isGood {
      goodBatches += 1
      if let proof, goodBatches >= proof.batches {
        call = proof.call
        self.proof = nil
      }
    }
    monitor.unlock()
    call?()
  }

  /// What a batch gets that the process did not answer.
  func failure(_ failure: EngineChannel.Failure, _ generation: Int, _ when: String) -> DeviceError {
    switch failure {
    case .closed:
      let ended = end(of: generation)?.explanation ?? "for an unknown reason"
      let next = monitor.withLock { lifecycle.outage(at: MonotonicClock.now) } ?? "it is started again"
      return DeviceError(
        .batchFailed,
        "model '\(name)': the process that runs its engine ended (\(ended)) \(when); \(next), and nothing else is affected"
      )
    case .timedOut:
      stop(generation)
      return DeviceError(
        .instanceLost,
        "model '\(name)': the process that runs its engine did not answer within \(isolation.timeLimit.seconds) s and was ended; it is "
          + "started again")
    case .message, .system:
      // What it says makes no sense any more.
      stop(generation)
      return DeviceError(.batchFailed, "model '\(name)': the process that runs its engine was ended: \(failure)")
    }
  }

  private func stop(_ generation: Int) {
    monitor.withLock { if lifecycle.generation == generation, pid > 0 { _ = kill(pid, SIGKILL) } }
  }

  /// How that process ended; waits a little, since its socket closes before its end is known.
  private func end(of generation: Int) -> EngineEnd? {
    monitor.lock()
    defer { monitor.unlock() }
    let deadline = MonotonicClock.now + .milliseconds(5000)
    while lifecycle.generation == generation, pid > 0, MonotonicClock.now < deadline { monitor.wait(until: deadline) }
    return lifecycle.lastEnd
  }

  // MARK: - The thread

  private func keep() {
    while true {
      monitor.lock()
      let step = lifecycle.step(at: MonotonicClock.now)
      let generation = lifecycle.generation
      if case .wait(let until) = step { monitor.wait(until: until) }
      monitor.unlock()
      switch step {
      case .end: return
      case .wait, .watch: break
      case .start: runProcess(generation)
      }
    }
  }

  /// From a process's start to its end.
  private func runProcess(_ generation: Int) {
    var problem: DeviceError?
    var child: pid_t = 0
    do throws(DeviceError) {
      let process = try EngineProcess.start(isolation, model: name)
      child = process.pid
      monitor.lock()
      pid = child
      // Closed meanwhile: `close` found no number to end.
      if lifecycle.state == .closed { kill(child, SIGKILL) }
      monitor.unlock()
      let answer = try greet(process.control)
      monitor.lock()
      loaded = answer
      control = process.control
      lifecycle.handle(.started, at: MonotonicClock.now)
      monitor.unlock()
      monitor.broadcast()
      if generation > 1 { isolation.log(.info, "model '\(name)': the process that runs its engine is started again (process \(child))") }
    } catch {
      problem = error
      if child > 0 { kill(child, SIGKILL) }
    }
    if child > 0 { EngineProcess.awaitEnd(child) }
    monitor.lock()
    var end = child > 0 ? EngineProcess.reap(child) : nil
    pid = 0
    control = nil
    goodBatches = 0
    let isClosed = lifecycle.state == .closed
    if let problem {
      // Its own end says more than that it does not answer.
      var text = problem.description
      if problem.kind == .instanceLost, let end, end.isItsOwn { text = "the process that loads the model ended: \(end)" }
      end = .whileLoading(text)
      if loaded == nil, refusal == nil { refusal = DeviceError(.unsupported, text) }
      if loaded == nil { lifecycle.handle(.closed, at: MonotonicClock.now) }
    }
    let found = end ?? .unknown
    lifecycle.handle(.died(found), at: MonotonicClock.now)
    let (state, deaths, now) = (lifecycle.state, lifecycle.deaths, MonotonicClock.now)
    monitor.unlock()
    monitor.broadcast()
    if isClosed || state == .closed { return }
    if case .givenUp(let until) = state {
      isolation.log(
        .error,
        "model '\(name)': the process that runs its engine ended (\(found.explanation)), \(deaths) times in a row: "
          + EngineLifecycle.pause(until: until, from: now))
    } else {
      isolation.log(
        .error, "model '\(name)': the process that runs its engine ended (\(found.explanation)); it is started again")
    }
  }

  private func greet(_ control: EngineChannel) throws(DeviceError) -> EngineLoaded {
    control.limit(isolation.loadLimit)
    do throws(EngineChannel.Failure) {
      try control.send(.hello(program: isolation.program))
      guard case .hello = try control.receive().message else { throw .system("it does not greet") }
      try control.send(.load(load))
      switch try control.receive().message {
      case .loaded(let loaded): return loaded
      case .failed(let error): throw .system(error.description)
      case let other: throw .system("it answered \(other.kind) to a model")
      }
    } catch {
      switch error {
      case .closed: throw DeviceError(.instanceLost, "\(error)")
      case .timedOut: throw DeviceError(.unsupported, "the model did not load within \(isolation.loadLimit.seconds) s")
      case .message, .system: throw DeviceError(.unsupported, "\(error)")
      }
    }
  }
}
