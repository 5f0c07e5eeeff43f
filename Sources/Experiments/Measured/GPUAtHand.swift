import CheckedNumbers
public import Execution
import Explanation
public import GPUModel
import Trace

/// The GPU that an experiment is to run on, found before anything is started on it.
public struct GPUAtHand: Sendable {
  /// As the driver names it.
  public var name: String
  /// The catalogue's GPU of that name; nil where it knows none: then nothing can be predicted for it.
  public var gpu: GPU?

  /// `deviceName`: "cuda:0". Counts as the driver does, whatever CUDA_VISIBLE_DEVICES says.
  ///
  /// - Throws: what is missing, with the package that brings it.
  public init(deviceName: String, search: CUDASearch = .standard) throws(ExperimentError) {
    guard deviceName.hasPrefix("cuda:"), let ordinal = Int(deviceName.dropFirst(5)), ordinal >= 0 else {
      throw ExperimentError("--device \(deviceName): write cuda:NUMBER, as in cuda:0")
    }
    let gpus: [GPUReading]
    do throws(DeviceError) { gpus = try GPUManagement(search).read() } catch {
      throw ExperimentError("--device \(deviceName): \(error.description)")
    }
    guard gpus.indices.contains(ordinal) else {
      throw ExperimentError(
        "--device \(deviceName): there \(gpus.count == 1 ? "is 1 GPU" : "are \(gpus.count) GPUs"), counted from 0")
    }
    self.init(name: gpus[ordinal].name)
  }

  /// By the driver's name for it.
  init(name: String) {
    self.name = name
    gpu = DeviceFacts(GPUDescription(id: 0, name: name, smCount: Trace.unknown)).gpu
  }
}
