import CCUDA
import CheckedNumbers
import Glibc
public import ModelGraph
import Threads

/// How a CUDA device is set up.
public struct CUDADeviceOptions: Sendable {
  /// Which GPU: the 0 of `cuda:0`, as the driver counts them.
  public var ordinal: Int
  /// Where NVIDIA's libraries are.
  public var search: CUDASearch
  /// Products of float32 models with operands rounded to TF32.
  public var allowsTF32: Bool
  /// Whether batches run as CUDA graphs where the model's configuration says nothing.
  public var usesGraphs: Bool
  /// Whether cubins and timings are kept on disk.
  public var keepsCache: Bool
  /// Whether kernels of ours for chains of equal layers compete with cuBLASLt; without, what they buy can be measured.
  public var usesChainKernels = true

  /// Options.
  public init(ordinal: Int = 0, search: CUDASearch = .standard, allowsTF32: Bool = false, usesGraphs: Bool = true, keepsCache: Bool = true)
  {
    self.ordinal = ordinal
    self.search = search
    self.allowsTF32 = allowsTF32
    self.usesGraphs = usesGraphs
    self.keepsCache = keepsCache
  }
}

/// An NVIDIA GPU: products through cuBLASLt, everything else through kernels of ours that NVRTC compiles for it.
public final class CUDADevice: Device {
  /// See `DeviceDescription`.
  public let description: DeviceDescription
  let options: CUDADeviceOptions
  let driver: CUDALibrary<HRDriverTable>
  let blas: CUDALibrary<HRBlasTable>
  let compiler: CUDACompiler
  /// NVRTC's version: "13.0".
  public var compilerVersion: String { compiler.version }
  /// The driver's name of the GPU: "NVIDIA H200".
  public let gpuName: String
  let context: CUDAContext
  let cache: CUDACache?
  /// "90a": what cubins are made for.
  let architecture: String
  /// Dynamic shared memory that a block may have, bytes.
  let sharedLimit: Int
  /// Name, memory and driver: part of every timing's key.
  let identity: String

  /// Finds and loads the libraries, starts the driver, opens the device. Throws what is missing, with the package that brings it.
  public init(_ options: CUDADeviceOptions = CUDADeviceOptions()) throws(DeviceError) {
    self.options = options
    driver = try CUDALibrary.driver(options.search)
    cache = options.keepsCache ? .standard : nil
    let functions = driver.functions
    var count: Int32 = 0
    try driver.check(functions.cuDeviceGetCount(&count), "cuDeviceGetCount")
    guard options.ordinal >= 0, options.ordinal < Int(count) else {
      throw DeviceError(.unsupported, "cuda:\(options.ordinal): there \(count == 1 ? "is 1 GPU" : "are \(count) GPUs"), counted from 0")
    }
    var device: HRDevice = 0
    try driver.check(functions.cuDeviceGet(&device, Int32(clamping: options.ordinal)), "cuDeviceGet")
    blas = try CUDALibrary.load(.blas, options.search, fill: headroom_cuda_fill_blas)
    compiler = try CUDACompiler(options.search, cache: cache)
    let (major, minor) = (
      driver.attribute(HR_DEVICE_COMPUTE_MAJOR, of: device), driver.attribute(HR_DEVICE_COMPUTE_MINOR, of: device)
    )
    guard major >= 8 else {
      throw DeviceError(.unsupported, "cuda:\(options.ordinal) has compute capability \(major).\(minor); 8.0 (Ampere) and later run here")
    }
    architecture = "\(major)\(minor)"
    sharedLimit = max(48 << 10, driver.attribute(HR_DEVICE_MAX_SHARED_PER_BLOCK_OPTIN, of: device))
    var name = [CChar](repeating: 0, count: 256)
    try driver.check(functions.cuDeviceGetName(&name, 255, device), "cuDeviceGetName")
    let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    gpuName = text
    var memory = 0
    try driver.check(functions.cuDeviceTotalMem_v2(&memory, device), "cuDeviceTotalMem")
    var version: Int32 = 0
    _ = functions.cuDriverGetVersion(&version)
    identity = "\(text) \(memory) driver \(version)"
    context = try CUDAContext(driver, device)
    description = DeviceDescription(
      name: "cuda:\(options.ordinal)", deviceClass: .gpu,
      hardware: "\(text) (CUDA \(version / 1000).\(version % 1000 / 10), sm_\(architecture))",
      computeUnits: driver.attribute(HR_DEVICE_SM_COUNT, of: device), memoryBytes: memory)
  }

  /// What has no kernel is found by binding the graph to a few row counts.
  public func refusal(of graph: Graph, _ options: LoadOptions) -> DeviceError? {
    do throws(DeviceError) {
      _ = try CUDAModel.Layout(graph, options, smCount: max(1, description.computeUnits))
      return nil
    } catch {
      return error
    }
  }

  /// Copies the weights to the device.
  public func load(_ source: ModelSource, _ options: LoadOptions) throws(DeviceError) -> any LoadedModel {
    guard case .graph(let graph) = source else {
      throw DeviceError(.unsupported, "the CUDA device runs graphs; an ONNX file as it is needs ONNX Runtime")
    }
    return try CUDAModel(graph, options, on: self)
  }
}
