import Testing

@testable import LoadResults

/// Results of five load generators, in the forms their programs write them.
@Suite struct LoadResultTests {
  static func read(_ text: String) throws -> [ObservedLoad] { try LoadResultReader.parse(Array(text.utf8), path: "x") }

  static let locustHeader = """
    Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%
    """

  @Test func locustsStatisticsAreRead() throws {
    let loads = try Self.read(
      Self.locustHeader + "\r\n" + """
        POST,"/v2/models/a, b/infer",140217,17,390,408.5,3.2,1200,512,1151.5,0.5,390,420,440,460,510,560,600,640,900,1100,1200\r
        ,Aggregated,140217,17,390,408.5,3.2,1200,512,1151.5,0.5,390,420,440,460,510,560,600,640,900,1100,1200\r

        """)
    #expect(loads.map(\.name) == ["", "POST /v2/models/a, b/infer"])
    let total = loads[0]
    #expect(total.tool == .locust && total.loop == .closed && total.requests == 140_217 && total.failures == 17)
    #expect(total.requestsPerSecond == 1151 && total.meanSeconds == 0.4085)
    #expect(
      total.seconds(at: 99) == 0.64 && total.seconds(at: 99.99) == 1.1 && total.seconds(at: 100) == 1.2 && total.percentiles.count == 11)
    #expect(try #require(total.seconds) > 121 && total.remarks.count == 1)
  }

  @Test func locustsHistoryGivesUsersAndTheRateOfItsSecondHalf() throws {
    let text = """
      Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,95%,Total Request Count,Total Failure Count,Total Average Response Time
      1000,10,,Aggregated,0,0,N/A,N/A,0,0,0
      1010,1000,,Aggregated,500,0,10,20,5000,0,11
      1020,1000,,Aggregated,1000,1,12,30,15000,10,12
      """
    let load = try #require(try Self.read(text).first)
    #expect(
      load.concurrency == 1000 && load.requests == 10_000 && load.failures == 10 && load.requestsPerSecond == 999 && load.seconds == 10)
    #expect(load.seconds(at: 95) == 0.03 && load.meanSeconds == 0.012)
  }

  @Test(arguments: [
    #"{"metrics": {"http_reqs": {"count": 3000, "rate": 100.0}, "http_req_failed": {"passes": 30, "fails": 2970, "value": 0.01}, "vus_max": {"value": 8, "min": 8, "max": 8}, "http_req_duration": {"avg": 10, "min": 1, "med": 9, "max": 50, "p(90)": 20, "p(99.9)": 45}}}"#,
    #"{"state": {"testRunDurationMs": 30000}, "metrics": {"http_reqs": {"type": "counter", "contains": "default", "values": {"count": 3000, "rate": 100}}, "http_req_failed": {"values": {"rate": 0.01, "passes": 30, "fails": 2970}}, "vus_max": {"values": {"value": 8}}, "http_req_duration": {"type": "trend", "values": {"avg": 10, "med": 9, "max": 50, "p(90)": 20, "p(99.9)": 45}}}}"#,
  ])
  func k6sSummariesAreRead(text: String) throws {
    let load = try #require(try Self.read(text).first)
    #expect(load.tool == .k6 && load.requests == 3000 && load.failures == 30 && load.requestsPerSecond == 99 && load.seconds == 30)
    #expect(load.concurrency == 8 && load.meanSeconds == 0.01)
    #expect(load.percentiles.map(\.percent) == [50, 90, 99.9, 100] && load.seconds(at: 99.9) == 0.045)
  }

  @Test func k6sPointsAreCounted() throws {
    var lines = [#"{"type":"Metric","data":{"name":"http_req_duration","type":"trend"},"metric":"http_req_duration"}"#]
    for second in 10..<30 {
      lines.append(
        #"{"metric":"http_req_duration","type":"Point","data":{"time":"2026-11-26T23:59:\#(second).500000000+01:00","value":100.0,"tags":{}}}"#
      )
      lines.append(
        #"{"metric":"http_req_failed","type":"Point","data":{"time":"2026-11-26T23:59:\#(second).5+01:00","value":\#(second == 12 ? 1 : 0)}}"#
      )
    }
    lines.append(#"{"metric":"vus","type":"Point","data":{"time":"2026-11-26T22:59:29Z","value":7}}"#)
    lines.append(#"{"metric":"http_req_duration","type":"Point","data":{"ti"#)
    let load = try #require(try Self.read(lines.joined(separator: "\n")).first)
    #expect(load.requests == 20 && load.failures == 1 && load.concurrency == 7)
    #expect(abs(try #require(load.meanSeconds) - 0.1) < 1e-12)
    #expect(abs(try #require(load.seconds) - 19.1) < 1e-3)
    #expect(load.remarks == ["1 lines could not be read"])
    // Midnight, a leap day and time zones.
    func distance(_ first: String, _ second: String) throws -> Double {
      try #require(K6Result.seconds(second)) - (try #require(K6Result.seconds(first)))
    }
    #expect(try distance("2024-02-28T23:59:59Z", "2024-03-01T00:00:00Z") == 86401)
    #expect(try distance("2026-12-31T23:00:00-01:00", "2027-01-01T01:00:00+01:00") == 0)
    #expect(K6Result.seconds("yesterday") == nil)
  }

  @Test func vegetasReportIsRead() throws {
    let load = try #require(
      try Self.read(
        #"{"latencies":{"total":237119463,"mean":2371194,"50th":2854306,"90th":3228223,"95th":3478629,"99th":3530000,"max":3660505,"min":1949582},"bytes_in":{"total":606700,"mean":6067},"duration":990000000,"wait":2000000,"requests":100,"rate":101.01,"throughput":98.2,"success":0.98,"status_codes":{"200":98,"500":2},"errors":["500"]}"#
      ).first)
    #expect(load.tool == .vegeta && load.loop == .open && load.requests == 100 && load.failures == 2 && load.requestsPerSecond == 98.2)
    #expect(load.seconds == 0.99 && load.seconds(at: 99) == 0.00353 && load.meanSeconds == 0.002371194)
  }

  @Test func perfAnalyzersTableIsRead() throws {
    let loads = try Self.read(
      """
      Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,Server Compute Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency
      1,500.5,40,300,20,10,1500,15,3,1900,2000,2100,2500
      8,900,50,400,4000,12,1600,16,4,8000,9000,9500,12000
      """)
    #expect(loads.map(\.name) == ["concurrency 1", "concurrency 8"] && loads.map(\.concurrency) == [1, 8])
    #expect(loads[1].rowsPerSecond == 900 && loads[1].requestsPerSecond == nil && loads[1].seconds(at: 99) == 0.012)
    #expect(loads[1].server == .init(queue: 0.004, computeInput: 12e-6, computeInfer: 0.0016, computeOutput: 16e-6))
    let open = try Self.read("Request Rate,Inferences/Second,p50 latency\n100,99.5,1000\n")
    #expect(open[0].loop == .open && open[0].name == "rate 100/s")
  }

  @Test func perfAnalyzersExportIsCountedInItsWindows() throws {
    let requests = (0..<100).map {
      #"{"timestamp": \#(1_000_000_000 + $0 * 10_000_000), "response_timestamps": [\#(1_002_000_000 + $0 * 10_000_000)]}"#
    }
    let text =
      #"{"experiments": [{"experiment": {"mode": "concurrency", "value": 4}, "requests": [\#(requests.joined(separator: ",")), {"timestamp": 5, "response_timestamps": []}], "window_boundaries": [1000000000, 1500000000]}], "version": "2.51"}"#
    let load = try #require(try Self.read(text).first)
    #expect(load.name == "concurrency 4" && load.requestsPerSecond == 100 && load.failures == 1 && load.seconds == 0.5)
    #expect(load.seconds(at: 50).map { abs($0 - 0.002) < 1e-12 } == true)
  }

  @Test func ourOwnResultIsRead() throws {
    let text = """
      {"schema": "headroom.load/2", "requestsPerSecond": 1344.5, "rowsPerSecond": 67225, "errors": 3, "responsesInWindow": 20000, "windowSeconds": 15,
       "load": {"kind": "closed", "users": 1000}, "latency": {"meanMicroseconds": 410000, "p99Microseconds": 640000, "p99_9Microseconds": null},
       "server": {"queueMicroseconds": 5747, "computeInferMicroseconds": 877}, "generator": {"verdict": "client-bound"}}
      """
    let load = try #require(try Self.read(text).first)
    #expect(load.requestsPerSecond == 1344.5 && load.rowsPerSecond == 67225 && load.requests == 20_003 && load.concurrency == 1000)
    #expect(load.percentiles == [.init(99, seconds: 0.64)] && load.server?.queue == 0.005747 && load.isClientBound == true)
  }

  @Test(arguments: [
    ("", "x: empty"), ("{", "x: not JSON"), ("{\"a\": 1}", "x: JSON of no load generator known here (a)"),
    ("a,b\n1,2\n", "x: line 1: the result of no load generator known here (a, b)"),
    (locustHeader + "\n", "x: no rows: the run ended before its first statistics"),
    (locustHeader + "\nGET,/,many,0,1,1,1,1,1,fast,0\n", "x: line 2: Request Count and Requests/s are not numbers"),
    ("Concurrency,Inferences/Second\n1,N/A\n", "x: line 2: Inferences/Second is not a number"),
    ("{\"schema\": \"headroom.plan/1\"}", "x: schema: \"headroom.plan/1\" is no load result"),
    (
      "{\"schema\": \"headroom.load/2\", \"generator\": {\"verdict\": \"bound\"}}",
      "x: generator.verdict: \"bound\" is none of client-bound, server-behind, not-client-bound"
    ),
    ("{\"metrics\": {}}", "x: metrics: neither http_reqs nor iterations"),
    ("{\"experiments\": [{}]}", "x: experiments[0].requests: no list"), ("{\"latencies\": {}}", "x: requests: missing or no number"),
    ("\u{FEFF}Name\"open,Requests/s,Request Count", "x: "),
  ])
  func whatIsNoResultIsAnErrorThatSaysWhere(text: String, message: String) {
    let error = #expect(throws: LoadResultError.self) { try Self.read(text) }
    #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
  }

  @Test func noBytesTrap() {
    // Every cut and some bent bytes of the forms above.
    let texts = [
      Self.locustHeader + "\nPOST,\"a\"\"b\",1,2,3,4,5,6,7,8,9,1e400,-1,nan,inf,\"\n",
      #"{"metrics":{"http_reqs":{"count":1e300,"rate":-5}}}"#,
      #"{"latencies":{"mean":1e308},"requests":1e300,"success":-4e300}"#,
      #"{"experiments":[{"experiment":{"mode":"concurrency","value":1e300},"requests":[{"timestamp":1e300,"response_timestamps":[-1]}],"window_boundaries":[9,1]}]}"#,
    ]
    for text in texts {
      let bytes = Array(text.utf8)
      for cut in 0...bytes.count { _ = try? LoadResultReader.parse(Array(bytes[..<cut]), path: "x") }
      for index in bytes.indices {
        var bent = bytes
        bent[index] ^= 0x5A
        _ = try? LoadResultReader.parse(bent, path: "x")
      }
    }
  }

  @Test func whatWrkPrintsIsRead() throws {
    let load = try #require(
      try Self.read(
        """
        Running 30s test @ http://127.0.0.1:8080/v2/models/m/infer
          12 threads and 400 connections
          Thread Stats   Avg      Stdev     Max   +/- Stdev
            Latency   635.91us    0.89ms  12.92ms   93.69%
            Req/Sec    56.20k     8.07k   62.00k    86.54%
          Latency Distribution
             50%  500.00us
             99%    1.02ms
          22464657 requests in 30.00s, 17.76GB read
          Non-2xx or 3xx responses: 7
        Requests/sec: 748868.53
        Transfer/sec:    606.33MB
        """
      ).first)
    #expect(load.tool == .wrk && load.loop == .closed && load.requestsPerSecond == 748_868.53 && load.concurrency == 400)
    #expect(load.requests == 22_464_657 && load.failures == 7 && load.seconds == 30)
    #expect(load.percentiles.map(\.percent) == [50, 99, 100])
    #expect((try #require(load.meanSeconds) - 635.91e-6).magnitude < 1e-12)
  }

  @Test func whatHeyPrintsIsRead() throws {
    let load = try #require(
      try Self.read(
        """

        Summary:
          Total:\t0.2541 secs
          Slowest:\t0.0945 secs
          Average:\t0.0300 secs
          Requests/sec:\t800.0

        Latency distribution:
          50%% in 0.0293 secs
          99% in 0.0801 secs

        Status code distribution:
          [200]\t150 responses
          [503]\t50 responses
        """
      ).first)
    // Failed ones are in hey's rate.
    #expect(load.tool == .hey && load.requests == 200 && load.failures == 50 && load.requestsPerSecond == 600 && load.meanSeconds == 0.03)
    #expect(load.seconds(at: 50) == 0.0293 && load.seconds(at: 99) == 0.0801 && load.seconds(at: 100) == 0.0945)
  }

  @Test func whatApacheBenchPrintsIsRead() throws {
    let load = try #require(
      try Self.read(
        """
        This is ApacheBench, Version 2.3 <$Revision: 1879490 $>
        Concurrency Level:      10
        Time taken for tests:   0.102 seconds
        Complete requests:      1000
        Failed requests:        3
        Requests per second:    9803.92 [#/sec] (mean)
        Time per request:       1.020 [ms] (mean)
          50%      1
         100%      5 (longest request)
        """
      ).first)
    #expect(load.tool == .ab && load.concurrency == 10 && load.requests == 1000 && load.failures == 3 && load.requestsPerSecond == 9803.92)
    #expect(load.seconds(at: 50) == 0.001 && load.seconds(at: 100) == 0.005 && load.meanSeconds == 0.00102)
  }

  @Test(arguments: [
    #"{"request_throughput": {"unit": "requests/sec", "avg": 1.23}, "request_latency": {"unit": "ms", "avg": 1066.05, "p99": 2000}}"#,
    "Metric,avg,min,max,p99\nRequest Latency (ms),\"1,066.05\",1,2500,\"2,000.00\"\n\nMetric,Value\nRequest Throughput (per sec),1.23\n",
  ])
  func genAIPerfsExportsAreRead(text: String) throws {
    let load = try #require(try Self.read(text).first)
    #expect(load.tool == .genAIPerf && load.requestsPerSecond == 1.23 && load.seconds(at: 99) == 2)
    #expect((try #require(load.meanSeconds) - 1.06605).magnitude < 1e-9)
  }

  @Test func whatAWindowsShellRedirectedIsRead() throws {
    let text = #"{"latencies": {"mean": 2000000}, "requests": 100, "duration": 1000000000, "throughput": 100.0, "success": 1}"#
    let little: [UInt8] = [0xFF, 0xFE] + Array(text.utf8).flatMap { (byte: UInt8) -> [UInt8] in [byte, 0] }
    let big: [UInt8] = [0xFE, 0xFF] + Array(text.utf8).flatMap { (byte: UInt8) -> [UInt8] in [0, byte] }
    for bytes in [little, big, little + [7]] {
      #expect(try LoadResultReader.parse(bytes, path: "x").first?.requestsPerSecond == 100)
    }
  }

  @Test(arguments: ["ts,dur\n1,2\n", #"{"a": 1}"#, "Summary: 5000 requests\n"])
  func anUnknownResultIsAnsweredWithWhatIsRead(text: String) {
    let error = #expect(throws: LoadResultError.self) { try Self.read(text) }
    for tool in ["Locust", "k6", "vegeta", "perf_analyzer", "GenAI-Perf", "wrk", "--rate"] {
      #expect(error?.reason.contains(tool) == true, "\(tool)")
    }
  }

  @Test(arguments: ["Running 1s test @ x\nRequests/sec: none\n", "This is ApacheBench\n", "Summary:\n Requests/sec:\n"])
  func aReportWithoutARateSaysSo(text: String) {
    let error = #expect(throws: LoadResultError.self) { try Self.read(text) }
    #expect(error?.place == "Requests/sec")
  }

  /// 99.9 % of 1,000 values are 999 of them: not 999.0000000000001, rounded up.
  @Test func percentilesAreOfTheNearestRank() {
    let found = LoadResultReader.percentiles((1...1000).map { Double($0) }, [50, 99.9, 100])
    #expect(found.map(\.seconds) == [500, 999, 1000])
    #expect(LoadResultReader.percentiles([], [50]).isEmpty)
  }
}
