import NIOCore
import NIOHTTP2
import Serving
import TimeBase

/// One open call of a connection. Belongs to the connection's event loop.
final class GRPCStream {
  let id: HTTP2StreamID
  let method: GRPCMethod
  /// When the request's head was read.
  let received: Instant
  var assembler: GRPCMessageAssembler

  /// `grpc-encoding`; nil for identity.
  var encoding: String?
  var bearerToken: String?
  /// `headroom-require-real: 1`.
  var requiresReal = false
  /// `triton_grpc_error: true`: a failed inference ends a ModelStreamInfer with its status.
  var endsOnError = false

  /// The client has sent everything.
  var isHalfClosed = false
  /// A message of a unary call was taken; there may be no second one.
  var message: ByteBuffer?
  /// The response's head was sent.
  var hasSentHead = false
  /// The trailers were sent.
  var isFinished = false
  /// The client's window was let run low because too much waits.
  var isWindowHeld = false
  /// What has come of the request waits until the client has taken more.
  var isWaiting = false
  /// It stands in the connection's queue of those that wait.
  var isQueued = false
  /// The end of the request was acted on.
  var isRequestTaken = false

  /// Bytes of answers that will be reported when they have gone to the socket, by a promise or by the stream's end.
  var unsent = 0
  /// Bytes of answers behind the last promise.
  var unconfirmed = 0
  /// Bytes expected of the answers of inferences in progress.
  var expected = 0

  /// Inferences that were started and not answered, by a number of their own. A unary call has only number 0.
  var handles: [(number: Int, handle: InferenceHandle)] = []
  /// The number that was answered before its handle was known.
  private var answeredEarly: Int?
  var outstanding = 0
  var nextNumber = 0
  /// Streamed answers that wait for earlier ones, by their number, and the number that is due.
  var early: [Int: [ByteBuffer]] = [:]
  var nextToSend = 0
  var deadline: Scheduled<Void>?
  var watch: RepeatedTask?
  var lastHealth: HealthStatus?

  init(id: HTTP2StreamID, method: GRPCMethod, received: Instant, maximumBytes: Int) {
    self.id = id
    self.method = method
    self.received = received
    assembler = GRPCMessageAssembler(maximumBytes: maximumBytes)
  }

  /// Lets go of an inference's handle; the bytes that were expected of it.
  func answered(_ number: Int) -> Int {
    if let place = handles.firstIndex(where: { $0.number == number }) {
      return handles.remove(at: place).handle.expectedBytes
    }
    answeredEarly = number
    return 0
  }

  /// Whether this inference was answered before its handle was known.
  func forgetAnswered(_ number: Int) -> Bool {
    defer { answeredEarly = nil }
    return answeredEarly == number
  }

  /// Stops what still runs for the call.
  func abandon() {
    deadline?.cancel()
    deadline = nil
    watch?.cancel()
    watch = nil
    let running = handles
    handles = []
    for (_, handle) in running { handle.cancel() }
  }
}
