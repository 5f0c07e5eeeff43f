import CheckedNumbers
import CLinux
import Glibc
import KServe
import LoadModel
import Synchronization
import Threads
import TimeBase
import Workload

/// A connection of the generator: a user of a closed loop, or one of an open loop's pool.
struct LoadConnection {
  enum State { case closed, connecting, securing, idle, sending, awaitingHead, readingBody, readingChunks, readingToEnd }

  var descriptor: Int32 = -1
  var state = State.closed
  /// Whether a request waits for the connection to be made.
  var hasRequest = false
  /// Index into the plan.
  var request = 0
  var bytesSent = 0
  var due: Int64 = 0
  var sentAt: Int64 = 0
  var head = AnswerHead()
  var bodyLeft = 0
  var chunks = ChunkedBody()
  /// A head in pieces, then a body in pieces where it will be looked at.
  var stash: [UInt8] = []
  /// What TLS and gRPC have of their own; a plain connection costs none of it.
  var layers: ConnectionLayers?
}

/// What lies between a request's bytes and the socket.
final class ConnectionLayers {
  var tls: TLSSession?
  var http2: HTTP2Session?
  /// For the socket.
  var output: [UInt8] = []
  var sent = 0

  init(isGRPC: Bool) { if isGRPC { http2 = HTTP2Session() } }

  /// Everything the layers have to say, ready for the socket.
  func collect() {
    if let frames = http2?.output, !frames.isEmpty, tls?.isEstablished != false {
      http2?.output.removeAll(keepingCapacity: true)
      if let tls { frames.withUnsafeBytes { tls.send($0) } } else { output += frames }
    }
    tls?.takeOutput(into: &output)
  }
}

/// One thread's event loop. Everything lies in plain arrays that only grow; between requests nothing is allocated.
struct LoadWorker {
  private let configuration: LoadConfiguration
  private let plan: RequestPlan
  private let endpoint: Endpoint
  private let mailbox: WorkerMailbox
  private let thread: Int
  private let start: Int64
  private let windowStart: Int64
  private let timeout: Int64
  private let think: ThinkTime
  private let isClosed: Bool
  private let hasExpectations: Bool
  private let hasGroups: Bool
  private let isGRPC: Bool
  /// Requests go to the socket as they lie ready.
  private let isPlain: Bool
  private var seenKinds: Set<LoadErrorKind> = []

