// `headroom serve` for tests, with a GPU that is none: it takes the arguments that `headroom bench` gives a server, runs its models on
// `StandInGPU`, says that it is ready, records, and ends at SIGTERM, as the real one does.
import Execution
import Glibc
import HTTPFrontEnd
import KServe
import NIOPosix
import ProcessContract
import Serving
import StandInDevice
import TimeBase
import TraceFormats

func option(_ name: String) -> String? {
  let arguments = CommandLine.arguments
  guard let place = arguments.firstIndex(of: name), arguments.indices.contains(place + 1) else { return nil }
  return arguments[place + 1]
}

func say(_ text: String, to descriptor: Int32) {
  _ = Array((text + "\n").utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
}

func end(_ status: ProcessContract.ExitStatus, _ text: String) -> Never {
  say(text, to: 2)
  exit(status.rawValue)
}

var signals = sigset_t()
sigemptyset(&signals)
sigaddset(&signals, SIGTERM)
sigaddset(&signals, SIGINT)
pthread_sigmask(SIG_BLOCK, &signals, nil)

guard let repository = option("--model-repository"), let record = option("--record"), let name = option("--device") else {
  end(.usage, "stand-in-server: --model-repository, --record and --device are needed")
}
var behaviour = StandInGPU.Options()
behaviour.depth = option("--stand-in-depth").flatMap { Int($0) } ?? 2
behaviour.kernelTime = .microseconds(option("--stand-in-kernel-microseconds").flatMap { Int64($0) } ?? 500)
let device = StandInGPU(name: name, behaviour)
var options = InferenceServer.Options()
options.repositories = [repository]
options.keepsEvents = true
options.keptRequests = option("--record-limit").flatMap { Int($0) } ?? 100_000
var log = LogSettings()
(log.info, log.warning, log.error) = (false, false, false)
let server = InferenceServer(options, devices: ModelDevices(primary: device), log: ServerLog(log))
let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
let http = HTTPServer(service: server, group: group)
let port: Int
do { port = try http.start(host: "127.0.0.1", port: 0) } catch { end(.failed, "stand-in-server: \(error)") }
for (model, error) in server.start() { end(.failed, "stand-in-server: model \(model): \(error.message)") }
say(
  ServerReady(version: "test", http: "127.0.0.1:\(port)", grpc: nil, metrics: nil, isReady: server.isReady, device: name).line, to: 1)

var signal: Int32 = 0
while sigwait(&signals, &signal) != 0 {}
let run = RecordedRun(server)
server.beginDraining()
http.stopListening()
server.closeModels()
if let misuse = device.misuse.first { end(.failed, "stand-in-server: \(misuse)") }
for model in run.models {
  do { try TraceStore.write(model.trace, to: record) } catch { end(.failed, "stand-in-server: \(error)") }
}
exit(ProcessContract.ExitStatus.ok.rawValue)
