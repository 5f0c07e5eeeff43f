import CheckedNumbers
import DequeModule
import LoadModel
import TimeBase
import Workload

/// The connections of one thread and the requests that are due on them: when a request is sent and on which, what follows an answer, a failure
/// or silence, and how a run ends.
///
/// Pure, as the server's `Scheduler`: an event and an instant go in, actions come out (`nextAction`), and `nextWakeUp` says when time alone will
/// change something. Instants are nanoseconds of the run's clock and do not go backwards. `LoadWorker` drives it with sockets, tests without.
struct ConnectionPool {
  /// What is to be done, in the order it comes.
  enum Action: Equatable {
    /// Connect a socket for it, then report `connected` or `unreachable`.
    case open(Int)
    /// Begin the request that is due on it (`begin`), then write.
    case send(Int)
    /// Close its socket.
    case close(Int)
  }

  /// A user whose connection failed waits so long before the next: a server that refuses would be asked as fast as we can.
  static let pauseAfterRefusal: Int64 = 100_000_000
  /// One whose request was broken off.
  static let pauseAfterFailure: Int64 = 10_000_000
  /// How far apart timeouts are looked for.
  static let timeoutSpacing: Int64 = 250_000_000

  let plan: SharedPlan
  private(set) var connections: [LoadConnection] = []
  private(set) var seconds: IntervalRecorder
  var samples = ErrorSamples()
  private var actions: Deque<Action> = []
  private var random: SplitMix64
  private let timeout: Int64
  private let start: Int64
  private var nextTimeoutScan: Int64
  private var finished: [WorkerReport] = []
  /// Requests that are sent, or wait for their own connection.
  private(set) var inFlight = 0
  /// Connections begun in all.
  private(set) var opened = 0

  // A closed loop: users that think or are not there yet, earliest first.
  private let isClosed: Bool
  private let think: ThinkTime
  private var timers = TimerHeap()

  // An open loop.
  private var schedule: ArrivalSchedule
  private var nextArrival: Int64 = .max
  private let connectionLimit: Int
  private let initialConnections: Int
  private var idle: [Int32] = []
  private var free: [Int32] = []
  private var connecting = 0
  /// Requests that are due and have no connection yet.
  private var backlog: Deque<Int64> = []
  /// A request waited because no more connections may be made.
  private(set) var reachedLimit = false
  /// What was due and unsent at the run's end.
  private(set) var unsentAtEnd = 0

  init(_ configuration: LoadConfiguration, plan: RequestPlan, thread: Int, start: Int64, windowStart: Int64, now: Int64) {
    self.plan = SharedPlan(plan)
    self.start = start
    timeout = configuration.timeout.nanoseconds
    let threads = max(1, configuration.threads)
    let share = configuration.share.split(thread, of: threads)
    let seed = SplitMix64(seed: configuration.seed)
    random = seed.split(UInt64(clamping: 1000 + share.index))
    schedule = ArrivalSchedule(configuration.load, seed: seed.split(1), share: share)
    seconds = IntervalRecorder(
      groups: plan.groups, start: start, windowStart: windowStart, lateAfter: configuration.lateAfter.nanoseconds, now: now)
    nextTimeoutScan = start + Self.timeoutSpacing
    connectionLimit = max(1, configuration.maxConnections / threads)
    if case .closed(let users, let spawnRate, let think) = configuration.load {
      (isClosed, self.think, initialConnections) = (true, think, 0)
      for user in 0..<users where share.includes(user) {
        let delay = spawnRate > 0 ? TimeSpan(clampingSeconds: Double(user) / spawnRate).nanoseconds : 0
        timers.push(start &+ delay, Int32(clamping: connections.count))
        connections.append(LoadConnection())
      }
      return
    }
    (isClosed, think) = (false, .constant(.zero))
    let peak = if case .open(let profile, _) = configuration.load { profile.peakPerSecond } else { 100.0 }
    let wanted = configuration.initialConnections ?? Int(saturating: min(256, max(8, peak / 100 / Double(threads))))
    initialConnections = min(connectionLimit, wanted)
    nextArrival = schedule.next().map { start &+ $0.nanoseconds } ?? .max
  }

