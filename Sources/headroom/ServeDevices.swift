import ArgumentParser
import CheckedNumbers
import Execution
import FileAccess
import GPUModel
import Glibc
import Serving

/// The devices behind `--device`.
struct ServeDevices {
  let options: ServeDevice
  let log: ServerLog

  init(_ options: ServeDevice, log: ServerLog) {
    self.options = options
    self.log = log
  }

  func make() throws -> ModelDevices {
    let threads = options.threads ?? sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN))
    guard (1...1024).contains(threads) else { throw ValidationError("--threads must be from 1 to 1024") }
    if options.device.hasPrefix("sim:") {
      let match: GPUMatch
      do throws(GPULookupError) { match = try GPUCatalogue().find(String(options.device.dropFirst(4))) } catch {
        throw ValidationError("--device \(options.device): \(error)")
      }
      let model = KernelModel(gpu: match.gpu, calibration: KernelCalibrations.calibration(for: match.gpu))
      let type: ComputeType = options.precision == .fp32 ? .fp16 : options.precision == .bf16 ? .bf16 : .fp16
      return ModelDevices(
        primary: SimulatedDevice(name: options.device, model: model, type: type),
        missingONNXRuntime: "a simulated device needs operators it can plan")
    }
    if options.device.hasPrefix("cuda:") { return try cuda() }
    guard options.device == "cpu" else {
      throw ValidationError(
        "--device \(options.device): there is cpu, cuda:0 for a GPU, and sim:NAME for one of the catalogue (`headroom plan --help`)")
    }
    let primary: CPUDevice
    do throws(DeviceError) {
      primary = try CPUDevice(CPUDeviceOptions(threads: threads, firstCore: options.firstCore, engine: options.engine))
    } catch {
      throw ValidationError("--engine \(options.engine.rawValue): \(error.description)")
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
    isolate(&devices, library, threads: threads)
    return devices
  }

  private func cuda() throws -> ModelDevices {
    guard let ordinal = Int(String(options.device.dropFirst(5))), ordinal >= 0 else {
      throw ValidationError("--device \(options.device): write cuda:NUMBER, as in cuda:0")
    }
    var search = CUDASearch.standard
    if let path = options.cudaPath { search.explicitPath = path }
    do throws(DeviceError) {
      return ModelDevices(
        primary: try CUDADevice(CUDADeviceOptions(ordinal: ordinal, search: search, allowsTF32: options.tf32)),
        missingONNXRuntime: "the CUDA device runs models whose operators it has kernels for")
    } catch {
      throw ValidationError("--device \(options.device): \(error.description)")
    }
  }

  private func isolate(_ devices: inout ModelDevices, _ library: ONNXRuntimeLibrary?, threads: Int) {
    devices.isolation = options.isolateEngines
    guard options.isolateEngines != .never else { return }
    let log = log
    devices.isolated = IsolatedDevice(
      library, threads: threads,
      isolation: EngineIsolation(
        program: Headroom.version, timeLimit: .seconds(options.instanceTimeoutSecs),
        log: { severity, text in severity == .error ? log.error(text) : log.info(text) }))
    if let folder = options.engineCache, let library {
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
