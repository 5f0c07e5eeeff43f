import LoadModel
import Testing
import TimeBase
import Workload

@testable import LoadGenerator

/// A thread's connections without sockets and without a clock: time is a number that the test moves.
@Suite struct ConnectionPoolTests {
  private static let millisecond: Int64 = 1_000_000
  private static let request = "POST /infer HTTP/1.1\r\nContent-Length: 2\r\n\r\nok"
  private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
  private static let okAndClose = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"

  /// Carries out what the pool decides as a worker would, with lists in place of sockets.
  private struct World {
    var pool: ConnectionPool
    var now: Int64 = 0
    var end: Int64
    /// Sockets that are being connected, and those that are.
    var connecting: [Int] = []
    var open: Set<Int> = []
    /// Requests as they were written, by connection, in order.
    var written: [(connection: Int, at: Int64, text: String)] = []
    /// Bytes that a socket takes at once.
    var room = Int.max
    var reports: [WorkerReport] = []

    init(_ load: OfferedLoad, milliseconds: Int64 = 1000, change: (inout LoadConfiguration) -> Void = { _ in }) {
      var configuration = LoadConfiguration(load: load)
      configuration.timeout = .milliseconds(300)
      configuration.initialConnections = 0
      change(&configuration)
      var plan = RequestPlan(name: "test")
      plan.add(Array(ConnectionPoolTests.request.utf8), rows: 3)
      end = milliseconds * millisecond
      pool = ConnectionPool(configuration, plan: plan, thread: 0, start: 0, windowStart: 0, now: 0)
      pool.prepare()
      act()
    }

    mutating func act() {
      while let action = pool.nextAction() {
        switch action {
        case .open(let index): connecting.append(index)
        case .close(let index):
          connecting.removeAll { $0 == index }
          open.remove(index)
        case .send(let index):
          #expect(open.contains(index), "sent on a socket that is not there")
          pool.begin(index, at: now)
          write(index)
        }
      }
    }

    mutating func write(_ index: Int) {
      var bytes: [UInt8] = []
      var left = room
      while pool.write(
        index,
        {
          let taken = min($0.count, left)
          bytes += $0.prefix(taken)
          left -= taken
          return taken > 0 ? taken : -1
        }) ?? -1 > 0
      {}
      if !bytes.isEmpty { written.append((index, now, String(decoding: bytes, as: UTF8.self))) }
    }

    /// Sleeps until then, as a worker does: from wake-up to wake-up.
    mutating func sleep(until instant: Int64) {
      while true {
        pool.advance(to: now, end: end)
        reports += pool.takeReports()
        act()
        let next = pool.nextWakeUp(after: now, end: end)
        if next > instant || pool.isDone {
          now = max(now, instant)
          return
        }
        now = next
      }
    }

    /// The oldest attempt succeeds.
    @discardableResult
    mutating func connect() -> Int {
      let index = connecting.removeFirst()
      open.insert(index)
      pool.connected(index, nil, at: now)
      act()
      return index
    }

    mutating func refuse() {
      pool.settle(connecting[0], .unreachable, at: now)
      act()
    }

    mutating func receive(_ index: Int, _ text: String) {
      let outcome = Array(text.utf8).withUnsafeBytes { pool.receive(index, $0) }
      pool.settle(index, outcome, at: now)
      act()
    }

    mutating func hangUp(_ index: Int) {
      let outcome = pool.peerClosed(index)
      pool.settle(index, outcome, at: now)
      act()
    }

    /// Everything that was reported, up to now.
    var total: (answers: Int64, rows: Int64, errors: [LoadErrorKind: Int64]) {
      var copy = pool
      let all = reports + [copy.finish(at: now)]
      var errors: [LoadErrorKind: Int64] = [:]
      for report in all {
        for (kind, count) in zip(LoadErrorKind.allCases, report.errors) where count > 0 { errors[kind, default: 0] += count }
      }
      return (all.reduce(0) { $0 + $1.answers }, all.reduce(0) { $0 + $1.rows }, errors)
    }
  }

  private static func users(_ count: Int, think: Int64 = 0) -> OfferedLoad {
    .closed(users: count, spawnRate: 0, think: .constant(.milliseconds(think)))
  }
  private static func rate(_ perSecond: Double) -> OfferedLoad { .open(RateProfile(perSecond: perSecond), isPoisson: false) }

