import Capture
import CheckedNumbers
import Execution
import FileAccess
import Glibc
import KServe
import Serving
import Synchronization
import Threads
import TimeBase
import Trace
import TraceFormats

/// Windows of a running server, each in a trace file as `headroom profile` and `--record` write them: its requests and batches and, on a GPU, the
/// kernels, copies and CUDA calls of its process.
///
/// CUPTI is not called between windows: the library that the driver loads lies dormant.
final class ServerProfile: ProfileWindows {
  /// How windows are made.
  struct Options: Sendable, Hashable {
    /// Length where a call says none.
    var seconds: Double
    /// Where traces are written.
    var folder: String
  }

  /// A call may ask for so much.
  static let lengths = 0.05...60.0

  private let options: Options
  private let recording: CUDARecording?
  private let folder: CaptureFolder?
  /// Why CUDA is not recorded; nil where it is, or where there is none.
  private let missing: String?
  private let server = Mutex<InferenceServer?>(nil)
  private let state = Mutex((isBusy: false, number: 0))

  /// Prepares the recording. Before the driver starts: what it loads is asked for in the environment.
  ///
  /// - Throws: a folder that cannot be written in.
  init(_ options: Options, device: DeviceChoice) throws(ServerStartError) {
    self.options = options
    do throws(FileError) { try Files.createFolder(options.folder) } catch { throw .usage("--profile-folder \(options.folder): \(error)") }
    guard access(options.folder, W_OK) == 0 else { throw .usage("--profile-folder \(options.folder): cannot write there") }
    guard device.name.hasPrefix("cuda:") else {
      (recording, folder, missing) = (nil, nil, nil)
      return
    }
    let names = ["CUDA_INJECTION64_PATH", "NVTX_INJECTION64_PATH"]
    let given: [String] = names.compactMap { (name: String) -> String? in getenv(name).map { name + "=" + String(cString: $0) } }
    if let holder = CUDARecording.holder(in: given) {
      (recording, folder) = (nil, nil)
      missing = "kernels are not recorded: CUDA_INJECTION64_PATH is \(holder) already, and the driver loads one library"
      return
    }
    do throws(CaptureError) {
      let made = try CaptureFolder()
      var search = CUDASearch.standard
      if let path = device.cudaPath { search.explicitPath = path }
      var cuda = CUDARecording.Options()
      (cuda.isArmed, cuda.isRepeated, cuda.libraries) = (false, true, search.profilingLibraries)
      let prepared = try CUDARecording(in: made, cuda)
      for entry in prepared.environment(adding: given) {
        let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
        // No other thread is there yet that could read the environment meanwhile.
        if parts.count == 2 { setenv(parts[0], parts[1], 1) }
      }
      (recording, folder, missing) = (prepared, made, nil)
    } catch {
      (recording, folder) = (nil, nil)
      missing = "kernels are not recorded: \(error)"
    }
  }

  /// Whose windows they are.
  func begin(_ server: InferenceServer) { self.server.withLock { $0 = server } }

  /// Removes what the capture lies in.
  func close() { folder?.remove() }

  func record(seconds: Double?, whenDone: @escaping @Sendable (Result<ProfileWindow, KServeError>) -> Void) {
    let seconds = seconds ?? options.seconds
    guard Self.lengths.contains(seconds) else {
      return whenDone(.failure(KServeError(.invalidArgument, "seconds \(seconds): from 0.05 to 60")))
    }
    let number = state.withLock { state -> Int? in
      if state.isBusy { return nil }
      state.isBusy = true
      state.number += 1
      return state.number
    }
    guard let number else {
      return whenDone(.failure(KServeError(.unavailable, "a profile window is being recorded; ask again when it is over")))
    }
    let hasStarted = DetachedThread.start(named: "profile window") {
      let result = self.window(seconds, number: number)
      self.state.withLock { $0.isBusy = false }
      whenDone(result)
    }
    if !hasStarted {
      state.withLock { $0.isBusy = false }
      whenDone(.failure(KServeError(.unavailable, "no thread could be started for the window")))
    }
  }

  private func window(_ seconds: Double, number: Int) -> Result<ProfileWindow, KServeError> {
    guard let server = server.withLock({ $0 }) else { return .failure(KServeError(.unavailable, "the server is starting")) }
    let run = RecordedRun(server)
    let start = MonotonicClock.now
    recording?.arm()
    MonotonicClock.sleep(until: start + TimeSpan(clampingSeconds: seconds))
    let end = MonotonicClock.now
    recording?.stop()
    defer { recording?.prepareNext() }
    var outcome = ProfileWindow(files: [], seconds: (end - start).seconds, requests: 0, batches: 0, kernels: 0, remarks: [])
    if let missing { outcome.remarks.append(missing) }
    let models = run.models(from: start, to: end)
    if models.isEmpty { return .failure(KServeError(.unavailable, "no model is ready")) }
    if models.count > 1, recording != nil {
      outcome.remarks.append("kernels, copies and CUDA calls are those of the whole process, in every model's file")
    }
    for model in models {
      var trace = model.trace
      outcome.requests += trace.requests.count
      outcome.batches += trace.batches.count
      if let recording {
        let remarks = recording.add(to: &trace, end: end) ?? ["kernels are not recorded: the driver loads no library"]
        for remark in remarks where !outcome.remarks.contains(remark) { outcome.remarks.append(remark) }
      }
      outcome.kernels = recording == nil ? outcome.kernels + trace.kernels.count : trace.kernels.count
      let plain = "\(options.folder)/headroom-profile-\(getpid())-\(number).sqlite"
      let path = models.count == 1 ? plain : OutputPath.adding(model.name + "-" + model.version, to: plain)
      do throws(TraceStoreError) { try TraceStore.write(trace, to: path) } catch {
        return .failure(KServeError(.internalError, "\(error)"))
      }
      outcome.files.append(path)
    }
    return .success(outcome)
  }
}
