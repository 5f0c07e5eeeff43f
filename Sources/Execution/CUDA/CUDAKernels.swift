import CCUDA
import CheckedNumbers

/// Kernels of ours in one context, loaded when first used.
///
/// Not Sendable: used by one instance, on the thread that owns it.
final class CUDAKernels {
  private let device: CUDADevice
  private let generation: Int
  private let element: CUDACompiler.Element
  private var modules: [CUDACompiler.Source: HRModule] = [:]
  private var functions: [String: HRFunction] = [:]
  private var shared: [String: Int] = [:]

  init(_ device: CUDADevice, _ generation: Int, element: CUDACompiler.Element) {
    self.device = device
    self.generation = generation
    self.element = element
  }

  deinit {
    device.context.release(generation) {
      for module in modules.values { _ = device.driver.functions.cuModuleUnload(module) }
    }
  }

  /// The function behind a launch, with as much shared memory as it asks for. Loads and compiles: not while a stream captures.
  func function(_ launch: CUDALaunch) throws(DeviceError) -> HRFunction {
    let (driver, table) = (device.driver, device.driver.functions)
    var found = functions[launch.function]
    if found == nil {
      let module = try module(launch.source)
      try driver.check(table.cuModuleGetFunction(&found, module, launch.function), "kernel \(launch.function)")
      functions[launch.function] = found
    }
    guard let found else { throw DeviceError(.batchFailed, "kernel \(launch.function) is missing") }
    if launch.sharedBytes > max(48 << 10, shared[launch.function] ?? 0) {
      try driver.check(
        table.cuFuncSetAttribute(found, Int32(clamping: HR_FUNCTION_MAX_DYNAMIC_SHARED_BYTES), Int32(clamping: launch.sharedBytes)),
        "\(launch.sharedBytes) bytes of shared memory for kernel \(launch.function)")
      shared[launch.function] = launch.sharedBytes
    }
    return found
  }

  private func module(_ source: CUDACompiler.Source) throws(DeviceError) -> HRModule {
    if let known = modules[source] { return known }
    let cubin = try device.compiler.cubin(source, element, architecture: device.architecture)
    var made: HRModule?
    try device.driver.check(
      device.driver.functions.cuModuleLoadData(&made, cubin), "the kernels \(source.rawValue) for sm_\(device.architecture)")
    guard let made else { throw DeviceError(.batchFailed, "the kernels \(source.rawValue) could not be loaded") }
    modules[source] = made
    return made
  }
}
