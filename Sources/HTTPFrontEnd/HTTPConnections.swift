import NIOCore
import Synchronization

/// The connections of a listener, against a limit.
final class HTTPConnections: Sendable {
  private struct State {
    var count = 0
    var open: [ObjectIdentifier: NIOLoopBound<HTTPConnection>] = [:]
    var grace: TimeAmount?
  }

  private let state = Mutex(State())
  let limit: Int

  init(limit: Int) { self.limit = limit }

  /// False where the limit is reached; then `leave` must not be called.
  func enter() -> Bool {
    state.withLock { state in
      guard state.count < limit else { return false }
      state.count += 1
      return true
    }
  }

  /// A connection that has entered and is to be told of the end. On its loop.
  func add(_ connection: HTTPConnection, on loop: any EventLoop) {
    let bound = NIOLoopBound(connection, eventLoop: loop)
    let grace = state.withLock { state in
      state.open[ObjectIdentifier(connection)] = bound
      return state.grace
    }
    if let grace { connection.drain(grace: grace) }
  }

  func leave(_ connection: HTTPConnection) {
    let identifier = ObjectIdentifier(connection)
    state.withLock { state in
      state.count -= 1
      state.open[identifier] = nil
    }
  }

  /// Tells all, and whoever still comes, that the server ends. From any thread.
  func drain(grace: TimeAmount) {
    let open = state.withLock { state in
      state.grace = grace
      return Array(state.open.values)
    }
    for connection in open { connection.eventLoop.execute { connection.value.drain(grace: grace) } }
  }

  var current: Int { state.withLock { $0.count } }
}
