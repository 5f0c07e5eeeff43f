import FileAccess
import Testing
import Trace

@testable import TraceFormats

/// Files that tools join of the recordings of several processes, as each tool writes them.
@Suite struct MergedRecordingTests {
  /// How a tool tells recordings apart.
  enum Style: CaseIterable {
    /// "[TP01] 4711", as SGLang's profiler.
    case textBeforeTheNumber
    /// `args.rank`, and numbers shifted by rank, as TraceLens' TraceFuse.
    case rankInTheArguments
    /// Nothing: the files one behind the other. Each process has a GPU of its own ordinal.
    case concatenated
  }

  /// Two ranks with the same correlations, each with its own GPU. Rank 1 runs half a millisecond later, its kernels twice as long.
  static func document(_ style: Style, devices: [Int] = [0, 1], withCalls: [Bool] = [true, true], apart: Int = 500) -> String {
    var events: [String] = []
    for rank in 0..<2 {
      func pid(_ number: Int) -> String {
        switch style {
        case .textBeforeTheNumber: "\"[TP0\(rank)] \(number)\""
        case .rankInTheArguments: "\(number + rank * 100_000)"
        case .concatenated: "\(number)"
        }
      }
      let rankArgument = style == .rankInTheArguments ? "\"rank\": \(rank), " : ""
      for step in 0..<10 {
        let time = 1000 + step * 100 + rank * apart
        if withCalls[rank] {
          events.append(
            """
            {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": \(pid(4711 + rank)), "tid": 9, "ts": \(time), "dur": 4,
             "args": {\(rankArgument)"correlation": \(step + 1)}}
            """)
        }
        events.append(
          """
          {"ph": "X", "cat": "kernel", "name": "k", "pid": \(pid(devices[rank])), "tid": 7, "ts": \(time + 8), "dur": \(20 * (rank + 1)),
           "args": {\(rankArgument)"device": \(devices[rank]), "stream": 7, "context": 1, "correlation": \(step + 1)}}
          """)
      }
    }
    return "{\"traceEvents\": [\(events.joined(separator: ",\n"))]}"
  }

  /// Rows of kernels by what launched them: how long after its launch each began, nanoseconds.
  private static func delays(_ trace: Trace) -> [Int64?] {
    let index = CorrelationIndex(trace)
    return trace.kernels.indices.map { row in
      index.apiCall(process: trace[trace.kernels.stream[row]].process, correlation: trace.kernels.correlation[row]).map {
        trace.kernels.start[row] - trace.apiCalls.start[$0]
      }
    }
  }

  @Test(arguments: Style.allCases, [500, 40]) func aKernelBelongsToItsOwnProcessLaunch(_ style: Style, apart: Int) throws {
    let imported = try KinetoImporterTests.read(Self.document(style, apart: apart))
    let trace = imported.trace
    #expect(trace.kernels.count == 20)
    #expect(Self.delays(trace).allSatisfy { $0 == 8_000 })
    #expect(Set(trace.streams.map(\.process)).count == 2)
    #expect(imported.notes.contains { $0.kind == .merged && $0.text.hasPrefix("recordings of 2 processes") })
  }

  @Test(arguments: [Style.textBeforeTheNumber, .rankInTheArguments]) func ranksThatAllCallTheirGPUZeroHaveDifferentOnes(_ style: Style)
    throws
  {
    let trace = try KinetoImporterTests.read(Self.document(style, devices: [0, 0])).trace
    #expect(Self.delays(trace).allSatisfy { $0 == 8_000 })
    let gpus = Set(trace.kernels.stream.map { trace.gpu(of: trace[$0])?.id })
    #expect(gpus.count == 2 && !gpus.contains(nil))
    let names = Set(trace.kernels.stream.map { trace.gpu(of: trace[$0])?.name })
    #expect(names == (style == .textBeforeTheNumber ? ["TP00", "TP01"] : ["rank 0", "rank 1"]))
  }

