import FileAccess
import Glibc
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

  /// Starts it and waits until it is ready.
  init(_ name: String, _ folder: ServingFolder, binary: String, arguments: [String], environment: [String: String], loadLimit: TimeSpan)
    throws(ExperimentError)
  {
    self.name = name
    self.folder = folder
    tracePath = folder.path + "/trace.sqlite"
    process = try ChildProcess(
      name: "the server of \(name)", path: binary,
      arguments: [
        "serve", "--model-repository", folder.path, "--http-port", "0", "--allow-grpc", "false", "--allow-metrics", "false", "--record",
        tracePath, "--record-limit", "4000000",
      ] + arguments, environment: environment)
    let found = process.waitForLine(until: MonotonicClock.now + loadLimit) { lines -> String? in
      guard lines.contains("ready") else { return nil }
      return lines.first { $0.hasPrefix("HTTP on ") }.map { String($0.dropFirst("HTTP on ".count)) }
    }
    guard let found else {
      process.send(SIGKILL)
      let ending = process.wait(until: MonotonicClock.now + .milliseconds(5000)).ending
      let said = process.errorLines.suffix(4).joined(separator: " | ")
      folder.remove()
      throw ExperimentError("\(process.name) did not become ready (\(ending)); it said: \(said)")
    }
    address = found
  }

  var usage: ProcessUsage? { ProcessUsage(pid: process.pid) }

  /// Ends it: what was accepted is answered first. Its trace.
  func stop() throws(ExperimentError) -> Trace {
    defer { folder.remove() }
    process.send(SIGTERM)
    let ending = process.wait(until: MonotonicClock.now + .milliseconds(60_000)).ending
    guard ending == .exit(0) else {
      throw ExperimentError("\(process.name) ended with \(ending); it said: \(process.errorLines.suffix(4).joined(separator: " | "))")
    }
    do { return try TraceStore.read(tracePath) } catch { throw ExperimentError("\(process.name): \(error)") }
  }

  /// Ends it whatever it does.
  func abandon() {
    process.send(SIGKILL)
    _ = process.wait(until: MonotonicClock.now + .milliseconds(5000))
    folder.remove()
  }
}
