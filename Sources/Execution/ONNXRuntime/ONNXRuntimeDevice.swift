import ModelConfiguration

/// Runs ONNX files on the CPU through ONNX Runtime: models with operators that `ModelGraph` has not.
public final class ONNXRuntimeDevice: Device {
  /// What it is.
  public let description: DeviceDescription
  /// Threads a batch computes on; the calling thread is one of them.
  public let threads: Int
  private let library: ONNXRuntimeLibrary

  /// A device over a loaded library. Fewer than one thread count as one.
  public init(_ library: ONNXRuntimeLibrary, threads: Int) {
    self.library = library
    self.threads = min(max(threads, 1), 4096)
    description = DeviceDescription(
      name: "cpu", deviceClass: .processor,
      hardware: "ONNX Runtime \(library.version), \(self.threads) \(self.threads == 1 ? "thread" : "threads")",
      computeUnits: self.threads, memoryBytes: 0)
  }

  /// A device over the library found by `search`. Throws, saying how to get it, where it is absent.
  public convenience init(threads: Int, search: LibrarySearch = .onnxRuntime) throws(DeviceError) {
    self.init(try ONNXRuntimeLibrary(search), threads: threads)
  }

  /// Loads an ONNX file. Graphs are for the CPU device.
  public func load(_ model: ModelSource, _ options: LoadOptions) throws(DeviceError) -> any LoadedModel {
    guard case .onnxFile(let path, _) = model else {
      throw DeviceError(.unsupported, "ONNX Runtime loads ONNX files, not graphs; use the CPU device's own engine for a graph")
    }
    guard options.precision == .fp32 else {
      throw DeviceError(
        .unsupported,
        "\(path): ONNX Runtime computes in the file's own types; \(options.precision.rawValue) needs a file exported in that type")
    }
    let session = try ONNXRuntimeSession(library, path: path, threads: threads, settings: options.onnxRuntime)
    return try ONNXRuntimeModel(session, maximumBatchRows: options.maximumBatchRows)
  }
}
