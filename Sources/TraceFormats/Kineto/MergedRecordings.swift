import CheckedNumbers
import Trace

/// Gives device work of a merged file to the process that launched it. A correlation alone does not tell, as every process counts its own: the
/// launch must also have begun before the work did, and of several such the nearest counts.
struct MergedRecordings {
  /// What a piece of device work is, for the kind of call that may have launched it.
  enum Work { case kernel, copy, fill }

  /// A call that may have launched a piece of work.
  private struct Candidate {
    var process: Int64
    /// It is of the work's kind.
    var fits: Bool
    /// From its start to the work's, nanoseconds.
    var delay: Int64
    var start: Int64
    var isGraph: Bool
  }

  /// What the rows of a stream say of a process.
  private struct Vote {
    /// Rows that only this process can have launched.
    var certain = 0
    /// Rows that it can have launched.
    var possible = 0
    /// Of these, how many break the order: a stream runs work as it was launched, and a call launches one kernel or a graph.
    var disorder = 0
    var lastLaunch = Int64.min
  }

  /// Processes with API calls.
  private let processes: [Int64]
  private let index: CorrelationIndex
  private let starts: [Int64]
  private let names: [NameID]
  /// By position in the table of names: the work that a call of that name launches.
  private let launches: [Work?]
  private let isGraph: [Bool]
  /// Votes of a stream by process.
  private var votes: [Int32: [Int64: Vote]] = [:]

  /// Host and device clocks are joined to within microseconds: work may seem to begin that much before its launch, nanoseconds.
  private static let clockError: Int64 = 2_000
  /// A stream whose certain rows belong to one process by this share belongs to it.
  private static let decidingShare = 0.9
  /// Where more rows than this share break the order, several processes' work stands in one stream.
  private static let largestDisorder = 0.05

  init(_ trace: Trace, processes: [Int64]) {
    self.processes = processes
    index = CorrelationIndex(trace.apiCalls)
    starts = trace.apiCalls.start
    names = trace.apiCalls.name
    isGraph = trace.names.texts.map { $0.contains("GraphLaunch") }
    launches = trace.names.texts.map { name in
      if name.contains("Memcpy") { return .copy }
      if name.contains("Memset") { return .fill }
      return name.contains("Launch") ? .kernel : nil
    }
  }

  private func candidates(_ work: Work, _ start: Int64, _ correlation: Int64, among: [Int64]) -> [Candidate] {
    if correlation == Trace.unknown { return [] }
    var found: [Candidate] = []
    for process in among {
      guard let row = index.apiCall(process: process, correlation: correlation) else { continue }
      let delay = start.subtractingSaturated(starts[row])
      if delay < -Self.clockError { continue }
      let name = Int(names[row].rawValue)
      let isNamed = launches.indices.contains(name)
      found.append(
        Candidate(
          process: process, fits: isNamed && launches[name] == work, delay: delay, start: starts[row], isGraph: isNamed && isGraph[name]))
    }
    return found
  }

  /// Counts what a row says of its stream. Rows must come in the order of their starts.
  mutating func vote(_ work: Work, stream: Int32, start: Int64, correlation: Int64, among: [Int64]?) {
    let found = candidates(work, start, correlation, among: among ?? processes)
    for candidate in found {
      var vote = votes[stream]?[candidate.process] ?? Vote()
      if found.count == 1 { vote.certain += 1 }
      vote.possible += 1
      if candidate.start < vote.lastLaunch || candidate.start == vote.lastLaunch && !candidate.isGraph { vote.disorder += 1 }
      vote.lastLaunch = candidate.start
      votes[stream, default: [:]][candidate.process] = vote
    }
  }

  /// The process of a row; unknown where nothing tells.
  func process(_ work: Work, stream: Int32, start: Int64, correlation: Int64, among: [Int64]?) -> Int64 {
    let usual = usual(of: stream)
    var found = candidates(work, start, correlation, among: among ?? processes)
    if found.isEmpty { return usual ?? Trace.unknown }
    if found.contains(where: \.fits) { found = found.filter(\.fits) }
    if found.count > 1, let usual, found.contains(where: { $0.process == usual }) { return usual }
    return found.min { ($0.delay, $0.process) < ($1.delay, $1.process) }?.process ?? Trace.unknown
  }

  /// The process that nearly all certain rows of a stream belong to, if the stream's order can be its launches'.
  private func usual(of stream: Int32) -> Int64? {
    guard let counts = votes[stream] else { return nil }
    let orderly = counts.filter { Double($0.value.disorder) <= Self.largestDisorder * Double($0.value.possible) }
    guard
      let most = orderly.max(by: { ($0.value.certain, $0.value.possible, $1.key) < ($1.value.certain, $1.value.possible, $0.key) })
    else { return nil }
    let certain = counts.values.reduce(0) { $0 + $1.certain }
    if certain == 0 { return orderly.count == 1 ? most.key : nil }
    return Double(most.value.certain) >= Self.decidingShare * Double(certain) ? most.key : nil
  }
}
