import FileAccess
import ProcessContract
import Serving
import ServerProcess
import Testing
import TimeBase

/// tritonserver's command lines are taken as they are.
@Suite struct TritonFlagsTests {
  @Test func switchesMayStandBare() throws {
    #expect(
      try TritonFlags.completed(["serve", "--allow-client-shm", "--warmup", "false", "--exit-on-error"])
        == ["serve", "--allow-client-shm=true", "--warmup", "false", "--exit-on-error=true"])
    #expect(try TritonFlags.completed(["serve", "--isolate-engines"]) == ["serve", "--isolate-engines=always"])
    #expect(try TritonFlags.completed(["serve", "--isolate-engines", "auto"]) == ["serve", "--isolate-engines", "auto"])
  }

  @Test func flagsWithoutEffectAreTakenWithTheirValue() throws {
    let words = [
      "serve", "--backend-config", "tensorrt,x=1", "--id=me", "--model-namespacing", "--grpc-keepalive-time", "7", "--model", "a=b",
    ]
    let completed = try TritonFlags.completed(words)
    #expect(
      completed == [
        "serve", "--without-effect=--backend-config", "--without-effect=--id", "--without-effect=--model-namespacing",
        "--without-effect=--grpc-keepalive-time", "--model", "a=b",
      ])
    #expect(
      TritonFlags.warnings(["--id", "--backend-config", "--id"]) == ["--backend-config has no effect here", "--id has no effect here"])
  }

  @Test(arguments: [["serve", "--backend-config"], ["serve", "--backend-config", "--model"]])
  func aFlagThatLacksItsValueIsRefused(words: [String]) {
    #expect(throws: UsageError.self) { try TritonFlags.completed(words) }
  }

  @Test func whatProtectsIsNeverWithoutEffect() {
    for name in [
      "--grpc-use-ssl", "--http-restricted-api", "--grpc-restricted-protocol", "--allow-sagemaker", "--openai-port", "--control-token",
    ] {
      #expect(!TritonFlags.withoutEffect.contains(name))
    }
  }

  // MARK: - Settings

  private static let refused: [(String, @Sendable (inout ServerSettings) -> Void)] = [
    ("give --model-repository or --model", { $0.service.models = [:] }),
    ("--model-repository /nowhere", { $0.service.repositories = ["/nowhere"] }),
    ("--repository-poll-secs", { $0.service.pollInterval = .zero }),
    ("--repository-poll-secs", { $0.service.pollInterval = .seconds(.max) }),
    ("--http-port 65536", { $0.listening.httpPort = 65_536 }),
    ("--metrics-port -1", { $0.listening.metricsPort = -1 }),
    ("--http-thread-count", { $0.listening.eventLoops = 257 }),
    ("--http-max-input-size", { $0.listening.maximumBodyBytes = 0 }),
    ("--max-unsent-size", { $0.listening.maximumUnsentBytes = 0 }),
    ("--max-connections", { $0.listening.maximumConnections = 0 }),
    ("--record-limit 0", { $0.service.keptRequests = 0 }),
    ("--record /nowhere/x.sqlite", { $0.recordPath = "/nowhere/x.sqlite" }),
    ("--exit-timeout-secs", { $0.exitTimeout = .seconds(-1) }),
  ]

  @Test(arguments: refused.indices) func whatCannotBeMeantIsNamed(index: Int) throws {
    var settings = ServerSettings()
    settings.service.models = ["linear": "builtin:linear"]
    try settings.check()
    Self.refused[index].1(&settings)
    let error = #expect(throws: UsageError.self) { try settings.check() }
    #expect(error?.description.hasPrefix(Self.refused[index].0) == true)
  }

  @Test func modelsAreNamedOnce() throws {
    #expect(try ServerSettings.models(["a=builtin:linear", "b=x=y.onnx"]) == ["a": "builtin:linear", "b": "x=y.onnx"])
    for (texts, message) in [
      (["models/a.onnx"], "--model models/a.onnx: write NAME=FILE, as in a=models/a.onnx"), (["a=1", "a=2"], "--model a is given twice"),
      (["linear"], "--model linear: write NAME=FILE, as in seqlen=builtin:seqlen"),
      (["a/b=c"], "--model a/b=c: write NAME=FILE, as in seqlen=builtin:seqlen"),
    ] {
      let error = #expect(throws: UsageError.self) { try ServerSettings.models(texts) }
      #expect(error?.description == message)
    }
  }

  @Test func levelsOfTracesAddUp() throws {
    let settings = try ServerSettings.traceSettings(["level=TIMESTAMPS", "level=TENSORS", "rate=5", "rate=7"])
    #expect(settings["trace_level"]?.count == 2 && settings["trace_rate"] == ["7"])
    #expect(throws: UsageError.self) { try ServerSettings.traceSettings(["nonsense"]) }
    #expect(throws: UsageError.self) { try ServerSettings.metrics(["nonsense"]) }
    #expect(throws: UsageError.self) { try ServerSettings.limitsRate("often") }
    #expect(try ServerSettings.limitsRate("execution_count") && !ServerSettings.limitsRate("off"))
    #expect(throws: UsageError.self) { try ServerSettings.logFormat("xml") }
  }

  // MARK: - Security

  private static func listening(_ change: (inout ServerSettings.Security) -> Void) throws -> ServerSettings.Listening {
    var (security, listening) = (ServerSettings.Security(), ServerSettings.Listening())
    change(&security)
    try security.apply(to: &listening)
    return listening
  }

  @Test func tlsOnGRPCNeedsItsFiles() throws {
    #expect(try Self.listening { _ in }.grpcTLS == nil)
    #expect(throws: UsageError.self) { try Self.listening { $0.usesTLS = true } }
    #expect(throws: UsageError.self) { try Self.listening { $0.certificate = "c.pem" } }
    #expect(try Self.listening { ($0.usesTLS, $0.certificate) = (false, "c.pem") }.grpcTLS == nil)
    #expect(throws: UsageError.self) { try Self.listening { ($0.usesMutualTLS, $0.certificate, $0.key) = (true, "c.pem", "k.pem") } }
    let mutual = try Self.listening { ($0.usesMutualTLS, $0.certificate, $0.key, $0.clientRoots) = (true, "c.pem", "k.pem", "r.pem") }
    #expect(mutual.grpcTLS?.clientRoots?.path == "r.pem")
    // Without the mutual flag clients need no certificate.
    let plain = try Self.listening { ($0.usesTLS, $0.certificate, $0.key, $0.clientRoots) = (true, "c.pem", "k.pem", "r.pem") }
    #expect(plain.grpcTLS != nil && plain.grpcTLS?.clientRoots == nil)
  }

  @Test func whatWouldOpenAnEndPointIsRefused() {
    for name in ["--allow-sagemaker", "--openai-port"] {
      let error = #expect(throws: UsageError.self) {
        try Self.listening { $0.missingEndPoints = [name: true, "--allow-vertex-ai": false] }
      }
      #expect(error?.description.hasPrefix(name) == true)
    }
    #expect(throws: UsageError.self) { try Self.listening { $0.httpRestrictions = ["nonsense"] } }
    #expect(throws: Never.self) { try Self.listening { $0.httpRestrictions = ["model-repository:key=value"] } }
  }

  @Test func aCertificateAndItsKeyGoTogether() throws {
    var listening = ServerSettings.Listening()
    try listening.setTLS(certificate: nil, key: nil)
    #expect(listening.tls == nil)
    #expect(throws: UsageError.self) { try listening.setTLS(certificate: "c.pem", key: nil) }
    try listening.setTLS(certificate: "c.pem", key: "k.pem")
    #expect(listening.tls?.key.option == "--tls-key")
  }
}
