import KServe
import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import HTTPFrontEnd
@testable import Serving

/// Notes the bodies it is given and answers with nothing.
private final class BodyCatcher: HTTPApplication {
  let bodies = Mutex<[[ByteBuffer]]>([])

  func handle(_ exchange: HTTPExchange, inference: inout HTTPInference, answer: @escaping (HTTPAnswer) -> Void) -> InferenceHandle? {
    bodies.withLock { $0.append(exchange.body.slices) }
    answer(HTTPAnswer(contentType: .json, body: []))
    return nil
  }
}

@Suite struct HTTPBodyCopyTests {
  private func storage(_ buffer: ByteBuffer) -> ObjectIdentifier? {
    buffer.withUnsafeReadableBytesWithStorageManagement { _, storage in ObjectIdentifier(storage.takeUnretainedValue()) }
  }

  /// What the application gets of a body are parts of the very buffers that came from the socket: framing copies nothing. With the one copy
  /// into the batch's slot (InferenceServerTests.tensorsAreCopiedOnce) that makes one from socket to slot.
  @Test(arguments: [1, 2, 7, 64]) func framingCopiesNoBody(pieces: Int) throws {
    let catcher = BodyCatcher()
    let channel = EmbeddedChannel(
      handler: HTTPConnection(application: catcher, limits: HTTPLimits(), connections: HTTPConnections(limit: 10)))
    try channel.connect(to: .init(unixDomainSocketPath: "/x")).wait()
    let size = 1 << 20
    try channel.writeInbound(ByteBuffer(string: "POST /v2/models/m/infer HTTP/1.1\r\nContent-Length: \(size)\r\n\r\n"))
    var sent: Set<ObjectIdentifier> = []
    var left = size
    for piece in 0..<pieces {
      let count = piece == pieces - 1 ? left : size / pieces
      let buffer = ByteBuffer(repeating: UInt8(clamping: piece), count: count)
      if let storage = storage(buffer) { sent.insert(storage) }
      left -= count
      try channel.writeInbound(buffer)
    }
    let bodies = catcher.bodies.withLock { $0 }
    #expect(bodies.count == 1)
    #expect(bodies.first?.reduce(0) { $0 + $1.readableBytes } == size)
    for slice in bodies.first ?? [] { #expect(storage(slice).map(sent.contains) == true) }
    _ = try? channel.finish()
  }
}