  private let poll: Int32
  private let timer: Int32
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)
  private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: LoadWorker.eventCapacity)
  private static let eventCapacity = 512
  /// What stands for the timer among the connections' numbers.
  private static let timerToken = UInt64.max
  private static let tick: Int64 = 1_000_000_000
  /// How far apart the looks at the loop's own lag are. A hundred wake-ups a second cost a thousandth of a core.
  private static let probeSpacing: Int64 = 10_000_000

  private var connections: [LoadConnection] = []
  private var random: SplitMix64
  private var report: WorkerReport
  private var isDraining = false
  private var end: Int64
  private var inFlight = 0
  private var armed: Int64 = .max
  private var nextTimeoutScan: Int64
  private var nextProbe: Int64
  private var lastCPU: Int64 = 0

  // A closed loop: users that think or are not there yet, earliest first.
  private var timers = TimerHeap()

  // An open loop.
  private var schedule: ArrivalSchedule
  private var nextArrival: Int64 = .max
  private var idle: [Int32] = []
  private var free: [Int32] = []
  private var connecting = 0
  private var backlog = InstantQueue()
  private let connectionLimit: Int
  private var opened = 0
  private var reachedLimit = false

  init(
    _ configuration: LoadConfiguration, plan: RequestPlan, endpoint: Endpoint, thread: Int, start: Int64, windowStart: Int64,
    mailbox: WorkerMailbox
  ) {
    self.configuration = configuration
    self.plan = plan
    self.endpoint = endpoint
    self.mailbox = mailbox
    self.thread = thread
    self.start = start
    self.windowStart = windowStart
    timeout = configuration.timeout.nanoseconds
    end = mailbox.endNanoseconds.load(ordering: .relaxed)
    hasExpectations = plan.expectations.contains { $0 != nil }
    hasGroups = plan.groups.count > 1
    isGRPC = plan.isGRPC
    isPlain = !plan.isGRPC && endpoint.tls == nil
    let threads = max(1, configuration.threads)
    let share = configuration.share.split(thread, of: threads)
    let seed = SplitMix64(seed: configuration.seed)
    random = seed.split(UInt64(clamping: 1000 + share.index))
    report = WorkerReport(groups: plan.groups)
    schedule = ArrivalSchedule(configuration.load, seed: seed.split(1), share: share)
    connectionLimit = max(1, configuration.maxConnections / threads)
    nextTimeoutScan = start + 250_000_000
    nextProbe = max(start, MonotonicClock.now.nanoseconds)
    poll = epoll_create1(Int32(clamping: EPOLL_CLOEXEC))
    timer = timerfd_create(CLOCK_MONOTONIC, Int32(clamping: TFD_NONBLOCK) | Int32(clamping: TFD_CLOEXEC))
    if case .closed(let users, let spawnRate, let think) = configuration.load {
      (isClosed, self.think) = (true, think)
      for user in 0..<users where share.includes(user) {
        let delay = spawnRate > 0 ? TimeSpan(clampingSeconds: Double(user) / spawnRate).nanoseconds : 0
        timers.push(start &+ delay, Int32(clamping: connections.count))
        connections.append(LoadConnection())
      }
    } else {
      (isClosed, think) = (false, .constant(.zero))
    }
    report.index = -Int((windowStart - start + Self.tick - 1) / Self.tick)
    report.startNanoseconds = start
  }

  // MARK: The loop

  mutating func run() {
    var event = epoll_event()
    event.events = EPOLLIN.rawValue | EPOLLET.rawValue
    event.data.u64 = Self.timerToken
    guard poll >= 0, timer >= 0, epoll_ctl(poll, EPOLL_CTL_ADD, timer, &event) == 0 else {
      mailbox.state.withLock { $0.failure = .system("cannot make an event loop") }
      return
    }
    if !isClosed { prepareOpenLoop() }
    lastCPU = Self.threadCPU()
    while true {
      let now = MonotonicClock.now.nanoseconds
      end = mailbox.endNanoseconds.load(ordering: .relaxed)
      turnInterval(now)
      probe(now)
      if now >= end, !isDraining { beginDrain() }
      if isDraining && inFlight == 0 && backlog.isEmpty || end == 0 { break }
      fireDue(now)
      if now >= nextTimeoutScan { scanTimeouts(now) }
      arm(now)
      let count = epoll_wait(poll, events, Int32(clamping: Self.eventCapacity), -1)
      if count < 0 && errno != EINTR {
        mailbox.state.withLock { $0.failure = .system("waiting for sockets failed") }
        break
      }
      for index in 0..<max(0, Int(count)) {
        let token = events[index].data.u64
        if token == Self.timerToken { armed = .max } else { handle(Int(clamping: token), events[index].events) }
      }
    }
    report.endNanoseconds = MonotonicClock.now.nanoseconds
    publish(isLast: true)
  }

  func close() {
    for connection in connections where connection.descriptor >= 0 { Glibc.close(connection.descriptor) }
    if poll >= 0 { Glibc.close(poll) }
    if timer >= 0 { Glibc.close(timer) }
    buffer.deallocate()
    events.deallocate()
  }

  /// Connections before the first arrival: making one is not what is measured.
  private mutating func prepareOpenLoop() {
    nextArrival = schedule.next().map { start &+ $0.nanoseconds } ?? .max
    let peak: Double =
      switch configuration.load {
      case .open(let profile, _): profile.peakPerSecond
      default: 100
      }
    let wanted = configuration.initialConnections ?? Int(saturating: min(256, max(8, peak / 100 / Double(max(1, configuration.threads)))))
    for _ in 0..<min(connectionLimit, wanted) { _ = openConnection() }
  }

  private mutating func beginDrain() {
    isDraining = true
    report.endNanoseconds = end
    publish(isLast: false)
    report = WorkerReport(groups: plan.groups)
    report.index = Int.max
    report.startNanoseconds = max(end, 1)
    nextArrival = .max
    // What was due and never sent is not waited for: it would only be sent after the run.
    let unsent = backlog.count
    backlog.removeAll()
    mailbox.state.withLock { $0.unsentAtEnd += unsent }
  }

  private mutating func turnInterval(_ now: Int64) {
    if isDraining { return }
    while true {
      let boundary = windowStart &+ Int64(report.index + 1) &* Self.tick
      if now < boundary || boundary >= end { return }
      report.endNanoseconds = boundary
      publish(isLast: false)
      let index = report.index + 1
      report = WorkerReport(groups: plan.groups)
      report.index = index
      report.startNanoseconds = boundary
    }
  }

  /// How late the loop is at each of its probes' instants.
  private mutating func probe(_ now: Int64) {
    if isDraining { return }
    while nextProbe <= now {
      report.schedulingLag.record(now - nextProbe)
      nextProbe += Self.probeSpacing
    }
  }

  private mutating func publish(isLast: Bool) {
    let cpu = Self.threadCPU()
    report.cpuNanoseconds = isDraining && isLast ? 0 : cpu - lastCPU
    lastCPU = cpu
    report.users = connections.count { $0.state != .closed }
    let (report, thread, opened, reachedLimit) = (report, thread, opened, reachedLimit)
    mailbox.state.withLock { state in
      state.reports.append((thread, report))
      if isLast { state.connectionsOpened += opened }
      if reachedLimit { state.reachedConnectionLimit = true }
    }
  }

  private static func threadCPU() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  /// Wakes the loop at the next thing to do; a system call only when that changed.
  private mutating func arm(_ now: Int64) {
    var next = min(nextArrival, timers.first ?? .max, min(nextTimeoutScan, nextProbe))
    if !isDraining { next = min(next, min(end, windowStart &+ Int64(report.index + 1) &* Self.tick)) }
    if isDraining { next = nextTimeoutScan }
    next = max(next, now + 1)
    if next == armed { return }
    armed = next
    var time = itimerspec()
    time.it_value = timespec(tv_sec: Int(next / 1_000_000_000), tv_nsec: Int(next % 1_000_000_000))
    timerfd_settime(timer, Int32(clamping: TFD_TIMER_ABSTIME), &time, nil)
  }

  // MARK: What is due

  private mutating func fireDue(_ now: Int64) {
    if isDraining { return }
    if isClosed {
      while let due = timers.first, due <= now {
        let user = Int(timers.pop())
        beginRequest(user, due: due)
      }
      return
    }
    while nextArrival <= now {
      let due = nextArrival
      nextArrival = schedule.next().map { start &+ $0.nanoseconds } ?? .max
      if backlog.isEmpty, let index = takeIdle() {
        beginRequest(index, due: due)
      } else {
        backlog.append(due)
        if connecting < backlog.count, !openConnection(), connecting == 0 { reachedLimit = true }
      }
    }
  }

  private mutating func takeIdle() -> Int? {
    while let index = idle.popLast() {
      // The server may have closed it meanwhile.
      if connections[Int(index)].state == .idle { return Int(index) }
    }
    return nil
  }

  /// False where no more may be opened.
  private mutating func openConnection() -> Bool {
    let index: Int
    if let slot = free.popLast() {
      index = Int(slot)
    } else {
      guard connections.count < connectionLimit else { return false }
      index = connections.count
      connections.append(LoadConnection())
    }
    connect(index)
    return true
  }

  private mutating func connect(_ index: Int) {
    opened += 1
    let descriptor = endpoint.socket(isBlocking: false)
    connections[index].descriptor = descriptor
    connections[index].state = .connecting
    connecting += 1
    var event = epoll_event()
    event.events = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
    event.data.u64 = UInt64(clamping: index)
    if descriptor < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event) != 0 { failConnect(index) }
  }

  private mutating func failConnect(_ index: Int) {
    let now = MonotonicClock.now.nanoseconds
    shut(index)
    if isClosed {
      if connections[index].hasRequest { inFlight -= 1 }
      connections[index].hasRequest = false
      fault(.connect, due: connections[index].due)
      // Not at once: a server that refuses would be asked as fast as we can.
      timers.push(now + 100_000_000, Int32(clamping: index))
    } else {
      free.append(Int32(clamping: index))
      // Somebody waits for it: the oldest pays.
      if let due = backlog.popFirst() { fault(.connect, due: due) }
    }
  }

  private mutating func beginRequest(_ index: Int, due: Int64) {
    connections[index].due = due
    connections[index].hasRequest = true
    inFlight += 1
    if connections[index].state == .idle { send(index) } else if connections[index].state == .closed { connect(index) }
  }

  // MARK: Sending

  private mutating func send(_ index: Int) {
    let request = plan.draw(&random)
    let now = MonotonicClock.now.nanoseconds
    connections[index].request = request
    connections[index].bytesSent = 0
    connections[index].sentAt = now
    connections[index].hasRequest = false
    connections[index].state = .sending
    let due = connections[index].due
    if counts(due) {
      let lag = max(0, now - due)
      report.sendLag.record(lag)
      if lag > configuration.lateAfter.nanoseconds { report.lateCount += 1 }
    }
    if isPlain { continueSending(index) } else { sendThroughLayers(index) }
  }

  private mutating func sendThroughLayers(_ index: Int) {
    guard let layers = connections[index].layers else { return breakOff(index, .connection) }
    let prepared = plan.requests[connections[index].request]
    connections[index].state = .awaitingHead
    plan.arena.withUnsafeBytes { raw in
      let bytes = UnsafeRawBufferPointer(rebasing: raw[prepared.start..<(prepared.start + prepared.count)])
      if isGRPC {
        layers.http2?.begin(
          headers: UnsafeRawBufferPointer(rebasing: bytes[..<prepared.headerCount]),
          data: UnsafeRawBufferPointer(rebasing: bytes[prepared.headerCount...]))
      } else {
        layers.tls?.send(bytes)
      }
    }
    flush(index, layers)
  }

  /// Gives the socket what the layers have for it, as far as it takes it.
  private mutating func flush(_ index: Int, _ layers: ConnectionLayers) {
    layers.collect()
    let descriptor = connections[index].descriptor
    while layers.sent < layers.output.count {
      let count = layers.output.withUnsafeBytes { raw in
        Glibc.send(descriptor, raw.baseAddress?.advanced(by: layers.sent), raw.count - layers.sent, Int32(clamping: MSG_NOSIGNAL))
      }
      if count < 0 {
        if errno == EINTR { continue }
        if errno == EAGAIN { return }
        switch connections[index].state {
        case .securing: failConnect(index)
        case .idle: drop(index)
        default: breakOff(index, .connection)
        }
        return
      }
      layers.sent += count
    }
    layers.output.removeAll(keepingCapacity: true)
    layers.sent = 0
  }

  private mutating func continueSending(_ index: Int) {
    let prepared = plan.requests[connections[index].request]
    let descriptor = connections[index].descriptor
    var sent = connections[index].bytesSent
    let code = plan.arena.withUnsafeBytes { raw -> Int32 in
      while sent < prepared.count {
        let rest = UnsafeRawBufferPointer(rebasing: raw[(prepared.start + sent)..<(prepared.start + prepared.count)])
        let count = Glibc.send(descriptor, rest.baseAddress, rest.count, Int32(clamping: MSG_NOSIGNAL))
        if count < 0 {
          if errno == EINTR { continue }
          return errno
        }
        sent += count
      }
      return 0
    }
    connections[index].bytesSent = sent
    if code == 0 {
      connections[index].state = .awaitingHead
    } else if code != EAGAIN {
      breakOff(index, .connection)
    }
  }

  // MARK: Receiving

  private mutating func handle(_ index: Int, _ flags: UInt32) {
    guard connections.indices.contains(index), connections[index].descriptor >= 0 else { return }
    if connections[index].state == .connecting {
      var code: Int32 = 0
      var length = socklen_t(clamping: MemoryLayout<Int32>.size)
      getsockopt(connections[index].descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
      if code != 0 || flags & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 {
        if seenKinds.insert(.connect).inserted { keepSample(.connect, String(cString: strerror(code))) }
        return failConnect(index)
      }
      if flags & EPOLLOUT.rawValue == 0 { return }
      if isPlain { isReady(index) } else { beginLayers(index) }
      return
    }
    if let layers = connections[index].layers, flags & EPOLLOUT.rawValue != 0 {
      flush(index, layers)
      if connections[index].descriptor < 0 { return }
    }
    if connections[index].state == .sending, flags & EPOLLOUT.rawValue != 0 { continueSending(index) }
    let hangsUp = flags & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0
    if flags & EPOLLIN.rawValue != 0 || hangsUp { receive(index, hangsUp: hangsUp) }
  }

  /// A connection that can carry requests.
  private mutating func isReady(_ index: Int) {
    connecting -= 1
    connections[index].state = .idle
    becameIdle(index)
  }

  private mutating func beginLayers(_ index: Int) {
    let layers = ConnectionLayers(isGRPC: isGRPC)
    connections[index].layers = layers
    guard let settings = endpoint.tls else { return isReady(index) }
    guard let tls = try? TLSSession(settings, host: endpoint.host, port: endpoint.port) else { return failConnect(index) }
    layers.tls = tls
    connections[index].state = .securing
    flush(index, layers)
  }

  /// Bytes off the socket on their way through TLS and HTTP/2.
  private mutating func receiveThroughLayers(_ index: Int, _ layers: ConnectionLayers, _ bytes: UnsafeRawBufferPointer) {
    guard let tls = layers.tls else { return receivePlaintext(index, layers, bytes) }
    var plaintext: [UInt8] = []
    let isFine = tls.receive(bytes) { plaintext += $0 }
    if !isFine {
      if connections[index].state == .securing {
        if seenKinds.insert(.connect).inserted { keepSample(.connect, "TLS: \(tls.failure ?? "")") }
        failConnect(index)
      } else if connections[index].state == .idle {
        drop(index)
      } else {
        breakOff(index, .connection)
      }
      return
    }
    if connections[index].state == .securing {
      flush(index, layers)
      if tls.isEstablished, connections[index].layers === layers { isReady(index) }
    }
    if connections[index].layers === layers { plaintext.withUnsafeBytes { receivePlaintext(index, layers, $0) } }
    if connections[index].layers === layers { flush(index, layers) }
  }

  private mutating func receivePlaintext(_ index: Int, _ layers: ConnectionLayers, _ bytes: UnsafeRawBufferPointer) {
    if bytes.isEmpty { return }
    guard isGRPC else { return consume(index, bytes) }
    let prepared = plan.requests[connections[index].request]
    let outcome = plan.arena.withUnsafeBytes { raw in
      let data = UnsafeRawBufferPointer(rebasing: raw[(prepared.start + prepared.headerCount)..<(prepared.start + prepared.count)])
      return layers.http2?.receive(bytes, data: data) ?? .broken
    }
    let isWaiting = connections[index].state == .awaitingHead
    switch outcome {
    case .answered where isWaiting: finishCall(index, layers)
    case .reset where isWaiting: breakOff(index, .connection)
    case .broken: if isWaiting { breakOff(index, .protocolBroken) } else { drop(index) }
    default:
      // The peer is going away, and nobody waits for it.
      if !isWaiting, layers.http2?.takesCalls == false { drop(index) }
    }
    if connections[index].layers === layers { flush(index, layers) }
  }

  /// A gRPC call's answer.
  private mutating func finishCall(_ index: Int, _ layers: ConnectionLayers) {
    guard let session = layers.http2 else { return }
    var kind: LoadErrorKind?
    if !(200..<300).contains(session.httpStatus) {
      kind =
        (400..<500).contains(session.httpStatus) ? .clientStatus : (500..<600).contains(session.httpStatus) ? .serverStatus : .otherStatus
    } else if session.status != 0 {
      kind = .grpcStatus
    } else if let expectation = plan.expectations[connections[index].request] {
      switch session.message.withUnsafeBytes({ expectation.fault(inCall: $0) }) {
      case .shape: kind = .shape
      case .values: kind = .values
      case nil: break
      }
    }
    if let kind, seenKinds.insert(kind).inserted { keepSample(kind, "\(session.status) \(session.statusMessage)") }
    conclude(index, kind, keepsAlive: session.takesCalls)
  }

  private mutating func receive(_ index: Int, hangsUp: Bool) {
    while connections[index].descriptor >= 0 {
      let descriptor = connections[index].descriptor
      let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count < 0 {
        if errno == EINTR { continue }
        if errno != EAGAIN { breakOff(index, .connection) }
        return
      }
      if count == 0 { return peerClosed(index) }
      report.bytesReceived += Int64(count)
      let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[0..<count])
      if let layers = connections[index].layers { receiveThroughLayers(index, layers, bytes) } else { consume(index, bytes) }
      // Edge-triggered: a short read means that the socket is empty, unless the peer has closed it behind that. The descriptor may be another's by now.
      if count < buffer.count && !hangsUp || connections[index].descriptor != descriptor { return }
    }
  }

  private mutating func peerClosed(_ index: Int) {
    switch connections[index].state {
    case .idle, .closed: drop(index)
    case .securing: failConnect(index)
    case .readingToEnd: finish(index, UnsafeRawBufferPointer(start: nil, count: 0), isStashed: true)
    default: breakOff(index, .connection)
    }
  }

  /// Bytes of an answer, whatever piece of it.
  private mutating func consume(_ index: Int, _ bytes: UnsafeRawBufferPointer) {
    switch connections[index].state {
    case .awaitingHead, .sending:
      if connections[index].stash.isEmpty {
        readHead(index, bytes)
      } else {
        connections[index].stash.append(contentsOf: bytes)
        // Out of the connection while it is read: the body's pieces go back in.
        let whole = connections[index].stash
        connections[index].stash = []
        whole.withUnsafeBytes { readHead(index, $0) }
      }
    case .readingBody, .readingChunks, .readingToEnd: readBody(index, bytes)
    case .closed, .connecting, .securing: break
    // Bytes nobody asked for.
    case .idle: drop(index)
    }
  }

  private mutating func readHead(_ index: Int, _ bytes: UnsafeRawBufferPointer) {
    switch AnswerHead.read(bytes) {
    case .incomplete: connections[index].stash = Array(bytes)
    case .malformed: breakOff(index, .protocolBroken)
    case .complete(let head):
      let rest = UnsafeRawBufferPointer(rebasing: bytes[head.byteCount...])
      if (100..<200).contains(head.status) {
        if !rest.isEmpty { readHead(index, rest) }
        return
      }
      connections[index].head = head
      if head.hasNoBody {
        connections[index].bodyLeft = 0
        connections[index].state = .readingBody
      } else if head.isChunked {
        connections[index].chunks = ChunkedBody()
        connections[index].state = .readingChunks
      } else if head.contentLength >= 0 {
        connections[index].bodyLeft = head.contentLength
        connections[index].state = .readingBody
      } else {
        connections[index].head.keepsAlive = false
        connections[index].state = .readingToEnd
      }
      readBody(index, rest)
    }
  }

  private mutating func readBody(_ index: Int, _ bytes: UnsafeRawBufferPointer) {
    let keeps = hasExpectations && connections[index].head.status == 200
    switch connections[index].state {
    case .readingBody:
      let left = connections[index].bodyLeft
      if bytes.count >= left {
        // Most answers come in one piece and are looked at where they lie.
        let isStashed = keeps && !connections[index].stash.isEmpty
        let body = UnsafeRawBufferPointer(rebasing: bytes[0..<left])
        if isStashed { connections[index].stash.append(contentsOf: body) }
        // More than was asked for: such a connection cannot be trusted with another request.
        if bytes.count > left { connections[index].head.keepsAlive = false }
        finish(index, body, isStashed: isStashed)
      } else {
        if keeps { connections[index].stash.append(contentsOf: bytes) }
        connections[index].bodyLeft = left - bytes.count
      }
    case .readingChunks:
      var chunks = connections[index].chunks
      var stash: [UInt8] = []
      swap(&stash, &connections[index].stash)
      _ = chunks.read(bytes) { if keeps { stash.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[$0])) } }
      swap(&stash, &connections[index].stash)
      connections[index].chunks = chunks
      if chunks.isMalformed {
        breakOff(index, .protocolBroken)
      } else if chunks.hasEnded {
        finish(index, UnsafeRawBufferPointer(start: nil, count: 0), isStashed: true)
      }
    case .readingToEnd: if keeps { connections[index].stash.append(contentsOf: bytes) }
    default: break
    }
  }

  private mutating func finish(_ index: Int, _ body: UnsafeRawBufferPointer, isStashed: Bool) {
    let head = connections[index].head
    let kind = faultKind(index, status: head.status, body, isStashed: isStashed)
    if let kind, seenKinds.insert(kind).inserted {
      let text = String(decoding: (isStashed ? UnsafeRawBufferPointer(start: nil, count: 0) : body).prefix(300), as: UTF8.self)
      keepSample(kind, "\(head.status) \(text)")
    }
    if isStashed || !connections[index].stash.isEmpty { connections[index].stash.removeAll(keepingCapacity: true) }
    conclude(index, kind, keepsAlive: head.keepsAlive)
  }

  /// An answer, good or bad, and what comes after it.
  private mutating func conclude(_ index: Int, _ kind: LoadErrorKind?, keepsAlive: Bool) {
    let now = MonotonicClock.now.nanoseconds
    let (due, sentAt, request) = (connections[index].due, connections[index].sentAt, connections[index].request)
    if let kind {
      fault(kind, due: due, group: plan.requests[request].group)
    } else {
      report.answers += 1
      report.latencySum += now - due
      report.sinceSendSum += now - sentAt
      report.rows += Int64(plan.requests[request].rows)
      if counts(due) {
        report.latency.record(now - due)
        report.uncorrected.record(now - sentAt)
        if hasGroups { report.groups[plan.requests[request].group].latency.record(now - due) }
      } else {
        report.earlier.record(now - due)
      }
    }
    inFlight -= 1
    if keepsAlive {
      connections[index].state = .idle
    } else {
      shut(index)
    }
    next(index, now)
  }

  private func faultKind(_ index: Int, status: Int, _ body: UnsafeRawBufferPointer, isStashed: Bool) -> LoadErrorKind? {
    guard (200..<300).contains(status) else {
      return (400..<500).contains(status) ? .clientStatus : (500..<600).contains(status) ? .serverStatus : .otherStatus
    }
    guard hasExpectations, let expectation = plan.expectations[connections[index].request] else { return nil }
    let length = connections[index].head.inferenceHeaderLength
    let fault =
      isStashed
      ? connections[index].stash.withUnsafeBytes { expectation.fault(in: $0, headerLength: length) }
      : expectation.fault(in: body, headerLength: length)
    return switch fault {
    case .shape: .shape
    case .values: .values
    case nil: nil
    }
  }

  /// Whether a request that was due then belongs to the figures: warm-up has figures of its own, which only the live view shows.
  private func counts(_ due: Int64) -> Bool { report.index < 0 || due >= windowStart }

  private mutating func fault(_ kind: LoadErrorKind, due: Int64, group: Int? = nil) {
    guard counts(due), let position = LoadErrorKind.allCases.firstIndex(of: kind) else { return }
    report.errors[position] += 1
    if hasGroups, let group { report.groups[group].errors += 1 }
  }

  /// What the first answer of a kind of fault said, as one line.
  private func keepSample(_ kind: LoadErrorKind, _ text: String) {
    let line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ").filter { $0.isASCII && $0 >= " " }
    mailbox.state.withLock { state in if state.errorSamples[kind] == nil { state.errorSamples[kind] = String(line.prefix(160)) } }
  }

  // MARK: What comes after an answer

  /// A request's end on this connection, good or bad: a user thinks, a pool's connection takes the next that waits.
  private mutating func next(_ index: Int, _ now: Int64) {
    if isClosed {
      if isDraining { return }
      let due = now &+ think.sample(&random).nanoseconds
      if due <= now { beginRequest(index, due: now) } else { timers.push(due, Int32(clamping: index)) }
    } else if connections[index].state == .idle {
      becameIdle(index)
    } else {
      free.append(Int32(clamping: index))
      // Whoever waits for a connection gets a new one in its place.
      if !backlog.isEmpty { _ = openConnection() }
    }
  }

  private mutating func becameIdle(_ index: Int) {
    if isClosed {
      if connections[index].hasRequest { send(index) }
    } else if let due = backlog.popFirst() {
      connections[index].due = due
      inFlight += 1
      send(index)
    } else {
      idle.append(Int32(clamping: index))
    }
  }

  /// A request that will have no answer.
  private mutating func breakOff(_ index: Int, _ kind: LoadErrorKind) {
    fault(kind, due: connections[index].due, group: plan.requests[connections[index].request].group)
    inFlight -= 1
    shut(index)
    let now = MonotonicClock.now.nanoseconds
    if isClosed {
      if !isDraining { timers.push(now + 10_000_000, Int32(clamping: index)) }
    } else {
      next(index, now)
    }
  }

  /// A connection without a request.
  private mutating func drop(_ index: Int) {
    shut(index)
    if !isClosed { free.append(Int32(clamping: index)) }
  }

  private mutating func shut(_ index: Int) {
    if connections[index].state == .connecting || connections[index].state == .securing { connecting -= 1 }
    if connections[index].descriptor >= 0 { Glibc.close(connections[index].descriptor) }
    connections[index].descriptor = -1
    connections[index].state = .closed
    connections[index].layers = nil
    connections[index].stash.removeAll(keepingCapacity: true)
  }

  private mutating func scanTimeouts(_ now: Int64) {
    nextTimeoutScan = now + 250_000_000
    for index in connections.indices {
      switch connections[index].state {
      case .sending, .awaitingHead, .readingBody, .readingChunks, .readingToEnd:
        if now - connections[index].sentAt > timeout { breakOff(index, .timeout) }
      case .connecting, .securing: if connections[index].hasRequest, now - connections[index].due > timeout { failConnect(index) }
      case .closed, .idle: break
      }
    }
    while let due = backlog.first, now - due > timeout {
      _ = backlog.popFirst()
      fault(.timeout, due: due)
    }
  }
}

