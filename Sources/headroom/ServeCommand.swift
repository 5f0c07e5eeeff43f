import ArgumentParser
import Console
import Execution
import ProcessContract
import Scheduling
import Serving
import ServerProcess

struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "The inference server: KServe v2 over HTTP and gRPC, dynamic batching, metrics, a live diagnosis.",
    discussion: """
      Takes Triton's model repositories and tritonserver's flags. `GET /v2/headroom` says what limits the server right now, and the page \
      /headroom shows it. SIGTERM and Ctrl-C drain: readiness goes false, accepted requests are answered, the exit code is 0.

      EXAMPLES
        headroom serve --model-repository models
        headroom serve --model seqlen=builtin:seqlen --model mine=model.onnx
        headroom serve --model linear=builtin:linear --device sim:rtx-pro-6000
        headroom serve --model-repository models \\
          --model-control-mode explicit --load-model "*"
        # own processes for models of ONNX Runtime, until 100 batches went well
        headroom serve --model-repository models --isolate-engines auto \\
          --engine-cache /var/lib/headroom/engines
        # TLS on HTTP and gRPC; with client certificates, on gRPC
        headroom serve --model-repository models \\
          --tls-certificate server.pem --tls-key server.key
        headroom serve --model-repository models --grpc-use-ssl-mutual=true \\
          --grpc-server-cert server.pem --grpc-server-key server.key \\
          --grpc-root-cert clients-ca.pem
        # calls that need a header
        headroom serve --model-repository models \\
          --http-restricted-api=model-repository,logging:admin-key=SECRET \\
          --grpc-restricted-protocol=model-repository,logging:admin-key=SECRET
      """)

  @OptionGroup(title: "Models") var models: ServeModels
  @OptionGroup(title: "Device") var device: ServeDevice
  @OptionGroup(title: "Listening") var listening: ServeListening
  @OptionGroup(title: "Security") var security: ServeSecurity
  @OptionGroup(title: "Behaviour") var behaviour: ServeBehaviour
  @Option(name: .customLong("without-effect"), parsing: .singleValue, help: .hidden) var ignored: [String] = []

  func validate() throws { _ = try checked(settings) }

  func run() throws {
    let settings = try settings()
    let log = ServerLog(try behaviour.log())
    for warning in TritonFlags.warnings(ignored) { log.warning(warning) }
    do throws(ServerStartError) { try ServerProcess(settings, log: log, print: Terminal.print).run() } catch {
      switch error {
      case .usage(let message): throw ValidationError(message)
      case .failed: throw ExitCode(.failed)
      }
    }
  }
}

/// `--model-repository`, `--model` and what goes with them.
struct ServeModels: ParsableArguments {
  @Option(
    name: [.customLong("model-repository"), .customLong("model-store")],
    help: ArgumentHelp("Folder of models in Triton's layout. May be repeated.", valueName: "folder"))
  var repositories: [String] = []

  @Option(
    name: .customLong("model"),
    help: ArgumentHelp(
      "A model of its own: an .onnx or .plan file, or builtin:linear, stacked, seqlen, encoder. May be repeated.", valueName: "name=file"))
  var models: [String] = []

  @Option(help: "none: load everything at the start; poll: follow the folder; explicit: by calls.") var modelControlMode:
    InferenceServer.Options.ControlMode = .none

  @Option(help: ArgumentHelp("Model to load at the start in explicit mode; \"*\" for all. May be repeated.", valueName: "name"))
  var loadModel: [String] = []

  @Option(help: ArgumentHelp("Seconds between looks at the folder in poll mode.", valueName: "seconds")) var repositoryPollSecs = 15

  @Option(help: "End when a model cannot be loaded at the start.") var exitOnError: TritonFlag = .true

  @Option(help: "Ready only while every model is.") var strictReadiness: TritonFlag = .true

  @Option(help: "Run new models at 1 row, each preferred size and the largest batch before they are reported ready.") var warmup:
    TritonFlag = .true
}

/// `--device` and what goes with it.
struct ServeDevice: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "cpu, cuda:0 for an NVIDIA GPU, or sim:GPU for one of the catalogue in real time (kernel times predicted, outputs zero).",
      valueName: "name")
  )
  var device = "cpu"

  @Option(help: "What the operands of GEMMs are stored as: fp32, bf16, fp16. Sums are kept in fp32.") var precision: LoadOptions.Precision =
    .fp32

  @Option(
    help: ArgumentHelp(
      "Where NVIDIA's libraries are: a folder, or one file that takes the place of all. Also HEADROOM_CUDA_PATH.", valueName: "path"))
  var cudaPath: String?

  @Flag(help: "On a GPU, round the operands of fp32 GEMMs to TF32.") var tf32 = false

  @Option(help: ArgumentHelp("Threads that compute (default: every core).", valueName: "count")) var threads: Int?

  @Option(help: ArgumentHelp("Pin the computing threads to cores from this one on.", valueName: "core")) var firstCore: Int?

  @Option(help: "Whose GEMMs run on the CPU: automatic (the faster for each shape, timed at load), own, or onednn.") var engine:
    CPUDeviceOptions.Engine = .automatic

  @Option(help: "Seconds a batch may take before its instance is abandoned and recreated.") var instanceTimeoutSecs = 300

  @Option(
    help: ArgumentHelp(
      "Models that ONNX Runtime runs have their own process, so that a crash in one does not stop the others: auto (until a model ran 100 "
        + "good batches, see --engine-cache), always, never. Without a value: always.", valueName: "which"))
  var isolateEngines: ModelDevices.Isolation = .auto

  @Option(
    help: ArgumentHelp(
      "Folder that records which models ran 100 batches without a fault; without it auto isolates every model.",
      valueName: "folder"))
  var engineCache: String?
}

