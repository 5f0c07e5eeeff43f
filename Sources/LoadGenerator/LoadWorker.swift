import CEpoll
import Glibc
import KServe
import LoadModel
import Synchronization
import Threads
import TimeBase
import Workload

/// A connection of the generator: a user of a closed loop, or one of an open loop's pool.
struct LoadConnection {
  enum State { case closed, connecting, idle, sending, awaitingHead, readingBody, readingChunks, readingToEnd }

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

  private let poll: Int32
  private let timer: Int32
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)
  private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: LoadWorker.eventCapacity)
  private static let eventCapacity = 512
  /// What stands for the timer among the connections' numbers.
  private static let timerToken = UInt64.max
  private static let tick: Int64 = 1_000_000_000

  private var connections: [LoadConnection] = []
  private var random: SplitMix64
  private var report = WorkerReport()
  private var isDraining = false
  private var end: Int64
  private var inFlight = 0
  private var armed: Int64 = .max
  private var nextTimeoutScan: Int64
  private var lastCPU: Int64 = 0
  private var runQueue: RunQueue?
  private var lastWaited: Int64 = 0
  private var lastWaitedAt: Int64 = 0

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
    let threads = max(1, configuration.threads)
    let share = configuration.share.split(thread, of: threads)
    let seed = SplitMix64(seed: configuration.seed)
    random = seed.split(UInt64(1000 + share.index))
    schedule = ArrivalSchedule(configuration.load, seed: seed.split(1), share: share)
    connectionLimit = max(1, configuration.maxConnections / threads)
    nextTimeoutScan = start + 250_000_000
    poll = epoll_create1(Int32(EPOLL_CLOEXEC))
    timer = timerfd_create(CLOCK_MONOTONIC, Int32(TFD_NONBLOCK) | Int32(TFD_CLOEXEC))
    if case .closed(let users, let spawnRate, let think) = configuration.load {
      (isClosed, self.think) = (true, think)
      for user in 0..<users where share.includes(user) {
        let delay = spawnRate > 0 ? TimeSpan(clampingSeconds: Double(user) / spawnRate).nanoseconds : 0
        timers.push(start &+ delay, Int32(connections.count))
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
    runQueue = RunQueue()
    lastWaited = runQueue?.waitedNanoseconds ?? 0
    while true {
      let now = MonotonicClock.now.nanoseconds
      end = mailbox.endNanoseconds.load(ordering: .relaxed)
      turnInterval(now)
      if now >= end, !isDraining { beginDrain() }
      if isDraining && inFlight == 0 && backlog.isEmpty || end == 0 { break }
      fireDue(now)
      if now >= nextTimeoutScan { scanTimeouts(now) }
      arm(now)
      let count = epoll_wait(poll, events, Int32(Self.eventCapacity), -1)
      if count < 0 && errno != EINTR {
        mailbox.state.withLock { $0.failure = .system("waiting for sockets failed") }
        break
      }
      noteWait(events: max(0, Int(count)))
      for index in 0..<max(0, Int(count)) {
        let token = events[index].data.u64
        if token == Self.timerToken { armed = .max } else { handle(Int(token), events[index].events) }
      }
    }
    report.endNanoseconds = MonotonicClock.now.nanoseconds
    publish(isLast: true)
  }

  func close() {
    for connection in connections where connection.descriptor >= 0 { Glibc.close(connection.descriptor) }
    if poll >= 0 { Glibc.close(poll) }
    if timer >= 0 { Glibc.close(timer) }
    runQueue?.close()
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
    let wanted = Int(min(256, max(8, peak / 100 / Double(max(1, configuration.threads)))))
    for _ in 0..<min(connectionLimit, wanted) { _ = openConnection() }
  }

  private mutating func beginDrain() {
    isDraining = true
    report.endNanoseconds = end
    publish(isLast: false)
    report = WorkerReport()
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
      report = WorkerReport()
      report.index = index
      report.startNanoseconds = boundary
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

  /// What came while this thread waited for a core lay unread: what woke it for the whole wait, the others for half of it on average. The kernel is
  /// asked once a millisecond at most, so a shorter wait may go unseen and a longer one never does.
  private mutating func noteWait(events: Int) {
    let now = MonotonicClock.now.nanoseconds
    if now - lastWaitedAt < 1_000_000 || events == 0 { return }
    lastWaitedAt = now
    guard let waited = runQueue?.waitedNanoseconds else { return }
    report.unreadNanoseconds += (waited - lastWaited) * Int64(events + 1) / 2
    lastWaited = waited
  }

  /// Wakes the loop at the next thing to do; a system call only when that changed.
  private mutating func arm(_ now: Int64) {
    var next = min(nextArrival, timers.first ?? .max, nextTimeoutScan)
    if !isDraining { next = min(next, min(end, windowStart &+ Int64(report.index + 1) &* Self.tick)) }
    if isDraining { next = nextTimeoutScan }
    next = max(next, now + 1)
    if next == armed { return }
    armed = next
    var time = itimerspec()
    time.it_value = timespec(tv_sec: Int(next / 1_000_000_000), tv_nsec: Int(next % 1_000_000_000))
    timerfd_settime(timer, Int32(TFD_TIMER_ABSTIME), &time, nil)
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
    event.data.u64 = UInt64(index)
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
      timers.push(now + 100_000_000, Int32(index))
    } else {
      free.append(Int32(index))
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
    let request = plan.count == 1 ? 0 : Int(random.next() % UInt64(plan.count))
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
    continueSending(index)
  }

  private mutating func continueSending(_ index: Int) {
    let prepared = plan.requests[connections[index].request]
    let descriptor = connections[index].descriptor
    var sent = connections[index].bytesSent
    let code = plan.arena.withUnsafeBytes { raw -> Int32 in
      while sent < prepared.count {
        let rest = UnsafeRawBufferPointer(rebasing: raw[(prepared.start + sent)..<(prepared.start + prepared.count)])
        let count = Glibc.send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
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
      var length = socklen_t(MemoryLayout<Int32>.size)
      getsockopt(connections[index].descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
      if code != 0 || flags & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 { return failConnect(index) }
      if flags & EPOLLOUT.rawValue == 0 { return }
      connecting -= 1
      connections[index].state = .idle
      becameIdle(index)
      return
    }
    if connections[index].state == .sending, flags & EPOLLOUT.rawValue != 0 { continueSending(index) }
    let hangsUp = flags & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0
    if flags & EPOLLIN.rawValue != 0 || hangsUp { receive(index, hangsUp: hangsUp) }
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
      consume(index, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[0..<count]))
      // Edge-triggered: a short read means that the socket is empty, unless the peer has closed it behind that. The descriptor may be another's by now.
      if count < buffer.count && !hangsUp || connections[index].descriptor != descriptor { return }
    }
  }

  private mutating func peerClosed(_ index: Int) {
    switch connections[index].state {
    case .idle, .closed: drop(index)
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
    case .closed, .connecting: break
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
    let now = MonotonicClock.now.nanoseconds
    let connection = connections[index].head
    let (due, sentAt, request) = (connections[index].due, connections[index].sentAt, connections[index].request)
    if let kind = faultKind(index, status: connection.status, body, isStashed: isStashed) {
      fault(kind, due: due)
    } else {
      report.answers += 1
      report.latencySum += now - due
      report.rows += Int64(plan.requests[request].rows)
      if counts(due) {
        report.latency.record(now - due)
        report.uncorrected.record(now - sentAt)
      }
    }
    inFlight -= 1
    if isStashed || !connections[index].stash.isEmpty { connections[index].stash.removeAll(keepingCapacity: true) }
    if connection.keepsAlive {
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

  private mutating func fault(_ kind: LoadErrorKind, due: Int64) {
    guard counts(due), let position = LoadErrorKind.allCases.firstIndex(of: kind) else { return }
    report.errors[position] += 1
  }

  // MARK: What comes after an answer

  /// A request's end on this connection, good or bad: a user thinks, a pool's connection takes the next that waits.
  private mutating func next(_ index: Int, _ now: Int64) {
    if isClosed {
      if isDraining { return }
      let due = now &+ think.sample(&random).nanoseconds
      if due <= now { beginRequest(index, due: now) } else { timers.push(due, Int32(index)) }
    } else if connections[index].state == .idle {
      becameIdle(index)
    } else {
      free.append(Int32(index))
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
      idle.append(Int32(index))
    }
  }

  /// A request that will have no answer.
  private mutating func breakOff(_ index: Int, _ kind: LoadErrorKind) {
    fault(kind, due: connections[index].due)
    inFlight -= 1
    shut(index)
    let now = MonotonicClock.now.nanoseconds
    if isClosed {
      if !isDraining { timers.push(now + 10_000_000, Int32(index)) }
    } else {
      next(index, now)
    }
  }

  /// A connection without a request.
  private mutating func drop(_ index: Int) {
    shut(index)
    if !isClosed { free.append(Int32(index)) }
  }

  private mutating func shut(_ index: Int) {
    if connections[index].state == .connecting { connecting -= 1 }
    if connections[index].descriptor >= 0 { Glibc.close(connections[index].descriptor) }
    connections[index].descriptor = -1
    connections[index].state = .closed
    connections[index].stash.removeAll(keepingCapacity: true)
  }

  private mutating func scanTimeouts(_ now: Int64) {
    nextTimeoutScan = now + 250_000_000
    for index in connections.indices {
      switch connections[index].state {
      case .sending, .awaitingHead, .readingBody, .readingChunks, .readingToEnd:
        if now - connections[index].sentAt > timeout { breakOff(index, .timeout) }
      case .connecting: if connections[index].hasRequest, now - connections[index].due > timeout { failConnect(index) }
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
