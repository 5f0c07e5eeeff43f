import Glibc
public import ModelGraph

/// The processor as a device: products by packed micro-kernels, everything in float32 around them.
public final class CPUDevice: Device {
  /// See `DeviceDescription`.
  public let description: DeviceDescription
  /// How it was set up.
  public let options: CPUDeviceOptions
  /// oneDNN, where it is present and may run.
  public let oneDNN: OneDNNLibrary?
  private let pool: WorkerPool

  /// A device with threads of its own. Throws where oneDNN is forced and absent.
  public init(_ options: CPUDeviceOptions, oneDNN search: LibrarySearch = .oneDNN) throws(DeviceError) {
    self.options = options
    switch options.engine {
    case .own: oneDNN = nil
    case .automatic: oneDNN = try? OneDNNLibrary(search)
    case .onednn: oneDNN = try OneDNNLibrary(search)
    }
    pool = WorkerPool(threads: options.threads, firstCore: options.firstCore)
    let pages = sysconf(Int32(clamping: _SC_PHYS_PAGES))
    description = DeviceDescription(
      name: "cpu", deviceClass: .processor,
      hardware: "\(Self.processor) (\(options.level)), \(options.threads) thread\(options.threads == 1 ? "" : "s")"
        + (oneDNN.map { ", oneDNN \($0.version)" } ?? ""),
      computeUnits: options.threads, memoryBytes: max(0, pages) * sysconf(Int32(clamping: _SC_PAGESIZE)))
  }

  deinit { pool.close() }

  /// Types and operators that the executor has; what only a flag rules out (a precision this processor has not) is left to `load`.
  public func refusal(of graph: Graph, _ options: LoadOptions) -> DeviceError? {
    Self.refusal(of: graph, options, level: self.options.level)
  }

  /// The same without a device, for who only wants to know.
  public static func refusal(of graph: Graph, _ options: LoadOptions, level: CPUDeviceOptions.Level = .best) -> DeviceError? {
    do throws(DeviceError) {
      let graph = try CPUModel.runnable(graph)
      try CPUModel.check(graph, options, level: level, weights: CPUWeightSource.all(graph).1)
      return nil
    } catch {
      return error
    }
  }

  /// Packs the weights.
  public func load(_ source: ModelSource, _ options: LoadOptions) throws(DeviceError) -> any LoadedModel {
    guard case .graph(let graph) = source else {
      throw DeviceError(.unsupported, "the CPU device runs graphs; an ONNX file as it is needs ONNX Runtime")
    }
    return try CPUModel(graph, options, pool: pool, level: self.options.level, engine: self.options.engine, oneDNN: oneDNN)
  }

  /// "AMD EPYC 9555 64-Core Processor".
  private static var processor: String {
    guard let file = fopen("/proc/cpuinfo", "r") else { return "CPU" }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 512)
    while fgets(&line, 512, file) != nil {
      let text = line.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
      if text.hasPrefix("model name"), let colon = text.firstIndex(of: ":") {
        return text[text.index(after: colon)...].drop { $0 == " " }.prefix { $0 != "\n" }.description
      }
    }
    return "CPU"
  }
}
