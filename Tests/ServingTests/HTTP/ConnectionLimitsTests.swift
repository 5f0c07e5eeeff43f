import Glibc
import NIOCore
import NIOEmbedded
import NIOTLS
import Synchronization
import Testing

@testable import Serving

@Suite struct ConnectionLimitsTests {
  @Test func aHandshakeThatDoesNotEndIsGivenUp() throws {
    let channel = EmbeddedChannel(handler: HandshakeLimit(limit: .seconds(30)))
    try channel.connect(to: .init(unixDomainSocketPath: "/x")).wait()
    channel.embeddedEventLoop.advanceTime(by: .seconds(29))
    #expect(channel.isActive)
    channel.embeddedEventLoop.advanceTime(by: .seconds(1))
    #expect(!channel.isActive)
  }

  @Test func aHandshakeThatEndedHasNoLimit() throws {
    let channel = EmbeddedChannel(handler: HandshakeLimit(limit: .seconds(30)))
    try channel.connect(to: .init(unixDomainSocketPath: "/x")).wait()
    channel.pipeline.fireUserInboundEventTriggered(TLSUserEvent.handshakeCompleted(negotiatedProtocol: nil))
    channel.embeddedEventLoop.advanceTime(by: .seconds(60))
    #expect(channel.isActive)
    #expect(throws: (any Error).self) { try channel.pipeline.syncOperations.handler(type: HandshakeLimit.self) }
    _ = try? channel.finish()
  }

  @Test func wantOfDescriptorsIsSaidOnceForAWhileOfIt() throws {
    let said = Mutex<[String]>([])
    let channel = EmbeddedChannel(handler: AcceptWatch("HTTP") { text in said.withLock { $0.append(text) } })
    for _ in 0..<5 { channel.pipeline.fireErrorCaught(IOError(errnoCode: EMFILE, reason: "accept")) }
    channel.pipeline.fireErrorCaught(IOError(errnoCode: ECONNABORTED, reason: "accept"))
    #expect(said.withLock { $0.count } == 1)
    #expect(said.withLock { $0.first }?.contains("Too many open files") == true)
    // Neither is an error of the listener; others are.
    try channel.throwIfErrorCaught()
    channel.pipeline.fireErrorCaught(IOError(errnoCode: EBADF, reason: "accept"))
    #expect(throws: IOError.self) { try channel.throwIfErrorCaught() }
    _ = try? channel.finish()
  }
}
