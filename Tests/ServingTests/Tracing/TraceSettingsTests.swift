import KServe
import Synchronization
import Testing

@testable import Serving

@Suite struct TraceSettingsTests {
  @Test(arguments: [
    ("level=TIMESTAMPS", "trace_level", "TIMESTAMPS"), ("triton,file=/tmp/a=b.json", "trace_file", "/tmp/a=b.json"),
    ("rate=1000", "trace_rate", "1000"), ("triton,log-frequency=0", "log_frequency", "0"),
  ]) func anOptionsSettingHasTheProtocolsName(text: String, key: String, value: String) throws {
    let setting = try TraceSetting(text)
    #expect(setting.key == key && setting.value == value)
  }

  @Test(arguments: [
    ("", "setting=value"), ("level", "setting=value"), ("opentelemetry,url=x", "no mode 'opentelemetry'"),
    ("colour=red", "no setting 'colour'"),
  ]) func whatIsNoSettingIsNamed(text: String, reason: String) {
    let fault = #expect(throws: TraceSetting.Fault.self) { try TraceSetting(text) }
    #expect(fault?.message.contains(reason) == true)
  }

  @Test func aClearedSettingGoesBackToTheStart() {
    let tracer = RequestTracer()
    tracer.start(with: ["trace_level": ["TIMESTAMPS"], "trace_rate": ["7"], "trace_file": ["/dev/null"]])
    tracer.update("", ["trace_rate": ["3"], "trace_level": ["OFF"]])
    tracer.update("m", ["trace_rate": ["5"]])
    tracer.update("", ["trace_rate": [], "trace_level": []])
    #expect(tracer.settings("").rate == "7")
    #expect(tracer.settings("").level == ["TIMESTAMPS"])
    #expect(tracer.settings("m").rate == "5")
    tracer.update("m", ["trace_rate": []])
    #expect(tracer.settings("m").rate == "7")
  }

  @Test func aFullDiskIsSaidOnce() {
    let said = Mutex<[String]>([])
    let tracer = RequestTracer { text in said.withLock { $0.append(text) } }
    tracer.start(with: ["trace_level": ["TIMESTAMPS"], "trace_rate": ["1"], "trace_file": ["/dev/full"]])
    let record = TraceRecord(
      model: "m", version: 1, requestID: "", frontEnd: .http, received: .zero, parsed: .zero, accepted: .zero, enqueued: .distantFuture,
      execution: nil,
      answerReady: .zero, answerWritten: .zero)
    for _ in 0..<100 { if let sample = tracer.sample("m") { tracer.write(record, sample) } }
    tracer.finish()
    #expect(said.withLock { $0.count } == 1)
    #expect(said.withLock { $0.first }?.contains("'/dev/full' cannot be written") == true)
  }

  @Test func textsOfOthersStayOnOneLine() {
    #expect(ServerLog.oneLine("plain \u{e9}") == "plain \u{e9}")
    #expect(ServerLog.oneLine("a\nE1126 forged\r\n\tb\u{1b}[2J\u{2028}\u{85}") == "a\\nE1126 forged\\r\\n\\tb\\u{1b}[2J\\u{2028}\\u{85}")
  }
}

@Suite struct MetricsSettingsTests {
  @Test func settingsActOrAreRefused() throws {
    var settings = MetricsSettings()
    try settings.apply("counter_latencies=false")
    try settings.apply("histogram_latencies=false")
    try settings.apply("summary_latencies=false")
    #expect(!settings.hasCounterLatencies && !settings.hasHistogramLatencies)
    for text in [
      "summary_latencies=true", "summary_quantiles=0.5:0.05", "other=1", "counter_latencies", "counter_latencies=maybe", "=true", "a,b=c",
    ] {
      #expect(throws: MetricsSettings.Fault.self, "\(text)") { try settings.apply(text) }
    }
  }
}
