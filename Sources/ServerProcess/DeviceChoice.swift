import CheckedNumbers
public import Execution
import FileAccess
import GPUModel
import Glibc
public import Serving
public import TimeBase

/// The device that runs the models, as it is chosen on the command line.
public struct DeviceChoice: Sendable {
  /// "cpu", "cuda:0", or "sim:" with a GPU of the catalogue.
  public var name = "cpu"
  /// What the operands of GEMMs are stored as.
  public var precision = LoadOptions.Precision.fp32
  /// Where NVIDIA's libraries are; nil: where they usually are.
  public var cudaPath: String?
  /// On a GPU, operands of fp32 GEMMs are rounded to TF32.
  public var allowsTF32 = false
  /// Threads that compute; nil: as many as cores.
  public var threads: Int?
  /// The computing threads are pinned to cores from this one on; nil: to none.
  public var firstCore: Int?
  /// Whose GEMMs run on the CPU.
  public var engine = CPUDeviceOptions.Engine.automatic
  /// Time a batch may take before its instance is given up.
  public var instanceTimeout = TimeSpan.seconds(300)
  /// Which models of ONNX Runtime have their own process.
  public var isolation = ModelDevices.Isolation.auto
  /// Folder that records which models ran without a fault; nil: none is kept.
  public var engineCache: String?

  /// The CPU, with every core.
  public init() {}

  /// The devices. `program`: the version that an engine's process must have.
  ///
  /// - Throws: `ServerStartError.usage` that names the option.
  public func make(program: String, log: ServerLog) throws(ServerStartError) -> ModelDevices {
    let threads = threads ?? sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN))
    if instanceTimeout < .seconds(1) { throw .usage("--instance-timeout-secs \(instanceTimeout.nanoseconds / 1_000_000_000): at least 1") }
    guard (1...1024).contains(threads) else { throw .usage("--threads \(threads): from 1 to 1024") }
    if name.hasPrefix("sim:") {
      let match: GPUMatch
      do throws(GPULookupError) { match = try GPUCatalogue().find(String(name.dropFirst(4))) } catch {
        throw .usage("--device \(name): \(error)")
      }
      let model = KernelModel(gpu: match.gpu, calibration: KernelCalibrations.calibration(for: match.gpu))
      let type: ComputeType = precision == .fp32 ? .fp16 : precision == .bf16 ? .bf16 : .fp16
      return ModelDevices(
        primary: SimulatedDevice(name: name, model: model, type: type),
        missingONNXRuntime: "a simulated device needs operators it can plan")
    }
    if name.hasPrefix("cuda:") { return try cuda() }
    guard name == "cpu" else {
      throw .usage(
        "--device \(name): there is cpu, cuda:0 for a GPU, and sim:NAME for one of the catalogue (`headroom plan --help`)")
    }
    let primary: CPUDevice
    do throws(DeviceError) {
      primary = try CPUDevice(CPUDeviceOptions(threads: threads, firstCore: firstCore, engine: engine))
    } catch {
      throw .usage("--engine \(engine.rawValue): \(error.description)")
    }
    var devices = ModelDevices(primary: primary)
    var library: ONNXRuntimeLibrary?
    do throws(DeviceError) {
      let found = try ONNXRuntimeLibrary()
      library = found
      devices.onnxRuntime = ONNXRuntimeDevice(found, threads: threads)
    } catch {
      devices.missingONNXRuntime = error.description
    }
    isolate(&devices, library, threads: threads, program, log)
    return devices
  }

  private func cuda() throws(ServerStartError) -> ModelDevices {
    guard let ordinal = Int(String(name.dropFirst(5))), ordinal >= 0 else {
      throw .usage("--device \(name): write cuda:NUMBER, as in cuda:0")
    }
    var search = CUDASearch.standard
    if let path = cudaPath { search.explicitPath = path }
    do throws(DeviceError) {
      return ModelDevices(
        primary: try CUDADevice(CUDADeviceOptions(ordinal: ordinal, search: search, allowsTF32: allowsTF32)),
        missingONNXRuntime: "the CUDA device runs models whose operators it has kernels for")
    } catch {
      throw .usage("--device \(name): \(error.description)")
    }
  }

  private func isolate(
    _ devices: inout ModelDevices, _ library: ONNXRuntimeLibrary?, threads: Int, _ program: String, _ log: ServerLog
  ) {
    devices.isolation = isolation
    guard isolation != .never else { return }
    devices.isolated = IsolatedDevice(
      library, threads: threads,
      isolation: EngineIsolation(
        program: program, timeLimit: instanceTimeout,
        log: { severity, text in severity == .error ? log.error(text) : log.info(text) }))
    if let folder = engineCache, let library {
      // Found out now, not after a hundred batches.
      do throws(FileError) {
        try Files.createFolder(folder)
        if access(folder, W_OK) != 0 { throw FileError(path: folder, action: "write in", reason: String(cString: strerror(errno))) }
      } catch {
        log.warning("--engine-cache \(folder): \(error); which models ran well cannot be recorded, and every one keeps its own process")
      }
      devices.engineCache = EngineCache(folder: folder, engine: "onnxruntime-\(library.version)")
    }
  }
}
