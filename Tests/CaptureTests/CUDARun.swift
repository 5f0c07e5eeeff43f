import Capture
import FileAccess
import Glibc
import Testing
import Threads
import TimeBase
import Trace
import TraceFormats

/// A run of the CUDA probe (`Tests/Programs/CUDAProbe`) on the stand-in for NVIDIA's libraries, recorded as `headroom profile --cuda` records.
struct CUDARun {
  var outcome: RecordedCommand.Outcome
  var capture: CUDACapture
  /// OS calls of the same run, where they were asked for.
  var osCalls: OSCallCapture?
  /// The first process's file, as it was left.
  var file: [UInt8] = []

  static var standIn: String { (Recording.buildFolder ?? "") + "/libheadroom-cuda-standin.so" }

  /// - Parameters:
  ///   - faults: what goes wrong in CUPTI; see CCUDAStandIn.h.
  init(
    _ arguments: [String], faults: String = "", limit: TimeSpan? = nil, delay: TimeSpan? = nil, withOSCalls: Bool = false,
    _ change: (inout CUDARecording.Options) -> Void = { _ in }
  ) throws {
    let build = try #require(Recording.buildFolder, "the tests' own place could not be found")
    let program = build + "/cuda-probe"
    let folder = try CaptureFolder()
    defer { folder.remove() }
    let calls = withOSCalls ? try Recording.calls(in: folder) : nil
    var options = CUDARecording.Options()
    options.libraries = [Self.standIn]
    options.isArmed = delay == nil
    change(&options)
    let recording = try CUDARecording(in: folder, options, library: "\(build)/\(CUDARecording.libraryName)")
    let given = ["PATH=/usr/bin:/bin", "HEADROOM_CUDA_PATH=\(Self.standIn)", "HEADROOM_STANDIN_ACTIVITY=\(faults)"]
    let command = RecordedCommand(
      path: program, arguments: [program] + arguments,
      environment: recording.environment(adding: calls?.environment(adding: given) ?? given),
      limit: limit, delay: delay, movesOutput: true)
    // The test's thread blocks signals, and a command inherits what its starter blocks.
    var (none, before) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    outcome = try command.run(
      clock: { MonotonicClock.now }, whenArmed: { recording.arm() },
      whenOver: {
        calls?.stop()
        recording.stop(clock: { MonotonicClock.now }, pause: Recording.pause)
      })
    let end = outcome.recordingEnded.nanoseconds
    if let calls {
      let (files, _) = calls.read()
      osCalls = OSCallCapture(files, end: end, running: [], thresholdNanoseconds: 1000)
    }
    capture = CUDACapture(addingTo: osCalls?.trace ?? Trace(), end: end)
    recording.read(into: &capture)
    if let name = try Files.entries(of: folder.path).sorted().first(where: { $0.hasSuffix(".cuda") }) {
      file = try Files.read(folder.path + "/" + name)
    }
  }

  var trace: Trace { capture.trace }
  var status: Int32 { if case .exited(let status) = outcome.ending { status } else { -1 } }
  var remarks: String { capture.remarks.map(\.text).joined(separator: "\n") }

  func calls(_ name: String) -> [APICall] { trace.apiCalls.filter { trace.names[$0.name] == name } }

  /// Pairs of kernels of different streams that ran at the same time.
  var overlaps: Int {
    let kernels = Array(trace.kernels)
    return kernels.indices.reduce(0) { count, first in
      count
        + kernels.indices.dropFirst(first + 1).count {
          kernels[$0].stream != kernels[first].stream && kernels[$0].start < kernels[first].end && kernels[first].start < kernels[$0].end
        }
    }
  }
}