/// Ports, TLS, limits.
struct ServeListening: ParsableArguments {
  @Option(
    help: ArgumentHelp("Address to listen on. 0.0.0.0 for every interface; control calls then need --control-token.", valueName: "address"))
  var httpAddress = "127.0.0.1"

  @Option(help: ArgumentHelp("Address for gRPC.", valueName: "address")) var grpcAddress = "127.0.0.1"
  @Option(help: ArgumentHelp("Address for metrics (default: --http-address).", valueName: "address")) var metricsAddress: String?
  @Option(help: ArgumentHelp("0 for any that is free.", valueName: "port")) var httpPort = 8000
  @Option(help: ArgumentHelp("0 for any that is free.", valueName: "port")) var grpcPort = 8001
  @Option(help: ArgumentHelp("0 for any that is free.", valueName: "port")) var metricsPort = 8002
  @Option(help: "Serve HTTP.") var allowHttp: TritonFlag = .true
  @Option(help: "Serve gRPC.") var allowGrpc: TritonFlag = .true
  @Option(help: "Serve metrics.") var allowMetrics: TritonFlag = .true
  @Option(help: ArgumentHelp("Event loops for HTTP and gRPC (default: half of the cores, 1 to 8).", valueName: "count"))
  var httpThreadCount: Int?
  @Option(help: ArgumentHelp("Maximum bytes of a request body, after decompression.", valueName: "bytes")) var httpMaxInputSize = 64 << 20
  @Option(help: ArgumentHelp("Connections at one time.", valueName: "count")) var maxConnections = 60_000
  @Option(help: ArgumentHelp("PEM file with the certificate chain: TLS on HTTP and gRPC.", valueName: "file")) var tlsCertificate: String?
  @Option(help: ArgumentHelp("PEM file with its key.", valueName: "file")) var tlsKey: String?
  @Option(help: ArgumentHelp("Token for control calls from elsewhere than loopback; also HEADROOM_CONTROL_TOKEN.", valueName: "token"))
  var controlToken: String?
  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Additional Host header accepted for control requests. Repeatable.", valueName: "name"))
  var controlHost: [String] = []
  @Option(help: ArgumentHelp("Maximum bytes of responses waiting for slow clients, over all connections.", valueName: "bytes"))
  var maxUnsentSize = 64 << 20
}

/// What else.
struct ServeBehaviour: ParsableArguments {
  @Option(help: "Seconds to wait at the end for accepted requests.") var exitTimeoutSecs = 30
  @Option(help: ArgumentHelp("Detail of the log, from 0.", valueName: "level")) var logVerbose: UInt32 = 0
  @Option(help: "default or ISO8601, as tritonserver; or json: an object per line.", completion: .list(ServerLog.formats))
  var logFormat = "default"
  @Option(help: ArgumentHelp("Log into this file.", valueName: "file")) var logFile = ""
  @Option(help: "Say what happens.") var logInfo: TritonFlag = .true
  @Option(help: "Say what may surprise.") var logWarning: TritonFlag = .true
  @Option(help: "Say what failed.") var logError: TritonFlag = .true
  @Option(help: "Keep the last events, for GET /v2/headroom.") var liveEvents: TritonFlag = .true
  @Option(
    help: ArgumentHelp(
      "At the end write what was done as a trace, SQLite; with several models their names are added.", valueName: "file.sqlite"))
  var record: String?
  @Option(help: ArgumentHelp("Requests, and kernels, that --record keeps at most: the last ones.", valueName: "count"))
  var recordLimit = 2_000_000
  @Option(
    help: ArgumentHelp(
      "Let POST /v2/headroom/profile record so long, as 5s or 500ms, into a trace file: requests, batches and, on a GPU, kernels and CUDA calls.",
      valueName: "time"))
  var profileWindow: String?
  @Option(help: ArgumentHelp("Where those traces are written.", valueName: "folder")) var profileFolder = "."
  @Flag(help: "When the models are loaded, say so in one line of JSON on standard output: for programs that start a server.")
  var readyLine =
    false
  @Option(help: "Let clients register system shared memory.") var allowClientShm: TritonFlag = .false
  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Traces of requests in Triton's files: level=TIMESTAMPS, triton,file=PATH, rate=1000, count=-1, triton,log-frequency=0. Repeatable.",
      valueName: "[mode,]setting=value"))
  var traceConfig: [String] = []
  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "What the metrics page has: counter_latencies=BOOL, histogram_latencies=BOOL. Repeatable.", valueName: "setting=value"))
  var metricsConfig: [String] = []
  @Option(help: "off, or execution_count: instances take turns by the resources their groups name.") var rateLimit = "off"
  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("How much of a resource there is, on every device or on one. Repeatable.", valueName: "name:count[:device]"))
  var rateLimitResource: [ExecutionRateLimiter.Limit] = []
}

extension ExecutionRateLimiter.Limit: ExpressibleByArgument {
  /// As `--rate-limit-resource` gives it.
  public init?(argument: String) { self.init(text: argument) }
}

extension TritonFlag: ExpressibleByArgument {}
extension InferenceServer.Options.ControlMode: ExpressibleByArgument {}
extension ModelDevices.Isolation: ExpressibleByArgument {}
extension LoadOptions.Precision: ExpressibleByArgument {}
extension CPUDeviceOptions.Engine: ExpressibleByArgument {}
