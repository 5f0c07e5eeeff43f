/// Why a call fails, in the words of the reference server (triton-inference-server/core `TRITONSERVER_Error_Code`).
public enum KServeStatus: String, Sendable, Hashable, CaseIterable {
  case unknown, internalError, notFound, invalidArgument, unavailable, unsupported, alreadyExists, cancelled

  /// HTTP status by Triton's mapping (triton-inference-server/server `docs/protocol/README.md`): everything not named there is 400.
  public var httpStatus: Int {
    switch self {
    case .internalError: 500
    case .notFound: 404
    case .unavailable: 503
    case .unsupported: 501
    case .unknown, .invalidArgument, .alreadyExists, .cancelled: 400
    }
  }

  /// gRPC status code (grpc/grpc `doc/statuscodes.md`).
  public var grpcCode: Int {
    switch self {
    case .unknown: 2
    case .internalError: 13
    case .notFound: 5
    case .invalidArgument: 3
    case .unavailable: 14
    case .unsupported: 12
    case .alreadyExists: 6
    case .cancelled: 1
    }
  }
}

/// A call's failure: what the client is told.
public struct KServeError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Decides the HTTP status and the gRPC code.
  public var status: KServeStatus
  /// The text, as the reference server words it where it has the same error.
  public var message: String

  /// An error of this status.
  public init(_ status: KServeStatus, _ message: String) {
    self.status = status
    self.message = message
  }

  /// The message.
  public var description: String { message }
}
