import CheckedNumbers
import Glibc
import LoadModel
import Synchronization
import Threads
import TimeBase

/// One thread's event loop: carries out what its `ConnectionPool` decides, with sockets and the real clock. Everything lies in plain arrays that
/// only grow; between requests nothing is allocated.
struct LoadWorker {
  private let endpoint: Endpoint
  private let mailbox: WorkerMailbox
  private let thread: Int
  private let isGRPC: Bool
  private var pool: ConnectionPool
  /// By connection; -1 for none.
  private var descriptors: [Int32] = []
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)
  private var lastCPU: Int64 = 0

  init(
    _ configuration: LoadConfiguration, plan: RequestPlan, endpoint: Endpoint, thread: Int, start: Int64, windowStart: Int64,
    mailbox: WorkerMailbox
  ) {
    self.endpoint = endpoint
    self.mailbox = mailbox
    self.thread = thread
    isGRPC = plan.isGRPC
    pool = ConnectionPool(configuration, plan: plan, thread: thread, start: start, windowStart: windowStart, now: Self.now)
  }

  private static var now: Int64 { MonotonicClock.now.nanoseconds }

  /// Until the run's end; then everything is closed.
  mutating func run() {
    defer { close() }
    guard var poll = SocketPoll() else {
      mailbox.state.withLock { $0.failure = .system("cannot make an event loop") }
      return
    }
    defer { poll.close() }
    pool.prepare()
    lastCPU = Self.threadCPU()
    act(poll)
    while true {
      let now = Self.now
      let end = mailbox.endNanoseconds.load(ordering: .relaxed)
      pool.advance(to: now, end: end)
      for report in pool.takeReports() { publish(report, countsCPU: true) }
      act(poll)
      if pool.isDone || end == 0 { break }
      poll.arm(pool.nextWakeUp(after: now, end: end))
      let watch = poll
      if !poll.wait({ handle($0, $1, watch) }) {
        mailbox.state.withLock { $0.failure = .system("waiting for sockets failed") }
        break
      }
    }
    publish(pool.finish(at: Self.now), countsCPU: !pool.isDraining)
    let (opened, unsent, reachedLimit) = (pool.opened, pool.unsentAtEnd, pool.reachedLimit)
    mailbox.state.withLock { state in
      state.connectionsOpened += opened
      state.unsentAtEnd += unsent
      if reachedLimit { state.reachedConnectionLimit = true }
    }
  }

  private func close() {
    for descriptor in descriptors where descriptor >= 0 { Glibc.close(descriptor) }
    buffer.deallocate()
  }

  private mutating func publish(_ finished: WorkerReport, countsCPU: Bool) {
    var report = finished
    let cpu = Self.threadCPU()
    report.cpuNanoseconds = countsCPU ? cpu - lastCPU : 0
    lastCPU = cpu
    let (thread, samples) = (thread, pool.samples.take())
    let published = report
    mailbox.state.withLock { state in
      state.reports.append((thread, published))
      for sample in samples where state.errorSamples[sample.kind] == nil { state.errorSamples[sample.kind] = sample.text }
    }
  }

  private static func threadCPU() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  // MARK: - Actions

  private mutating func act(_ poll: SocketPoll) {
    while let action = pool.nextAction() {
      switch action {
      case .open(let index): open(index, poll)
      case .send(let index):
        pool.begin(index, at: Self.now)
        write(index)
      case .close(let index):
        if descriptors.indices.contains(index), descriptors[index] >= 0 { Glibc.close(descriptors[index]) }
        if descriptors.indices.contains(index) { descriptors[index] = -1 }
      }
    }
  }

  private mutating func open(_ index: Int, _ poll: SocketPoll) {
    while descriptors.count <= index { descriptors.append(-1) }
    descriptors[index] = endpoint.socket(isBlocking: false)
    if descriptors[index] < 0 || !poll.add(descriptors[index], index) { pool.settle(index, .unreachable, at: Self.now) }
  }

  /// Gives the socket what its connection has for it, as far as it takes it.
  private mutating func write(_ index: Int) {
    let descriptor = descriptors[index]
    while let taken = pool.write(index, { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(clamping: MSG_NOSIGNAL)) }) {
      if taken >= 0 || errno == EINTR { continue }
      if errno != EAGAIN { pool.settle(index, pool.connections[index].broken, at: Self.now) }
      return
    }
  }

  // MARK: - Events

  private mutating func handle(_ index: Int, _ readiness: SocketPoll.Readiness, _ poll: SocketPoll) {
    guard descriptors.indices.contains(index), descriptors[index] >= 0 else { return }
    if pool.connections[index].state == .connecting {
      if !connect(index, readiness) { return act(poll) }
    } else if readiness.canWrite {
      write(index)
    }
    act(poll)
    if readiness.canRead || readiness.hangsUp, descriptors[index] >= 0 { receive(index, readiness.hangsUp, poll) }
  }

  /// A socket that was connecting; false where nothing can be read from it yet.
  private mutating func connect(_ index: Int, _ readiness: SocketPoll.Readiness) -> Bool {
    var code: Int32 = 0
    var length = socklen_t(clamping: MemoryLayout<Int32>.size)
    getsockopt(descriptors[index], SOL_SOCKET, SO_ERROR, &code, &length)
    if code != 0 || readiness.hasFailed {
      pool.samples.note(.connect, String(cString: strerror(code)))
      pool.settle(index, .unreachable, at: Self.now)
      return false
    }
    if !readiness.canWrite { return false }
    var layers: ConnectionLayers?
    if isGRPC || endpoint.tls != nil {
      do { layers = try ConnectionLayers(endpoint, isGRPC: isGRPC) } catch {
        pool.samples.note(.connect, "TLS: \(TLSSession.words(error))")
        pool.settle(index, .unreachable, at: Self.now)
        return false
      }
    }
    pool.connected(index, layers, at: Self.now)
    // A handshake begins with us.
    write(index)
    return true
  }

  private mutating func receive(_ index: Int, _ hangsUp: Bool, _ poll: SocketPoll) {
    while descriptors[index] >= 0 {
      let descriptor = descriptors[index]
      let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      let outcome: LoadConnection.Outcome
      if count > 0 {
        outcome = pool.receive(index, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[0..<count]))
      } else if count == 0 {
        outcome = pool.peerClosed(index)
      } else if errno == EINTR {
        continue
      } else if errno == EAGAIN {
        return
      } else {
        outcome = pool.connections[index].broken
      }
      if outcome != .goesOn { pool.settle(index, outcome, at: Self.now) }
      act(poll)
      // Another connection's by now, of the same number even.
      guard descriptors[index] == descriptor, pool.connections[index].state != .connecting else { return }
      // What TLS and HTTP/2 answer by themselves.
      if pool.connections[index].layers != nil { write(index) }
      act(poll)
      // Edge-triggered: a short read means that the socket is empty, unless the peer has closed it behind that.
      if count <= 0 || count < buffer.count && !hangsUp { return }
    }
  }
}

extension ConnectionLayers {
  /// What requests to that endpoint need.
  fileprivate convenience init(_ endpoint: Endpoint, isGRPC: Bool) throws {
    self.init(tls: try endpoint.tls.map { try TLSSession($0, host: endpoint.host, port: endpoint.port) }, isGRPC: isGRPC)
  }
}