  // MARK: - Time

  /// Connections before the first arrival: making one is not what is measured.
  mutating func prepare() { for _ in 0..<initialConnections { _ = openConnection() } }

  /// Does what is due. `end`: the run's, which an interruption brings forward.
  mutating func advance(to now: Int64, end: Int64) {
    while var report = seconds.finishSecond(at: now, end: end) {
      report.users = users
      finished.append(report)
    }
    seconds.probe(now)
    if now >= end, !isDraining { drain(from: end) }
    fireDue(now)
    if now >= nextTimeoutScan { scanTimeouts(now) }
  }

  /// Nothing new is sent; what is sent is waited for.
  var isDraining: Bool { seconds.isDraining }
  /// Every answer is there, or given up.
  var isDone: Bool { isDraining && inFlight == 0 }
  /// Connections that are open or being made.
  var users: Int { connections.count { $0.state != .closed } }

  /// When time alone will change something, after `now`.
  func nextWakeUp(after now: Int64, end: Int64) -> Int64 {
    if isDraining { return max(now + 1, nextTimeoutScan) }
    return max(now + 1, min(min(nextArrival, timers.first ?? .max, end), min(nextTimeoutScan, seconds.nextWakeUp)))
  }

  /// The next thing to do, removed.
  @inline(__always)
  mutating func nextAction() -> Action? { actions.isEmpty ? nil : actions.removeFirst() }

  /// Reports of seconds that are over.
  mutating func takeReports() -> [WorkerReport] {
    if finished.isEmpty { return [] }
    defer { finished = [] }
    return finished
  }

  /// The last report.
  mutating func finish(at now: Int64) -> WorkerReport {
    var report = seconds.finish(at: now)
    report.users = users
    return report
  }

  private mutating func drain(from end: Int64) {
    var report = seconds.drain(from: end)
    report.users = users
    finished.append(report)
    // What was due and never sent is not waited for: it would only be sent after the run. A loop that was late finds arrivals that it has not even
    // drawn yet.
    unsentAtEnd = backlog.count
    backlog.removeAll()
    while nextArrival < end {
      unsentAtEnd += 1
      nextArrival = schedule.next().map { start &+ $0.nanoseconds } ?? .max
    }
    nextArrival = .max
  }

