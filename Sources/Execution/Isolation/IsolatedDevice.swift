import ModelConfiguration
import TimeBase

/// Runs ONNX files through ONNX Runtime, each in a process of its own.
public final class IsolatedDevice: Device {
  /// What it is.
  public let description: DeviceDescription
  /// How processes are started.
  public let isolation: EngineIsolation
  /// "1.23.2"; empty where there is no ONNX Runtime.
  public let engineVersion: String
  private let library: String?
  private let threads: Int

  /// A device over the library that the server found; nil: there is only the stand-in of tests.
  public init(_ library: ONNXRuntimeLibrary?, threads: Int, isolation: EngineIsolation) {
    self.library = library?.path
    engineVersion = library?.version ?? ""
    self.threads = min(max(threads, 1), 4096)
    self.isolation = isolation
    description = DeviceDescription(
      name: "cpu", deviceClass: .processor,
      hardware: "ONNX Runtime \(engineVersion) in a process of its own, \(self.threads) \(self.threads == 1 ? "thread" : "threads")",
      computeUnits: self.threads, memoryBytes: 0)
  }

  /// Starts a process that loads the file. Graphs are for the CPU device.
  public func load(_ source: ModelSource, _ options: LoadOptions) throws(DeviceError) -> any LoadedModel {
    guard case .onnxFile(let path, let files) = source, let library else {
      throw DeviceError(.unsupported, "a process of its own runs ONNX files through ONNX Runtime, which is needed for it")
    }
    guard options.maximumBatchRows == 0 else {
      throw DeviceError(.unsupported, "\(path): a process of its own is given whole shapes; the rows are the server's")
    }
    return try IsolatedModel(
      name: ONNXRuntimeSession.name(of: path),
      load: EngineLoad(.onnxRuntime(library: library, path: path, threads: threads, options: options.onnxRuntime)), isolation: isolation,
      keeping: files)
  }

  /// Starts a process that runs an identity model.
  public func load(identity: IdentityModel, name: String) throws(DeviceError) -> any LoadedModel {
    try IsolatedModel(
      name: name,
      load: EngineLoad(
        .identity(identity.signature, hasRows: identity.hasRowDimension, delay: identity.delay, fault: identity.fault)),
      isolation: isolation, keeping: nil)
  }
}