  @Test func aUserConnectsAsksWaitsThinksAndAsksAgain() {
    var world = World(Self.users(1, think: 50))
    world.sleep(until: 0)
    #expect(world.connecting == [0] && world.written.isEmpty)
    world.now = 2 * Self.millisecond
    world.connect()
    #expect(world.written.map(\.text) == [Self.request])
    world.now = 10 * Self.millisecond
    world.receive(0, Self.ok)
    #expect(world.pool.inFlight == 0)
    world.sleep(until: 59 * Self.millisecond)
    #expect(world.written.count == 1, "it thinks")
    world.sleep(until: 60 * Self.millisecond)
    #expect(world.written.map(\.at) == [2 * Self.millisecond, 60 * Self.millisecond])
    #expect(world.total.answers == 1 && world.total.rows == 3 && world.total.errors.isEmpty)
    #expect(world.pool.opened == 1)
  }

  @Test func aRequestGoesOutInAsManyPiecesAsTheSocketTakes() {
    var world = World(Self.users(1))
    world.room = 10
    world.sleep(until: 0)
    world.connect()
    for _ in 0..<10 { world.write(0) }
    #expect(world.written.map(\.text).joined() == Self.request)
    #expect(world.written.dropLast().allSatisfy { $0.text.utf8.count == 10 })
    world.receive(0, Self.ok)
    #expect(world.total.answers == 1)
  }

  @Test(arguments: [1, 2, 7, 1000])
  func anAnswerMayComeInAnyPieces(size: Int) {
    var world = World(Self.users(1, think: 10))
    world.sleep(until: 0)
    world.connect()
    for text in [
      Self.ok, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
    ] {
      var bytes = Array(text.utf8)[...]
      while !bytes.isEmpty {
        world.receive(0, String(decoding: bytes.prefix(size), as: UTF8.self))
        bytes = bytes.dropFirst(size)
      }
      world.sleep(until: world.now + 10 * Self.millisecond)
    }
    #expect(world.total.answers == 2 && world.total.errors.isEmpty)
    #expect(world.pool.opened == 1)
  }

  // MARK: - Timeouts

  @Test func anAnswerThatDoesNotComeIsATimeoutAndTheUserComesBackOnANewConnection() {
    var world = World(Self.users(1))
    world.sleep(until: 0)
    world.connect()
    // Timeouts are looked for every 250 ms: the request of 0 ms is over at 300 ms and found at 500 ms.
    world.sleep(until: 499 * Self.millisecond)
    #expect(world.open == [0] && world.total.errors.isEmpty)
    world.sleep(until: 500 * Self.millisecond)
    #expect(world.open.isEmpty && world.total.errors == [.timeout: 1] && world.pool.inFlight == 0)
    world.sleep(until: 509 * Self.millisecond)
    #expect(world.connecting.isEmpty)
    world.sleep(until: 510 * Self.millisecond)
    #expect(world.connecting == [0])
    world.connect()
    world.receive(0, Self.ok)
    #expect(world.total.answers == 1 && world.pool.opened == 2)
  }

  @Test func aConnectionThatIsNeverMadeIsGivenUp() {
    var world = World(Self.users(1))
    world.sleep(until: 500 * Self.millisecond)
    #expect(world.total.errors == [.connect: 1])
    #expect(world.connecting.isEmpty && world.pool.inFlight == 0)
    world.sleep(until: 600 * Self.millisecond)
    #expect(world.connecting == [0])
  }

  @Test func aRequestThatFindsNoConnectionInTimeIsATimeout() {
    var world = World(Self.rate(100)) { $0.maxConnections = 1 }
    world.sleep(until: 0)
    world.connect()
    world.sleep(until: 450 * Self.millisecond)
    #expect(world.written.count == 1 && world.pool.reachedLimit)
    world.sleep(until: 500 * Self.millisecond)
    // The one that was sent, and those of 10 to 190 ms that wait for its connection: they are older than 300 ms.
    #expect(world.total.errors == [.timeout: 20])
    #expect(world.pool.inFlight == 0)
    // What still waits gets the next connection, the oldest first.
    #expect(world.connecting == [0])
    world.connect()
    #expect(world.written.count == 2)
    world.receive(0, Self.ok)
    #expect(world.written.count == 3)
  }