  private mutating func fireDue(_ now: Int64) {
    if isDraining { return }
    if isClosed {
      while let due = timers.first, due <= now { beginRequest(Int(timers.pop()), due: due) }
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

  private mutating func scanTimeouts(_ now: Int64) {
    nextTimeoutScan = now + Self.timeoutSpacing
    for index in connections.indices {
      let outcome = connections[index].timedOut(at: now, after: timeout)
      if outcome != .goesOn { settle(index, outcome, at: now) }
    }
    while let due = backlog.first, now - due > timeout {
      backlog.removeFirst()
      seconds.failed(.timeout, due: due)
    }
  }

  // MARK: - Sockets

  /// The socket of a connection is there. `layers` is nil for plain HTTP.
  mutating func connected(_ index: Int, _ layers: ConnectionLayers?, at now: Int64) {
    let outcome = connections[index].connected(layers)
    settle(index, outcome, at: now)
  }

  /// The request that is due on a connection, drawn and stamped.
  mutating func begin(_ index: Int, at now: Int64) {
    // Closed since it was decided.
    guard connections[index].state == .idle else { return }
    connections[index].begin(plan.draw(&random), at: now, plan)
    seconds.sends(due: connections[index].due, at: now)
  }

  /// See `LoadConnection.write`.
  @inline(__always)
  mutating func write(_ index: Int, _ body: (UnsafeRawBufferPointer) -> Int) -> Int? { connections[index].write(plan, body) }

  /// Bytes off its socket: what became of it, for `settle`.
  @inline(__always)
  mutating func receive(_ index: Int, _ bytes: UnsafeRawBufferPointer) -> LoadConnection.Outcome {
    seconds.received(bytes.count)
    return connections[index].receive(bytes, plan, &samples)
  }

  /// Its peer sends no more: what became of it.
  mutating func peerClosed(_ index: Int) -> LoadConnection.Outcome { connections[index].peerClosed(plan, &samples) }

  /// What follows from what became of a connection.
  mutating func settle(_ index: Int, _ outcome: LoadConnection.Outcome, at now: Int64) {
    switch outcome {
    case .goesOn: break
    case .ready:
      connecting -= 1
      becameIdle(index)
    case .answered(let kind, let keepsAlive): conclude(index, kind, keepsAlive: keepsAlive, now)
    case .failed(let kind): breakOff(index, kind, now)
    case .unreachable: giveUp(index, now)
    case .dropped: drop(index, now)
    }
  }

  // MARK: - Decisions

  private mutating func takeIdle() -> Int? {
    while let index = idle.popLast() {
      // The server may have closed it meanwhile; made again, it stands here twice.
      let connection = Int(index)
      if connections[connection].state == .idle, !connections[connection].hasRequest { return connection }
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
    open(index)
    return true
  }

  private mutating func open(_ index: Int) {
    opened += 1
    connecting += 1
    connections[index].opens()
    actions.append(.open(index))
  }

  private mutating func close(_ index: Int) {
    switch connections[index].state {
    case .closed: return
    case .connecting, .securing: connecting -= 1
    case .idle, .sending, .awaitingHead, .readingBody, .readingChunks, .readingToEnd: break
    }
    connections[index].closes()
    actions.append(.close(index))
  }

  private mutating func beginRequest(_ index: Int, due: Int64) {
    connections[index].due = due
    connections[index].hasRequest = true
    inFlight += 1
    switch connections[index].state {
    case .idle: actions.append(.send(index))
    case .closed: open(index)
    // It is sent when the connection is made.
    case .connecting, .securing: break
    case .sending, .awaitingHead, .readingBody, .readingChunks, .readingToEnd: break
    }
  }

  /// A connection that could not be made.
  private mutating func giveUp(_ index: Int, _ now: Int64) {
    close(index)
    if isClosed {
      if connections[index].hasRequest { inFlight -= 1 }
      connections[index].hasRequest = false
      seconds.failed(.connect, due: connections[index].due)
      timers.push(now + Self.pauseAfterRefusal, Int32(clamping: index))
    } else {
      free.append(Int32(clamping: index))
      // Somebody waits for it: the oldest pays.
      if let due = backlog.popFirst() { seconds.failed(.connect, due: due) }
    }
  }

  /// An answer, good or bad, and what comes after it.
  private mutating func conclude(_ index: Int, _ kind: LoadErrorKind?, keepsAlive: Bool, _ now: Int64) {
    let (due, request) = (connections[index].due, plan.requests[connections[index].request])
    if let kind {
      seconds.failed(kind, due: due, group: request.group)
    } else {
      seconds.answered(due: due, sentAt: connections[index].sentAt, rows: request.rows, group: request.group, at: now)
    }
    inFlight -= 1
    if keepsAlive { connections[index].rests() } else { close(index) }
    next(index, now)
  }

  /// A request that will have no answer.
  private mutating func breakOff(_ index: Int, _ kind: LoadErrorKind, _ now: Int64) {
    seconds.failed(kind, due: connections[index].due, group: plan.requests[connections[index].request].group)
    inFlight -= 1
    close(index)
    if !isClosed {
      next(index, now)
    } else if !isDraining {
      timers.push(now + Self.pauseAfterFailure, Int32(clamping: index))
    }
  }

  /// A connection without a request; one that was just given it has it broken off.
  private mutating func drop(_ index: Int, _ now: Int64) {
    if connections[index].hasRequest {
      connections[index].hasRequest = false
      return breakOff(index, .connection, now)
    }
    close(index)
    if !isClosed { free.append(Int32(clamping: index)) }
  }

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
      if connections[index].hasRequest { actions.append(.send(index)) }
    } else if let due = backlog.popFirst() {
      connections[index].due = due
      connections[index].hasRequest = true
      inFlight += 1
      actions.append(.send(index))
    } else {
      idle.append(Int32(clamping: index))
    }
  }
}
