public import Workload

/// What a run of the load generator sends and when, as a file says it; nil is left to the command line.
public struct LoadScenario: Sendable, Hashable {
  /// How tensors travel.
  public enum Encoding: String, Sendable, Hashable, CaseIterable {
    /// HTTP, tensors behind the JSON.
    case binary
    /// HTTP, tensors in the JSON.
    case json
    /// gRPC.
    case grpc
  }

  /// What inputs are filled with.
  public enum InputData: String, Sendable, Hashable, CaseIterable {
    /// Drawn from the seed.
    case random
    /// Zeros.
    case zero
    /// Files, by input.
    case file
  }

  /// One kind of request.
  public struct Request: Sendable, Hashable {
    /// Who answers it.
    public enum Target: Sendable, Hashable {
      /// A model of a KServe v2 server.
      case model(name: String, version: String?)
      /// Anything that speaks HTTP.
      case path(String, method: String?, bodyFile: String?)
    }

    /// Who answers it.
    public var target: Target
    /// How often it is drawn, relative to the others.
    public var weight = 1.0
    /// Rows of one.
    public var rows = RowDistribution.fixed(1)
    /// What inputs are filled with.
    public var data = InputData.random
    /// Files of inputs, by name.
    public var inputFiles: [String: String] = [:]
    /// Sizes of dimensions the model leaves open, by input, without rows.
    public var shapes: [String: [Int64]] = [:]

    /// A request to that target.
    public init(_ target: Target) { self.target = target }
  }

  /// HOST:PORT, http:// or https://.
  public var url: String?
  /// How tensors travel.
  public var encoding: Encoding?
  /// Headers of every request, as "Name: value".
  public var headers: [String] = []
  /// When requests are sent.
  public var load: OfferedLoad?
  /// Cut off before the window, seconds.
  public var warmUpSeconds: Double?
  /// The window, seconds.
  public var seconds: Double?
  /// Of all draws.
  public var seed: UInt64?
  /// What must not come true.
  public var failOn: [FailCondition] = []
  /// At least one.
  public var requests: [Request]

  /// A scenario of these requests.
  public init(requests: [Request]) { self.requests = requests }
}