  // MARK: - Reconnection

  @Test func aServerThatRefusesIsAskedAgainAfterAPause() {
    var world = World(Self.users(2))
    world.sleep(until: 0)
    #expect(world.connecting == [0, 1])
    world.refuse()
    world.refuse()
    #expect(world.total.errors == [.connect: 2] && world.pool.inFlight == 0)
    world.sleep(until: 99 * Self.millisecond)
    #expect(world.connecting.isEmpty)
    world.sleep(until: 100 * Self.millisecond)
    #expect(world.connecting == [0, 1])
    world.connect()
    world.connect()
    #expect(world.written.count == 2)
  }

  @Test func theOldestRequestPaysForAConnectionThatCannotBeMade() {
    var world = World(Self.rate(100))
    world.sleep(until: 20 * Self.millisecond)
    #expect(world.connecting.count == 3)
    world.refuse()
    #expect(world.total.errors == [.connect: 1])
    world.connect()
    world.connect()
    #expect(world.written.count == 2 && world.pool.inFlight == 2)
  }

  @Test func aConnectionThatBreaksUnderARequestIsReplacedForTheNext() {
    var world = World(Self.users(1))
    world.sleep(until: 0)
    world.connect()
    world.receive(0, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    world.hangUp(0)
    #expect(world.total.errors == [.connection: 1] && world.open.isEmpty && world.pool.inFlight == 0)
    world.sleep(until: ConnectionPool.pauseAfterFailure)
    #expect(world.connecting == [0])
    world.connect()
    world.receive(0, "good day\r\n")
    #expect(world.total.errors == [.connection: 1, .protocolBroken: 1])
  }

  @Test func anAnswerThatEndsTheConnectionIsNoErrorAndTheNextRequestHasANewOne() {
    var world = World(Self.users(1))
    world.sleep(until: 0)
    world.connect()
    world.receive(0, Self.okAndClose)
    #expect(world.connecting == [0] && world.open.isEmpty)
    world.connect()
    world.receive(0, "HTTP/1.1 200 OK\r\n\r\nuntil the end")
    #expect(world.total.answers == 1)
    world.hangUp(0)
    #expect(world.total.answers == 2 && world.total.errors.isEmpty && world.pool.opened == 3)
  }

  @Test func anIdleConnectionThatTheServerClosedCarriesNoRequest() {
    var world = World(Self.rate(10))
    world.sleep(until: 0)
    world.connect()
    world.receive(0, Self.ok)
    world.hangUp(0)
    #expect(world.open.isEmpty && world.total.errors.isEmpty)
    world.sleep(until: 100 * Self.millisecond)
    #expect(world.connecting == [0])
    world.connect()
    #expect(world.written.count == 2)
    // Bytes that nobody asked for: it cannot be trusted with a request.
    world.receive(0, Self.ok)
    world.receive(0, "HTTP/1.1 408 Request Timeout\r\n\r\n")
    #expect(world.open.isEmpty && world.total.answers == 2 && world.total.errors.isEmpty)
  }

  // MARK: - The end

  @Test func atTheEndNothingIsSentAndWhatIsSentIsWaitedFor() {
    var world = World(Self.rate(100), milliseconds: 100) { $0.maxConnections = 2 }
    world.sleep(until: 0)
    world.connect()
    world.sleep(until: 50 * Self.millisecond)
    world.connect()
    world.sleep(until: 100 * Self.millisecond)
    #expect(world.pool.isDraining && !world.pool.isDone && world.pool.inFlight == 2)
    // Ten arrivals, two sent.
    #expect(world.pool.unsentAtEnd == 8)
    world.now = 130 * Self.millisecond
    world.receive(0, Self.ok)
    #expect(world.written.count == 2 && !world.pool.isDone)
    world.receive(1, Self.ok)
    #expect(world.pool.isDone)
    #expect(world.reports.count == 1, "what came behind the end is in a report of its own")
    #expect(world.reports.reduce(0) { $0 + $1.answers } == 0 && world.total.answers == 2)
  }

  /// A thread that was stopped from 50 ms on and wakes when the run is over.
  @Test func whatALateLoopNeverDrewIsUnsent() {
    var world = World(Self.rate(100), milliseconds: 100)
    world.sleep(until: 0)
    world.connect()
    world.sleep(until: 45 * Self.millisecond)
    let sent = world.written.count
    world.pool.advance(to: 400 * Self.millisecond, end: world.end)
    #expect(sent > 0 && world.pool.isDraining)
    // The one that was sent on the only connection, and the others.
    #expect(sent + world.pool.unsentAtEnd == 10)
  }

  @Test func anEndIsNotHeldUpForLongerThanATimeout() {
    var world = World(Self.users(3), milliseconds: 100)
    world.sleep(until: 0)
    for _ in 0..<3 { world.connect() }
    world.sleep(until: 10_000 * Self.millisecond)
    #expect(world.pool.isDone && world.total.errors == [.timeout: 3])
    #expect(world.connecting.isEmpty && world.open.isEmpty)
  }

  @Test func anInterruptionBringsTheEndForward() {
    var world = World(Self.users(1, think: 10), milliseconds: 10_000)
    world.sleep(until: 0)
    world.connect()
    world.end = 20 * Self.millisecond
    world.sleep(until: 20 * Self.millisecond)
    #expect(world.pool.isDraining)
    world.receive(0, Self.ok)
    world.sleep(until: 1000 * Self.millisecond)
    #expect(world.pool.isDone && world.written.count == 1)
  }

  // MARK: - All together

  /// Whatever happens to connections and answers: every arrival is answered, failed or unsent, once, and the run ends.
  @Test(arguments: 0..<40 as Range<UInt64>)
  func everyArrivalHasOneEnd(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    func chance(_ share: Double) -> Bool { random.nextUnitDouble() < share }
    var world = World(Self.rate(500), milliseconds: 2000) {
      $0.maxConnections = 1 + Int(clamping: seed % 20)
      $0.initialConnections = Int(clamping: seed % 5)
    }
    while !world.pool.isDone {
      world.sleep(until: world.now + Int64(clamping: random.next() % 8) * Self.millisecond)
      while !world.connecting.isEmpty, chance(0.7) { if chance(0.15) { world.refuse() } else { world.connect() } }
      for index in world.open.sorted() where chance(0.5) {
        if chance(0.05) {
          world.hangUp(index)
        } else if chance(0.02) {
          world.receive(index, "nonsense\r\n\r\n")
        } else if world.pool.connections[index].carriesRequest {
          world.receive(index, chance(0.1) ? Self.okAndClose : chance(0.1) ? "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n" : Self.ok)
        }
      }
      let busy = world.pool.connections.count { $0.carriesRequest || $0.hasRequest }
      #expect(world.pool.inFlight == busy)
      #expect(
        world.pool.connections.indices.allSatisfy {
          (world.pool.connections[$0].state == .closed) == !(world.open.contains($0) || world.connecting.contains($0))
        })
    }
    let total = world.total
    #expect(total.answers > 0)
    #expect(total.answers + total.errors.values.reduce(0, +) + Int64(world.pool.unsentAtEnd) == 1000)
  }

  /// Users of a closed loop are never lost: after every fault each asks again.
  @Test(arguments: 0..<20 as Range<UInt64>)
  func noUserIsLost(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    func chance(_ share: Double) -> Bool { random.nextUnitDouble() < share }
    var world = World(Self.users(8, think: 5), milliseconds: 3_600_000)
    for _ in 0..<500 {
      world.sleep(until: world.now + Int64(clamping: random.next() % 30) * Self.millisecond)
      while !world.connecting.isEmpty, chance(0.8) { if chance(0.2) { world.refuse() } else { world.connect() } }
      for index in world.open.sorted() where chance(0.6) {
        if chance(0.1) { world.hangUp(index) } else if world.pool.connections[index].carriesRequest { world.receive(index, Self.ok) }
      }
    }
    // Now all goes well: each of them is served again.
    let before = world.written.count
    var served: Set<Int> = []
    for _ in 0..<100 {
      world.sleep(until: world.now + 20 * Self.millisecond)
      while !world.connecting.isEmpty { world.connect() }
      for index in world.open.sorted() where world.pool.connections[index].carriesRequest {
        served.insert(index)
        world.receive(index, Self.ok)
      }
    }
    #expect(served == Set(0..<8) && world.written.count > before + 100)
  }
}
