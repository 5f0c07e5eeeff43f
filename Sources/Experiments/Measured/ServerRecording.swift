import Capture
import Glibc
import Threads
import TimeBase
import Trace
import TraceFormats

/// The libraries that record a server's process, and what they leave.
///
/// On a processor the operating-system calls are noted from the start. Where CUDA is recorded too, both lie dormant until `begin`: nothing of
/// CUPTI is called before, so that what is measured before then is measured without a profiler.
struct ServerRecording {
  private let folder: CaptureFolder
  private let osCalls: OSCallRecording?
  private let cuda: CUDARecording?
  private let given: [String]

  /// Prepares it; nil where nothing is to be recorded. `cuda`: what of CUDA; nil for nothing.
  init?(osCalls recordsOSCalls: Bool, cuda options: CUDARecording.Options?) throws(ExperimentError) {
    if !recordsOSCalls, options == nil { return nil }
    func variable(_ name: String) -> [String] { getenv(name).map { ["\(name)=" + String(cString: $0)] } ?? [] }
    let given = variable("LD_PRELOAD") + variable("CUDA_INJECTION64_PATH") + variable("NVTX_INJECTION64_PATH")
    if options != nil, let holder = CUDARecording.holder(in: given) {
      throw ExperimentError(
        "CUDA_INJECTION64_PATH is \(holder) already: the driver loads one library, and the run's kernels are to be recorded; unset it")
    }
    do throws(CaptureError) {
      let folder = try CaptureFolder()
      do throws(CaptureError) {
        // A microsecond, as Nsight Systems takes it; a quarter of a gigabyte holds some ten million calls.
        osCalls =
          recordsOSCalls
          ? try OSCallRecording(in: folder, thresholdNanoseconds: 1000, limitBytes: 256 << 20, isArmed: options == nil) : nil
        if var options {
          options.isArmed = false
          cuda = try CUDARecording(in: folder, options)
        } else {
          cuda = nil
        }
      } catch {
        folder.remove()
        throw error
      }
      self.folder = folder
    } catch { throw ExperimentError("the server cannot be recorded: \(error)") }
    self.given = given
  }

  /// What the server's process needs in its environment.
  var environment: [String: String] {
    let entries = cuda?.environment(adding: osCalls?.environment(adding: given) ?? given) ?? osCalls?.environment(adding: given) ?? []
    var variables: [String: String] = [:]
    for entry in entries {
      let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
      if parts.count == 2 { variables[parts[0]] = parts[1] }
    }
    return variables
  }

  /// Begins what lay dormant.
  func begin() {
    guard let cuda else { return }
    osCalls?.arm()
    cuda.arm()
  }

  /// Ends it; what the library holds is then written.
  func end() {
    guard let cuda else { return }
    osCalls?.stop()
    cuda.stop()
  }

  /// What was left, into the trace of the server's own. `end`: when the recording of CUDA ended.
  ///
  /// - Returns: what of CUDA is missing, in words.
  func add(to trace: inout Trace, process: Int64, end: Instant) -> [String] {
    if let osCalls { trace.add(osCalls.read().files, process: process) }
    guard let cuda else { return [] }
    return cuda.add(to: &trace, end: end) ?? ["the server's process was not recorded: its driver loads no library"]
  }

  func remove() { folder.remove() }
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
