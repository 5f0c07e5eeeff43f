import CheckedNumbers

/// Counters of GPU instances (the parts that MIG splits a GPU into) in a trace: a share of an instance is none of the GPU, so that they have names of
/// their own.
public enum GPUInstances {
  private static let prefix = "GPU instance "

  /// "GPU instance 3: SMs Active [Throughput %]".
  public static func name(_ instance: Int, _ counter: String) -> String { "\(prefix)\(instance): \(counter)" }

  /// The instance of a counter's name, nil for one of the whole GPU, and the name without it.
  public static func parsed(_ name: String) -> (instance: Int?, counter: Substring) {
    guard name.hasPrefix(prefix), let colon = name.firstIndex(of: ":"),
      let instance = Int(name[name.index(name.startIndex, offsetBy: prefix.count)..<colon])
    else { return (nil, name[...]) }
    return (instance, name[name.index(after: colon)...].drop { $0 == " " })
  }

  private static func key(_ device: Int64) -> String { "gpuInstancesOfDevice\(device)" }

  /// Notes that a device of CUDA's is a GPU instance. Of several programs each may have another one under one number.
  public static func note(_ instance: Int, isDevice device: Int64, in trace: inout Trace) {
    let numbers = (numbers(ofDevice: device, in: trace) ?? []).union([instance])
    trace.run[key(device)] = numbers.sorted().map(String.init).joined(separator: ",")
  }

  /// The GPU instances that a device of CUDA's is; nil where the trace does not say.
  public static func numbers(ofDevice device: Int64, in trace: Trace) -> Set<Int>? {
    trace.run[key(device)].map { Set($0.split(separator: ",").compactMap { Int($0) }) }
  }
}
