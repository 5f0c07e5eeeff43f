import Testing
import TimeBase
import Trace

@testable import TraceFormats

/// Request traces of a server, and the join of its clock with that of a trace of its GPU.
@Suite struct TritonTraceTests {
  static func entry(_ id: Int, start: Int64, length: Int64) -> String {
    """
    {"id": \(id), "model_name": "linear", "model_version": 1, "request_id": "\(900 + id)"},
    {"id": \(id), "timestamps": [{"name": "HTTP_RECV_START", "ns": \(start - 900)}, {"name": "HTTP_RECV_END", "ns": \(start - 800)},
      {"name": "REQUEST_START", "ns": \(start - 790)}, {"name": "QUEUE_START", "ns": \(start - 700)}, {"name": "COMPUTE_START", "ns": \(start)}]},
    {"id": \(id), "timestamps": [{"name": "COMPUTE_INPUT_END", "ns": \(start + 10)}, {"name": "COMPUTE_OUTPUT_START", "ns": \(start + length - 10)},
      {"name": "COMPUTE_END", "ns": \(start + length)}, {"name": "REQUEST_END", "ns": \(start + length + 5)}, {"name": "HTTP_SEND_END", "ns": \(start + length + 50)}]}
    """
  }

  static func read(_ text: String) throws -> TritonTrace { try TritonTrace(Array(text.utf8), path: "x") }

  @Test func entriesOfOneIdAreOneRequest() throws {
    let trace = try Self.read("[" + Self.entry(1, start: 10_000, length: 500) + "," + Self.entry(2, start: 10_000, length: 500) + "]")
    #expect(trace.requests.count == 2)
    let request = trace.requests[0]
    #expect(request.id == 1 && request.model == "linear" && request.requestID == 901)
    #expect(request.received == 9100 && request.parsed == 9200 && request.queued == 9300 && request.computeStart == 10_000)
    #expect(request.inputEnd == 10_010 && request.outputStart == 10_490 && request.computeEnd == 10_500 && request.responseEnd == 10_550)
  }

  @Test func requestsOfABatchShareTheMomentItBegan() throws {
    let requests = [(1, Int64(10_000)), (2, 10_000), (3, 20_000)].map { Self.entry($0.0, start: $0.1, length: 500) }
    var trace = Trace()
    try Self.read("[" + requests.joined(separator: ",") + "]").add(to: &trace, offset: 1_000_000)
    #expect(trace.batches.requests == [2, 1] && trace.batches.gatherStart == [1_010_000, 1_020_000])
    #expect(trace.requests.batch == [1, 1, 2] && trace.requests.id == [901, 902, 903])
    #expect(
      trace.requests.responseStart == [Trace.unknown, Trace.unknown, Trace.unknown]
        && trace.requests.rows.allSatisfy { $0 == Trace.unknown32 })
  }

  @Test func filesOfAServerThatWasKilledAreRead() throws {
    let text = "[" + Self.entry(1, start: 10_000, length: 500) + "," + Self.entry(2, start: 30_000, length: 500)
    let cut = try Self.read(String(text.dropLast(150)))
    #expect(cut.requests.count == 2 && cut.notes.contains { $0.kind == .incomplete })
    #expect(throws: TraceImportError.self) { try Self.read("[]") }
    #expect(throws: TraceImportError.self) { try Self.read("hello") }
    for length in 0..<text.utf8.count { _ = try? Self.read(String(decoding: Array(text.utf8)[..<length], as: UTF8.self)) }
  }

  /// Batches at irregular times, and the GPU's work in them on another clock: 20 kernels each, beginning 30 us in and ending 40 us before the
  /// end, give or take 10.
  static func run(offset: Int64, period: Int64, jitter: Int64) throws -> (TritonTrace, Trace) {
    var random = SplitMix64(seed: 5)
    func below(_ limit: Int64) -> Int64 { Int64(clamping: random.next() % UInt64(clamping: max(1, limit))) }
    var trace = Trace()
    let name = trace.names.intern("k")
    let kernel = trace.intern(KernelDescription(demangledName: name, shortName: name, grid: (1, 1, 1), block: (1, 1, 1)))
    let stream = trace.intern(StreamDescription(process: Trace.unknown, device: 0, stream: 7))
    var entries: [String] = []
    var time: Int64 = 5_000_000_000
    for id in 0..<200 {
      time += period + below(jitter)
      let length: Int64 = 800_000
      entries.append(entry(id, start: time, length: length))
      // The profiler saw the middle of the run alone.
      guard (50..<150).contains(id) else { continue }
      let begin = time + offset + 30_000 + below(10_000)
      let end = time + offset + length - 40_000 - below(10_000)
      for index in 0..<20 {
        let start = begin + (end - begin) * Int64(index) / 20
        trace.kernels.append(
          KernelEvent(start: start, end: index == 19 ? end : start + 6000, description: kernel, stream: stream, correlation: Int64(index)))
      }
    }
    return (try read("[" + entries.joined(separator: ",") + "]"), trace)
  }

  @Test func clocksAreJoinedWithinTheResidual() throws {
    for offset in [Int64(1_790_857_026_000_000_000), 0, -4_000_000_000] {
      let (triton, trace) = try Self.run(offset: offset, period: 1_000_000, jitter: 3_000_000)
      let join = try #require(ClockJoin(triton.requests, trace))
      #expect(abs(join.offset - offset) <= join.residual, "\(join) for \(offset)")
      #expect(join.residual < 60_000 && join.matched == 100 && !join.isAmbiguous, "\(join)")
    }
  }

  @Test func aSteadyRhythmIsAmbiguous() throws {
    let (triton, trace) = try Self.run(offset: 12345, period: 2_000_000, jitter: 1)
    #expect(try #require(ClockJoin(triton.requests, trace)).isAmbiguous)
  }

  @Test func whatDoesNotFitIsNotJoined() throws {
    let (triton, trace) = try Self.run(offset: 0, period: 1_000_000, jitter: 3_000_000)
    #expect(ClockJoin(triton.requests, Trace()) == nil && ClockJoin([], trace) == nil)
  }
}
