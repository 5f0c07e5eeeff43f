import Capture
import CheckedNumbers
import Glibc
import ProcessContract
import Threads
import TimeBase
import Trace
import TraceFormats

/// `headroom serve` with one variant's model, in a process of its own.
final class MeasuredServer {
  /// As messages call it.
  let name: String
  let folder: ServingFolder
  /// "127.0.0.1:40123".
  let address: String
  private let process: ChildProcess
  private let tracePath: String
  /// What records the process from outside; nil where nothing does.
  private let recording: ServerRecording?
  /// When `endProfile` was called.
  private var profileEnd: Instant?
  /// What its recording lacks, in words; known once it has ended.
  private(set) var remarks: [String] = []

  /// Starts it and waits until it is ready.
  init(
    _ name: String, _ folder: ServingFolder, binary: String, arguments: [String], recordsOSCalls: Bool, cuda: CUDARecording.Options? = nil,
    loadLimit: TimeSpan
  )
    throws(ExperimentError)
  {
    self.name = name
    self.folder = folder
    do throws(ExperimentError) { recording = try ServerRecording(osCalls: recordsOSCalls, cuda: cuda) } catch {
      folder.remove()
      throw error
    }
    let environment = recording?.environment ?? [:]
    tracePath = folder.path + "/trace.sqlite"
    process = try ChildProcess(
      name: "the server of \(name)", path: binary,
      arguments: [
        "serve", "--model-repository", folder.path, "--http-port", "0", "--allow-grpc", "false", "--allow-metrics", "false", "--record",
        tracePath, "--record-limit", "4000000", "--ready-line",
      ] + arguments, environment: environment)
    do throws(ContractError) {
      guard let line = process.firstLine(until: MonotonicClock.now + loadLimit) else {
        throw ContractError("did not become ready in \(Int(saturating: loadLimit.seconds)) s")
      }
      let ready = try ServerReady(line: line)
      guard let http = ready.http, ready.isReady else { throw ContractError("is running and not ready, or serves no HTTP") }
      address = http
    } catch {
      process.send(SIGKILL)
      let ending = process.wait(until: MonotonicClock.now + .milliseconds(5000)).ending
      folder.remove()
      recording?.remove()
      throw ExperimentError("\(process.name): \(error) (\(ending)); it said: \(process.lastWords)")
    }
  }

  /// From here on what it does with CUDA is recorded, and its operating-system calls.
  func beginProfile() { recording?.begin() }

  /// Ends that.
  func endProfile() {
    profileEnd = MonotonicClock.now
    recording?.end()
  }

  var usage: ProcessUsage? { ProcessUsage(pid: process.pid) }

  /// Ends it: what was accepted is answered first. Its trace.
  func stop() throws(ExperimentError) -> Trace {
    defer {
      folder.remove()
      recording?.remove()
    }
    process.send(SIGTERM)
    let ending = process.wait(until: MonotonicClock.now + .milliseconds(60_000)).ending
    guard ending == .exit(.ok) else {
      throw ExperimentError("\(process.name) ended with \(ending); it said: \(process.lastWords)")
    }
    var trace: Trace
    do { trace = try TraceStore.read(tracePath) } catch { throw ExperimentError("\(process.name): \(error)") }
    if let recording {
      remarks = recording.add(to: &trace, process: Int64(process.pid), end: profileEnd ?? MonotonicClock.now)
    }
    return trace
  }

  /// Ends it whatever it does.
  func abandon() {
    process.send(SIGKILL)
    _ = process.wait(until: MonotonicClock.now + .milliseconds(5000))
    folder.remove()
    recording?.remove()
  }
}
