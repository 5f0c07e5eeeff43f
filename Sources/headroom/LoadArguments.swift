import ArgumentParser
import LoadModel
import LoadRuns

/// What is sent.
struct LoadRequestOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Model of a KServe v2 server.", valueName: "name")) var model: String?
  @Option(help: ArgumentHelp("Its version; the server's choice otherwise.", valueName: "number")) var modelVersion: String?
  @Option(
    help: ArgumentHelp(
      "Where the server is; https://HOST:PORT for TLS. (default: localhost:8000, with --protocol grpc localhost:8001)",
      valueName: "host:port"))
  var url: String?
  @Option(name: .customLong("protocol"), help: "How tensors travel: binary or json over HTTP, or grpc. (default: binary)")
  var encoding: LoadScenario.Encoding?
  @Option(help: "Rows of a request: 8, 1-16 for any number between, or 1:60,8:30,32:10 for shares. (default: 1)") var rows: String?
  @Option(help: "Inputs: random, zero, or file with --input. (default: random)") var data: LoadScenario.InputData?
  @Option(help: ArgumentHelp("Bytes of an input, row after row. May be repeated.", valueName: "name=file")) var input: [String] = []
  @Option(
    help: ArgumentHelp("Sizes of an input whose dimensions the model leaves open, without rows. May be repeated.", valueName: "name:sizes"))
  var shape: [String] = []
  @Flag(help: "Compare each answer's values with those the same request got before the run.") var verify = false
  @Option(help: ArgumentHelp("Method of a plain URL. (default: GET, or POST with a body)", valueName: "name")) var method: String?
  @Option(help: ArgumentHelp("Body of a plain URL.", valueName: "file")) var bodyFile: String?
  @Option(help: ArgumentHelp("Header of every request. May be repeated.", valueName: "name: value")) var header: [String] = []
  @Option(help: ArgumentHelp("Authorization: Bearer.", valueName: "token")) var bearer: String?
  @Option(help: ArgumentHelp("Certificates that are believed over https, in PEM form, in place of the system's.", valueName: "file"))
  var ca: String?

  var settings: LoadSettings.Request {
    var settings = LoadSettings.Request()
    settings.model = model
    settings.modelVersion = modelVersion
    settings.server = url
    settings.encoding = encoding
    settings.rows = rows
    settings.data = data
    settings.inputs = input
    settings.shapes = shape
    settings.verifiesValues = verify
    settings.method = method
    settings.bodyFile = bodyFile
    settings.headers = header
    settings.bearer = bearer
    settings.certificateFile = ca
    return settings
  }
}

/// When it is sent.
struct LoadPaceOptions: ParsableArguments {
  @Option(help: "Closed loop: so many users, a connection each. (default: 1)") var users: Int?
  @Option(help: "Users that start per second. (default: all in one)") var spawnRate: Double?
  @Option(help: "Between an answer and the next request, seconds: constant:0.2, uniform:0.1,0.5 or exponential:0.3. (default: none)")
  var think: String?
  @Option(
    help: ArgumentHelp("Open loop: requests per second; 0-1000:30 ramps in 30 s, 100:10,200:10 steps.", valueName: "profile"))
  var rate: String?
  @Flag(help: "Arrivals of the open loop are independent of one another, not evenly spaced.") var poisson = false
  @Option(help: ArgumentHelp("Open loop: a time per line, seconds since the start.", valueName: "file")) var replay: String?
  @Option(
    help: ArgumentHelp("An MLPerf scenario: single-stream, multi-stream, server (with --rate) or offline.", valueName: "name"))
  var scenario: MLPerfScenario?
  @Option(help: ArgumentHelp("Search the highest --rate at which this holds, as in 'p99<50ms'.", valueName: "goal")) var findRate: String?
  @Option(help: "Seconds looked at, after the warm-up. (default: 10)") var duration: Double?
  @Option(help: "Seconds cut off before. (default: until all users are there, and one more)") var warmup: Double?
  @Option(help: "Threads that send and receive.") var threads = 1
  @Option(help: "Connections an open loop makes before its start. (default: for answers of 10 ms)") var connections: Int?
  @Option(help: "Connections of an open loop at most.") var maxConnections = 4096
  @Option(help: "Seconds an answer may take.") var timeout = 30.0
  @Option(name: .customLong("late-after-ms"), help: "A request sent later than so many milliseconds is late.") var lateAfterMilliseconds =
    1.0
  @Option(help: "Seed of all draws. (default: 1)") var seed: UInt64?

  var settings: LoadSettings.Pace {
    var settings = LoadSettings.Pace()
    settings.users = users
    settings.spawnRate = spawnRate
    settings.think = think
    settings.rate = rate
    settings.findRate = findRate
    settings.replay = replay
    settings.scenario = scenario
    settings.rest.isPoisson = poisson
    settings.rest.seed = seed
    settings.rest.threads = threads
    settings.rest.windowSeconds = duration
    settings.rest.warmUpSeconds = warmup
    settings.rest.timeoutSeconds = timeout
    settings.rest.connections = connections
    settings.rest.maximumConnections = maxConnections
    settings.rest.lateAfterMilliseconds = lateAfterMilliseconds
    return settings
  }
}

/// One run on several machines.
struct LoadSharingOptions: ParsableArguments {
  @Option(help: ArgumentHelp("This process's part of the run, 0/4 to 3/4: every 4th arrival, or user.", valueName: "i/N")) var share = "0/1"
  @Option(help: ArgumentHelp("When the run starts, seconds since 1970: the same for all parts.", valueName: "seconds")) var startAt: Double?
}

/// What comes out.
struct LoadOutputOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "End with exit code 2 when this comes true: p99>50ms, mean>1s, late>1%, errors>0, rps<1000, cpu>80%. May be repeated.",
      valueName: "condition"))
  var failOn: [String] = []
  @Flag(help: "Print one JSON object in place of the report.") var json = false
  @Option(
    help: ArgumentHelp("Write PREFIX_stats.csv, PREFIX_stats_history.csv and PREFIX_failures.csv in Locust's columns.", valueName: "prefix")
  )
  var csv: String?
  @Option(help: ArgumentHelp("Write each second's latencies as an HdrHistogram log.", valueName: "file")) var hdrLog: String?
  @Option(help: ArgumentHelp("Write the report as a page of its own.", valueName: "file")) var html: String?
  @Flag(help: "No progress.") var quiet = false

  var settings: LoadRunOptions.Output {
    var settings = LoadRunOptions.Output()
    settings.isJSON = json
    settings.isQuiet = quiet
    settings.csvPrefix = csv
    settings.histogramLog = hdrLog
    settings.page = html
    return settings
  }
}

extension LoadScenario.Encoding: ExpressibleByArgument {}
extension LoadScenario.InputData: ExpressibleByArgument {}
extension MLPerfScenario: ExpressibleByArgument {}
