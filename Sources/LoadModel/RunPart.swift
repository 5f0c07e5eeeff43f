import CheckedNumbers
import JSONText
import ProcessContract

/// One process's part of a run that several share, as its histogram log carries it: enough to tell whether all parts are there and belong
/// together, and to add them up.
public struct RunPart: Sendable, Equatable {
  /// What it found out, without the histograms, which are in the log: those of its kinds of requests by `tag(ofGroup:)`.
  public var result: LoadResult
  /// When the run was to start, seconds since 1970.
  public var startEpochSeconds: Double
  /// How long after that this part was ready, seconds; 0 where it was in time.
  public var lateSeconds: Double
  /// How long the window was to be, seconds.
  public var plannedSeconds: Double
  /// Whose figures they are: found while the histograms were at hand.
  public var verdict: ClientVerdict.Kind

  /// Which part of how many.
  public var share: RunShare { result.share }

  /// Under what a kind's latencies stand in the log: names may have anything in them, a tag may not.
  public static func tag(ofGroup index: Int) -> String { "request-\(index)" }

  /// Histograms of a part, by their tag in its log.
  public enum Tag: String, Sendable, CaseIterable {
    /// `LoadResult.uncorrected`.
    case uncorrected
    /// `ClientHealth.sendLag`.
    case sendLag = "send-lag"
    /// `ClientHealth.schedulingLag`.
    case schedulingLag = "scheduling-lag"
  }

  /// The part that a result is.
  public init(_ result: LoadResult, startEpochSeconds: Double, lateSeconds: Double, plannedSeconds: Double) {
    self.startEpochSeconds = startEpochSeconds
    self.lateSeconds = lateSeconds
    self.plannedSeconds = plannedSeconds
    verdict = result.verdict.kind
    var bare = result
    (bare.latency, bare.uncorrected) = (Histogram(), Histogram())
    (bare.health.sendLag, bare.health.schedulingLag) = (Histogram(), Histogram())
    for index in bare.groups.indices { bare.groups[index].latency = Histogram() }
    self.result = bare
  }

  // MARK: As a comment of a log

  static let schema = "headroom.load-part/2"
  static let marker = "#[Headroom part: "

  /// The comment's line.
  var comment: String {
    let value: JSONValue = [
      "schema": .string(Self.schema), "start": JSONValue(startEpochSeconds), "lateSeconds": JSONValue(lateSeconds),
      "plannedSeconds": JSONValue(plannedSeconds), "verdict": .string(verdict.rawValue), "result": result.document(histograms: .beside),
    ]
    return Self.marker + value.serialized(pretty: false) + "]\n"
  }

  /// Reads a comment's line; nil for any other comment.
  init?(comment line: some StringProtocol) throws(LoadInputError) {
    guard line.hasPrefix(Self.marker), line.hasSuffix("]") else { return nil }
    let what = "the line that says which part of a run this is"
    let tree: JSONValue
    do { tree = try JSONValue.parse(String(line.dropFirst(Self.marker.count).dropLast())) } catch {
      throw LoadInputError("\(what) cannot be read: \(error)")
    }
    do throws(ContractError) { try ContractError.check(tree["schema"]?.stringValue, is: Self.schema, in: what) } catch {
      throw LoadInputError(error.description)
    }
    let fields = ResultFields(tree, "")
    startEpochSeconds = try fields.number("start")
    lateSeconds = try fields.number("lateSeconds")
    plannedSeconds = try fields.number("plannedSeconds")
    verdict = try fields.parsed("verdict") { ClientVerdict.Kind(rawValue: $0) }
    result = try LoadResult(document: tree["result"] ?? .null)
  }
}
