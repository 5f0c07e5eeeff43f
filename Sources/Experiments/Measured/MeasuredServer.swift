import CheckedNumbers
import Capture
import FileAccess
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
  /// Where its operating-system calls go; nil where they are not recorded.
  private let capture: OSCallRecording?

  /// Starts it and waits until it is ready.
  init(
    _ name: String, _ folder: ServingFolder, binary: String, arguments: [String], recordsOSCalls: Bool, loadLimit: TimeSpan
  )
    throws(ExperimentError)
  {
    self.name = name
    self.folder = folder
    var environment: [String: String] = [:]
    do throws(CaptureError) {
      // A microsecond, as Nsight Systems takes it; a quarter of a gigabyte holds some ten million calls.
      capture = recordsOSCalls ? try Self.recording(thresholdNanoseconds: 1000, limitBytes: 256 << 20) : nil
    } catch {
      folder.remove()
      throw ExperimentError("operating-system calls cannot be recorded: \(error)")
    }
    for entry in capture?.environment(adding: getenv("LD_PRELOAD").map { ["LD_PRELOAD=" + String(cString: $0)] } ?? []) ?? [] {
      let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
      if parts.count == 2 { environment[parts[0]] = parts[1] }
    }
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
      capture?.folder.remove()
      throw ExperimentError("\(process.name): \(error) (\(ending)); it said: \(process.lastWords)")
    }
  }

  private static func recording(thresholdNanoseconds: Int64, limitBytes: Int64) throws(CaptureError) -> OSCallRecording {
    let folder = try CaptureFolder()
    do throws(CaptureError) {
      return try OSCallRecording(in: folder, thresholdNanoseconds: thresholdNanoseconds, limitBytes: limitBytes)
    } catch {
      folder.remove()
      throw error
    }
  }

  var usage: ProcessUsage? { ProcessUsage(pid: process.pid) }

  /// Ends it: what was accepted is answered first. Its trace.
  func stop() throws(ExperimentError) -> Trace {
    defer {
      folder.remove()
      capture?.folder.remove()
    }
    process.send(SIGTERM)
    let ending = process.wait(until: MonotonicClock.now + .milliseconds(60_000)).ending
    guard ending == .exit(.ok) else {
      throw ExperimentError("\(process.name) ended with \(ending); it said: \(process.lastWords)")
    }
    var trace: Trace
    do { trace = try TraceStore.read(tracePath) } catch { throw ExperimentError("\(process.name): \(error)") }
    if let capture { trace.add(capture.read().files, process: Int64(process.pid)) }
    return trace
  }

  /// Ends it whatever it does.
  func abandon() {
    process.send(SIGKILL)
    _ = process.wait(until: MonotonicClock.now + .milliseconds(5000))
    folder.remove()
    capture?.folder.remove()
  }
}

extension Trace {
  /// Adds a process's operating-system calls; clocks are the same.
  mutating func add(_ files: [OSCallFile], process: Int64) {
    let recorded = OSCallCapture(
      files, end: MonotonicClock.now.nanoseconds, running: [], thresholdNanoseconds: 1000, command: ([], process)
    ).trace
    var names: [NameID: NameID] = [:]
    for call in recorded.osCalls {
      var call = call
      if let known = names[call.name] {
        call.name = known
      } else {
        let name = self.names.intern(recorded.names[call.name] ?? "unknown")
        names[call.name] = name
        call.name = name
      }
      osCalls.append(call)
    }
  }
}
