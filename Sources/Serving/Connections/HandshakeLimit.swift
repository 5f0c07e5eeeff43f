import NIOCore
import NIOTLS

/// Closes a TLS connection whose handshake does not end in time: until then no limit of the protocol above it has begun.
package final class HandshakeLimit: ChannelInboundHandler, RemovableChannelHandler {
  package typealias InboundIn = ByteBuffer

  private let limit: TimeAmount
  private var timeout: Scheduled<Void>?

  package init(limit: TimeAmount) { self.limit = limit }

  package func handlerAdded(context: ChannelHandlerContext) {
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    timeout = context.eventLoop.scheduleTask(in: limit) { bound.value.close(promise: nil) }
  }

  package func handlerRemoved(context: ChannelHandlerContext) {
    timeout?.cancel()
    timeout = nil
  }

  package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    context.fireUserInboundEventTriggered(event)
    if case .handshakeCompleted? = event as? TLSUserEvent { context.pipeline.syncOperations.removeHandler(self, promise: nil) }
  }
}