  @Test(arguments: [500, 40]) func processesThatNothingTellsApartShareTheGPUTheyName(apart: Int) throws {
    let trace = try KinetoImporterTests.read(Self.document(.concatenated, devices: [0, 0], apart: apart)).trace
    // Launches of the other process with the same correlation lie before half of them: the nearest counts.
    #expect(Self.delays(trace).allSatisfy { $0 == 8_000 })
    #expect(trace.cudaDevices.isEmpty)
  }

  @Test func aRankWhoseCallsWereLeftOutJoinsNoneOfAnothers() throws {
    let trace = try KinetoImporterTests.read(Self.document(.textBeforeTheNumber, devices: [0, 0], withCalls: [true, false])).trace
    let delays = Self.delays(trace)
    #expect(delays.count { $0 == 8_000 } == 10 && delays.count { $0 == nil } == 10)
    #expect(Set(trace.kernels.stream.map { trace.gpu(of: trace[$0])?.name }) == ["TP00", "TP01"])
  }

  @Test func oneProcessIsNoMergedFile() throws {
    let imported = try KinetoImporterTests.read("{\"traceEvents\": [\(KinetoImporterTests.kernel), \(KinetoImporterTests.launch)]}")
    #expect(!imported.notes.contains { $0.kind == .merged })
  }

  @Test func whatStandsBeforeAProcesssNumberNamesTheRecording() {
    #expect(RecordingTracks.label("[TP01] 4711") == "TP01")
    #expect(RecordingTracks.label("[TP01-DP02] 0") == "TP01-DP02")
    #expect(RecordingTracks.label("rank3_0") == "rank3")
    #expect(RecordingTracks.label("1_4711") == "1")
    #expect(RecordingTracks.label("Spans") == "")
    #expect(RecordingTracks.label("4711") == "")
    #expect(RecordingTracks.label("") == "")
  }

  // MARK: - Other join keys

  @Test func anArrowJoinsWhereTheArgumentsDoNot() throws {
    let trace = try KinetoImporterTests.read(
      """
      [{"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 5, "tid": 6, "ts": 10, "dur": 4, "args": {"External id": 3}},
       {"ph": "s", "id": 77, "pid": 5, "tid": 6, "ts": 10, "cat": "ac2g", "name": "ac2g"},
       {"ph": "X", "cat": "kernel", "name": "k", "pid": 0, "tid": 7, "ts": 20, "dur": 4, "args": {"External id": 4}},
       {"ph": "f", "id": 77, "pid": 0, "tid": 7, "ts": 20, "cat": "ac2g", "name": "ac2g", "bp": "e"},
       {"ph": "f", "id": 78, "pid": 0, "tid": 7, "ts": 20, "cat": "ac2g", "name": "ac2g", "bp": "e"}]
      """
    ).trace
    #expect(trace.apiCalls.correlation == [77] && trace.kernels.correlation == [77])
  }

  @Test func theOperatorsIDJoinsWhereAFileHasNoCorrelations() throws {
    func events(_ more: String) -> String {
      """
      [{"ph": "X", "cat": "cuda_runtime", "name": "hipLaunchKernel", "pid": 5, "tid": 6, "ts": 10, "dur": 4, "args": {"External id": 3}},
       {"ph": "X", "cat": "kernel", "name": "k", "pid": 0, "tid": 7, "ts": 20, "dur": 4, "args": {"External id": 3\(more)}}]
      """
    }
    let trace = try KinetoImporterTests.read(events("")).trace
    #expect(trace.apiCalls.correlation == [3] && trace.kernels.correlation == [3])
    // Two number spaces are not mixed.
    let mixed = try KinetoImporterTests.read(events(", \"correlation\": 3")).trace
    #expect(mixed.apiCalls.correlation == [Trace.unknown] && mixed.kernels.correlation == [3])
  }
}
