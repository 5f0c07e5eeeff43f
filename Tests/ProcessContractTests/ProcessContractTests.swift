import ProcessContract
import Testing

/// What a parent process reads of a child of the same program.
@Suite struct ProcessContractTests {
  @Test func exitCodesAreThoseOfTheDocumentation() {
    let codes: [ProcessContract.ExitStatus: Int32] = [
      .ok: 0, .failed: 1, .thresholdCrossed: 2, .inconclusive: 3, .runInvalid: 4, .usage: 64, .wrapperFailed: 125, .commandNotRunnable: 126,
      .commandNotFound: 127, .interrupted: 130,
    ]
    #expect(codes.count == ProcessContract.ExitStatus.allCases.count)
    for (status, code) in codes { #expect(status.rawValue == code) }
  }

  @Test(arguments: [
    ServerReady(version: "1", http: "127.0.0.1:8000", grpc: nil, metrics: nil, isReady: true, device: "cpu"),
    ServerReady(version: "1.2", http: nil, grpc: "[::1]:8001", metrics: "0.0.0.0:8002", isReady: false, device: "cuda:0"),
  ]) func aReadyLineReadsBack(ready: ServerReady) throws {
    #expect(!ready.line.contains("\n"))
    #expect(try ServerReady(line: ready.line) == ready)
  }

  @Test func aLineOfAnotherVersionNamesBoth() throws {
    let line = ServerReady(version: "1", http: nil, grpc: nil, metrics: nil, isReady: true, device: "cpu").line
    let other = line.replacing("serve-ready/1", with: "serve-ready/7")
    let error = try #require(throws: ContractError.self) { try ServerReady(line: other) }
    #expect(error.description.contains("headroom.serve-ready/7") && error.description.contains("headroom.serve-ready/1"))
    for broken in ["", "ready", "{}", line.replacing("\"ready\":true", with: "\"ready\":1")] {
      #expect(throws: ContractError.self) { try ServerReady(line: broken) }
    }
  }
}
