import NIOCore
import NIOEmbedded
import Testing

@testable import HTTPFrontEnd
@testable import Serving

/// A listener's connections against their limit.
@Suite struct HTTPConnectionsTests {
  private struct Quiet: HTTPApplication {
    func handle(_ exchange: HTTPExchange, inference: inout HTTPInference, answer: @escaping (HTTPAnswer) -> Void) -> InferenceHandle? {
      nil
    }
  }

  @Test func noMoreThanTheLimitAreOpen() throws {
    let connections = HTTPConnections(limit: 2)
    func open() -> HTTPConnection? {
      connections.enter() ? HTTPConnection(application: Quiet(), limits: HTTPLimits(), connections: connections) : nil
    }
    let loop = EmbeddedEventLoop()
    let first = try #require(open())
    connections.add(first, on: loop)
    let second = try #require(open())
    connections.add(second, on: loop)
    #expect(open() == nil && connections.current == 2)
    connections.leave(first)
    #expect(connections.current == 1)
    #expect(open() != nil && open() == nil)
  }

  /// It was accepted before the listener closed and comes after everybody was told.
  @Test func aConnectionThatComesDuringADrainIsToldToo() throws {
    let connections = HTTPConnections(limit: 2)
    connections.drain(grace: .seconds(1))
    #expect(connections.enter())
    let connection = HTTPConnection(application: Quiet(), limits: HTTPLimits(), connections: connections)
    let channel = EmbeddedChannel()
    try channel.pipeline.syncOperations.addHandler(connection)
    try channel.connect(to: .init(unixDomainSocketPath: "/x")).wait()
    #expect(!connection.isDraining)
    connections.add(connection, on: channel.eventLoop)
    #expect(connection.isDraining)
    channel.embeddedEventLoop.advanceTime(by: .seconds(4))
    #expect(!channel.isActive && connections.current == 0)
  }

  @Test func whatIsUnsentCountsOverAllConnections() {
    let unsent = UnsentBytes(limit: 100)
    unsent.change(by: 60)
    unsent.change(by: 40)
    #expect(unsent.current == 100 && !unsent.isExceeded)
    unsent.change(by: 1)
    #expect(unsent.isExceeded)
    unsent.change(by: -101)
    #expect(unsent.current == 0 && !unsent.isExceeded)
  }
}