/// Instants and whose they are, earliest first: a binary heap in an array.
struct TimerHeap {
  private var entries: [(due: Int64, user: Int32)] = []

  var first: Int64? { entries.first?.due }

  mutating func push(_ due: Int64, _ user: Int32) {
    entries.append((due, user))
    var child = entries.count - 1
    while child > 0, entries[child].due < entries[(child - 1) / 2].due {
      entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// The earliest one's user; call only when there is one.
  mutating func pop() -> Int32 {
    let user = entries[0].user
    entries[0] = entries[entries.count - 1]
    entries.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count && entries[child].due < entries[least].due { least = child }
      if least == parent { return user }
      entries.swapAt(parent, least)
      parent = least
    }
  }
}

/// Instants in the order they came: a ring that grows.
struct InstantQueue {
  private var ring: [Int64] = []
  private var head = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }
  var first: Int64? { count > 0 ? ring[head] : nil }

  mutating func append(_ instant: Int64) {
    if count == ring.count {
      ring = Array(ring[head...] + ring[..<head]) + Array(repeating: 0, count: max(64, ring.count))
      head = 0
    }
    ring[(head + count) % ring.count] = instant
    count += 1
  }

  mutating func popFirst() -> Int64? {
    guard count > 0 else { return nil }
    defer {
      head = (head + 1) % ring.count
      count -= 1
    }
    return ring[head]
  }

  mutating func removeAll() { (head, count) = (0, 0) }
}
