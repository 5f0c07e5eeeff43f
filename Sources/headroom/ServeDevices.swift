import ArgumentParser
import Execution
import GPUModel
import Glibc
import Serving

/// The devices behind `--device`.
struct ServeDevices {
  let options: ServeDevice

  init(_ options: ServeDevice) { self.options = options }

  func make() throws -> ModelDevices {
    let threads = options.threads ?? sysconf(Int32(clamping: _SC_NPROCESSORS_ONLN))
    guard (1...1024).contains(threads) else { throw ValidationError("--threads must be from 1 to 1024") }
    if options.device.hasPrefix("sim:") {
      let match: GPUMatch
      do { match = try GPUCatalogue().find(String(options.device.dropFirst(4))) } catch {
        throw ValidationError("--device \(options.device): \(error)")
      }
      let model = KernelModel(gpu: match.gpu, calibration: KernelCalibrations.calibration(for: match.gpu))
      let type: ComputeType = options.precision == .fp32 ? .fp16 : options.precision == .bf16 ? .bf16 : .fp16
      return ModelDevices(
        primary: SimulatedDevice(name: options.device, model: model, type: type),
        missingONNXRuntime: "a simulated device needs operators it can plan")
    }
    guard options.device == "cpu" else {
      throw ValidationError("--device \(options.device): there is cpu, and sim:NAME for a GPU of the catalogue (`headroom plan --help`)")
    }
    let primary: CPUDevice
    do throws(DeviceError) {
      primary = try CPUDevice(CPUDeviceOptions(threads: threads, firstCore: options.firstCore, engine: options.engine))
    } catch {
      throw ValidationError("--engine \(options.engine.rawValue): \(error.description)")
    }
    var devices = ModelDevices(primary: primary)
    do throws(DeviceError) {
      devices.onnxRuntime = ONNXRuntimeDevice(try ONNXRuntimeLibrary(), threads: threads)
    } catch {
      devices.missingONNXRuntime = error.description
    }
    return devices
  }
}
