import Trace

/// A made-up trace: one process, one device, calls and work where a test puts them. Times are microseconds.
struct TraceMaker {
  var trace = Trace()
  var thread: Int64 = 1 << 24 | 7
  private let process: Int64 = 1 << 24
  private var correlation: Int64 = 0

  init(gpu: String? = "NVIDIA H200", smCount: Int64 = 132) {
    if let gpu {
      trace.gpus = [GPUDescription(id: 0, cudaDevice: 0, name: gpu, smCount: smCount, computeMajor: 9, computeMinor: 0)]
    }
  }

  func stream(_ number: Int64, device: Int64 = 0) -> StreamDescription {
    StreamDescription(process: process, device: device, context: 1, stream: number)
  }

  mutating func call(_ name: String, _ start: Double, _ end: Double, correlation: Int64 = Trace.unknown) {
    trace.apiCalls.append(
      APICall(start: Int64(start * 1e3), end: Int64(end * 1e3), thread: thread, correlation: correlation, name: trace.names.intern(name)))
  }

  /// A kernel with its launch call; `launch` nil for none.
  mutating func kernel(
    _ name: String = "nvjet_sm90_hsh_48x64_64x15_4x2_h_bz_bias_TNN", launch: (Double, Double)?, _ start: Double, _ end: Double,
    grid: Int32 = 96, stream number: Int64 = 7, device: Int64 = 0, call: String = "cudaLaunchKernel", registers: Int32 = 168
  ) {
    correlation += 1
    if let launch { self.call(call, launch.0, launch.1, correlation: correlation) }
    let id = trace.names.intern(name)
    let description = trace.intern(
      KernelDescription(demangledName: id, shortName: id, grid: (grid, 1, 1), block: (384, 1, 1), registersPerThread: registers))
    trace.kernels.append(
      KernelEvent(
        start: Int64(start * 1e3), end: Int64(end * 1e3), description: description, stream: trace.intern(stream(number, device: device)),
        correlation: launch == nil ? Trace.unknown : correlation))
  }

  /// A copy with its call.
  mutating func copy(
    bytes: Int64, direction: Int32 = 1, pageable: Bool = false, call: (Double, Double), _ start: Double, _ end: Double,
    name: String = "cudaMemcpyAsync"
  ) {
    correlation += 1
    self.call(name, call.0, call.1, correlation: correlation)
    let kind: Int32 = pageable ? 0 : 1
    trace.copies.append(
      CopyEvent(
        start: Int64(start * 1e3), end: Int64(end * 1e3), stream: trace.intern(stream(7)), correlation: correlation, bytes: bytes,
        direction: direction, sourceKind: direction == 1 ? kind : 2, destinationKind: direction == 2 ? kind : 2))
  }

  /// Steps of `layers` short kernels, each launched late, and a synchronization behind every step: an eager framework.
  static func eager(steps: Int, layers: Int, launchEvery interval: Double = 20, kernel: Double = 5, pause: Double = 0) -> TraceMaker {
    var maker = TraceMaker()
    var time = 0.0
    for _ in 0..<steps {
      for _ in 0..<layers {
        maker.kernel(launch: (time, time + 6), time + 8, time + 8 + kernel)
        time += interval
      }
      maker.call("cudaStreamSynchronize", time, time + 2)
      time += 10 + pause
    }
    return maker
  }

  /// Kernels back to back, all launched long before they run.
  static func saturated(kernels: Int, kernel: Double = 100) -> TraceMaker {
    var maker = TraceMaker()
    for index in 0..<kernels {
      let launch = Double(index) * 5
      maker.kernel(
        "nvjet_sm90_hsh_256x128_64x4_1x2_h_bz_coopA_bias_TNT", launch: (launch, launch + 4), 10 + Double(index) * (kernel + 1),
        10 + Double(index) * (kernel + 1) + kernel, grid: 132)
    }
    maker.call("cudaDeviceSynchronize", Double(kernels) * 5, 10 + Double(kernels) * (kernel + 1) + 5)
    return maker
  }
}
