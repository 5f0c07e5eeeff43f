public import HostModel

/// How kernels get to the device.
public enum Launching: String, Sendable, Hashable, CaseIterable {
  /// One call for each kernel.
  case eager
  /// One call for a CUDA graph of all of them.
  case graph
}

extension BatchPlan {
  /// From the first kernel's start to the last one's end with nothing else on the device, nanoseconds: kernels, gaps, and where the issuing
  /// thread is slower than the device, waiting for its calls.
  ///
  /// Launched one by one, kernel i starts when its launch has arrived and its predecessor has ended a gap ago; the calls follow each other
  /// without pause, after a first one that is not counted. In a graph only the gaps between its nodes are left.
  public func elapsedNanoseconds(_ launching: Launching, host: HostProfile) -> Double {
    let issued = issued
    guard !issued.isEmpty else { return 0 }
    let gap = host[launching == .graph ? .graphKernelGap : .kernelGap].value * 1e3
    let call = launching == .graph ? 0 : (host[.launch].value + host[.operation].value) * 1e3
    var (end, arrival) = (-gap, 0.0)
    for launch in issued {
      end = max(arrival, end + gap) + launch.predictedNanoseconds
      arrival += call
    }
    return end
  }
}
