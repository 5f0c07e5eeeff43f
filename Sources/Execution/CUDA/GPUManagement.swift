import CCUDA
import CheckedNumbers
import Glibc

/// The counters of this machine's GPUs, read through NVIDIA's management library as the user who asks. No CUDA is needed, nothing is changed.
///
/// For one thread: a reading says what happened since the one before.
public final class GPUManagement {
  private let library: CUDALibrary<HRManagementTable>
  private var devices: [Device] = []
  /// Too large for a stack.
  private let request = UnsafeMutablePointer<HRCounterRequest>.allocate(capacity: 1)
  /// The driver's version; empty where it does not say.
  public private(set) var driverVersion = ""

  private struct Device {
    var handle: HRManagedDevice?
    var index: Int
    var name: String
    var uuid: String
    /// Why the GPU has no GPM counters; nil where it has.
    var refusal: String?
    var previous: HRCounterSample?
    /// Of the last process sample, microseconds.
    var seen: UInt64 = 0
  }

  /// Loads the library and finds the GPUs.
  ///
  /// - Throws: `DeviceError` where there is no driver, or the library refuses.
  public init(_ search: CUDASearch = .standard) throws(DeviceError) {
    library = try CUDALibrary.load(.management, search, fill: headroom_cuda_fill_management)
    memset(request, 0, MemoryLayout<HRCounterRequest>.size)
    let functions = library.functions
    try check(functions.nvmlInit_v2(), "nvmlInit_v2")
    driverVersion = Self.text { functions.nvmlSystemGetDriverVersion($0, $1) } ?? ""
    var count: UInt32 = 0
    try check(functions.nvmlDeviceGetCount_v2(&count), "nvmlDeviceGetCount_v2")
    for index in 0..<count {
      var handle: HRManagedDevice?
      guard functions.nvmlDeviceGetHandleByIndex_v2(index, &handle) == 0 else { continue }
      var device = Device(
        handle: handle, index: Int(index), name: Self.text { functions.nvmlDeviceGetName(handle, $0, $1) } ?? "GPU",
        uuid: Self.text { functions.nvmlDeviceGetUUID(handle, $0, $1) } ?? "")
      device.refusal = counterRefusal(handle)
      if device.refusal == nil { device.previous = sample(handle) }
      devices.append(device)
    }
  }

  deinit {
    for device in devices { device.previous.map { _ = library.functions.nvmlGpmSampleFree($0) } }
    _ = library.functions.nvmlShutdown()
    request.deallocate()
  }

  /// What happened since the last reading, or since the beginning; clocks and power are those of now.
  public func read() -> [GPUReading] { devices.indices.map { read($0) } }

  private func read(_ number: Int) -> GPUReading {
    let (functions, device) = (library.functions, devices[number])
    var reading = GPUReading(index: device.index, name: device.name, uuid: device.uuid)
    func answer(_ quantities: [GPUReading.Quantity], _ result: Int32, _ values: @autoclosure () -> [Double]) {
      for (quantity, value) in zip(quantities, result == 0 ? values() : quantities.map { _ in 0 }) {
        reading.answers[quantity] = result == 0 ? .value(value, source: "NVML") : .refused(refusal(result, quantity))
      }
    }
    var utilization = HRUtilization()
    answer(
      [.gpuBusy, .memoryBusy], functions.nvmlDeviceGetUtilizationRates(device.handle, &utilization),
      [Double(utilization.gpu), Double(utilization.memory)])
    var (clock, limit, memoryClock): (UInt32, UInt32, UInt32) = (0, 0, 0)
    answer([.smClock], functions.nvmlDeviceGetClockInfo(device.handle, Int32(clamping: HR_CLOCK_SM), &clock), [Double(clock)])
    answer([.smClockMaximum], functions.nvmlDeviceGetMaxClockInfo(device.handle, Int32(clamping: HR_CLOCK_SM), &limit), [Double(limit)])
    answer(
      [.memoryClock], functions.nvmlDeviceGetClockInfo(device.handle, Int32(clamping: HR_CLOCK_MEMORY), &memoryClock), [Double(memoryClock)]
    )
    var (power, powerLimit): (UInt32, UInt32) = (0, 0)
    answer([.power], functions.nvmlDeviceGetPowerUsage(device.handle, &power), [Double(power) / 1000])
    answer([.powerLimit], functions.nvmlDeviceGetEnforcedPowerLimit(device.handle, &powerLimit), [Double(powerLimit) / 1000])
    var memory = HRMemoryUse()
    answer(
      [.memoryUsed, .memoryTotal], functions.nvmlDeviceGetMemoryInfo(device.handle, &memory), [Double(memory.used), Double(memory.total)])
    var reasons: UInt64 = 0
    if functions.nvmlDeviceGetCurrentClocksThrottleReasons(device.handle, &reasons) == 0 {
      reading.clockLimits = Self.clockLimits.filter { reasons & $0.bit != 0 }.map(\.text)
    }
    readCounters(number, &reading)
    readProcesses(number, &reading)
    return reading
  }

  // MARK: - GPM

  private static let counters: [(identifier: Int, quantity: GPUReading.Quantity)] = [
    (HR_COUNTER_GRAPHICS, .graphicsActive), (HR_COUNTER_SM, .smActive), (HR_COUNTER_OCCUPANCY, .smOccupancy),
    (HR_COUNTER_TENSOR, .tensorActive), (HR_COUNTER_DRAM, .dramActive),
  ]

  private func counterRefusal(_ handle: HRManagedDevice?) -> String? {
    var support = HRCounterSupport(version: 1, isSupported: 0)
    let result = library.functions.nvmlGpmQueryDeviceSupport(handle, &support)
    if result == 0, support.isSupported != 0 { return nil }
    return result == 0 || result == HR_MANAGEMENT_NOT_SUPPORTED
      ? "this GPU has no GPM counters (Hopper and later have); DCGM reads them on older ones: dcgmi dmon -e 1001,1002,1004,1005"
      : reason(result)
  }

  private func sample(_ handle: HRManagedDevice?) -> HRCounterSample? {
    var sample: HRCounterSample?
    guard library.functions.nvmlGpmSampleAlloc(&sample) == 0, let sample else { return nil }
    if library.functions.nvmlGpmSampleGet(handle, sample) == 0 { return sample }
    _ = library.functions.nvmlGpmSampleFree(sample)
    return nil
  }

  private func readCounters(_ number: Int, _ reading: inout GPUReading) {
    func refuse(_ reason: String) { for counter in Self.counters { reading.answers[counter.quantity] = .refused(reason) } }
    let device = devices[number]
    if let refusal = device.refusal { return refuse(refusal) }
    guard let now = sample(device.handle) else { return refuse("no sample could be taken (nvmlGpmSampleGet)") }
    devices[number].previous = now
    guard let before = device.previous else { return refuse("a first sample: the next one gives a difference") }
    defer { _ = library.functions.nvmlGpmSampleFree(before) }
    request.pointee.version = 1
    request.pointee.count = UInt32(clamping: Self.counters.count)
    (request.pointee.first, request.pointee.second) = (before, now)
    withUnsafeMutableBytes(of: &request.pointee.counters) { bytes in
      let places = bytes.bindMemory(to: HRCounter.self)
      for (place, counter) in Self.counters.enumerated() {
        places[place].identifier = UInt32(clamping: counter.identifier)
        // Overwritten by whatever the library finds.
        places[place].status = Int32(clamping: HR_MANAGEMENT_NOT_FOUND)
      }
    }
    let result = library.functions.nvmlGpmMetricsGet(request)
    if result != 0 { return refuse(reason(result)) }
    withUnsafeMutableBytes(of: &request.pointee.counters) { bytes in
      let places = bytes.bindMemory(to: HRCounter.self)
      for (place, counter) in Self.counters.enumerated() {
        let (status, value) = (places[place].status, places[place].value)
        reading.answers[counter.quantity] =
          status == 0 && value.isFinite ? .value(value, source: "GPM") : .refused(status == 0 ? "not a number" : reason(status))
      }
    }
  }

  // MARK: - Processes

  private func readProcesses(_ number: Int, _ reading: inout GPUReading) {
    let (functions, device) = (library.functions, devices[number])
    var processes: [UInt32: GPUReading.Process] = [:]
    // The count that fits is said beforehand; processes may come in between.
    var count: UInt32 = 0
    var result = functions.nvmlDeviceGetComputeRunningProcesses_v3(device.handle, &count, nil)
    if result == HR_MANAGEMENT_INSUFFICIENT_SIZE {
      var uses = [HRProcessUse](repeating: HRProcessUse(), count: Int(count) + 16)
      count = UInt32(clamping: uses.count)
      result = functions.nvmlDeviceGetComputeRunningProcesses_v3(device.handle, &count, &uses)
      if result == 0 {
        for use in uses.prefix(Int(count)) {
          // All ones: not available.
          let bytes = use.usedBytes == .max ? nil : Int64(clamping: use.usedBytes)
          processes[use.process] = GPUReading.Process(process: Int64(use.process), memoryBytes: bytes)
        }
      }
    }
    if result != 0 { reading.processesRefused = reason(result) }
    count = 0
    result = functions.nvmlDeviceGetProcessUtilization(device.handle, nil, &count, device.seen)
    if result == HR_MANAGEMENT_INSUFFICIENT_SIZE, count > 0 {
      var samples = [HRProcessUtilization](repeating: HRProcessUtilization(), count: Int(count))
      result = functions.nvmlDeviceGetProcessUtilization(device.handle, &samples, &count, device.seen)
      if result == 0 {
        for sample in samples.prefix(Int(count)) where sample.process != 0 {
          // Of several samples of an interval the last one counts.
          processes[sample.process, default: GPUReading.Process(process: Int64(sample.process))].busyPercent = Double(sample.sm)
          devices[number].seen = max(devices[number].seen, sample.timestampMicroseconds)
        }
      }
    }
    // "Not found": nobody used it since.
    if result != 0, result != HR_MANAGEMENT_NOT_FOUND, reading.processesRefused == nil {
      reading.processesRefused = "busy per process: \(reason(result))"
    }
    reading.processes = processes.values.sorted { $0.process < $1.process }
  }

  // MARK: - Words

  /// nvmlClocksEventReasons.
  private static let clockLimits: [(bit: UInt64, text: String)] = [
    (UInt64(clamping: HR_CLOCKS_IDLE), "idle"), (UInt64(clamping: HR_CLOCKS_APPLICATION_SETTING), "application clock setting"),
    (UInt64(clamping: HR_CLOCKS_POWER_CAP), "power cap"), (UInt64(clamping: HR_CLOCKS_HARDWARE_SLOWDOWN), "hardware slowdown"),
    (UInt64(clamping: HR_CLOCKS_SYNC_BOOST), "sync boost"), (UInt64(clamping: HR_CLOCKS_THERMAL_SOFTWARE), "thermal slowdown (software)"),
    (UInt64(clamping: HR_CLOCKS_THERMAL_HARDWARE), "thermal slowdown (hardware)"), (UInt64(clamping: HR_CLOCKS_POWER_BRAKE), "power brake"),
    (UInt64(clamping: HR_CLOCKS_DISPLAY), "display clock setting"),
  ]

  private func refusal(_ result: Int32, _ quantity: GPUReading.Quantity) -> String {
    if result == HR_MANAGEMENT_NOT_SUPPORTED, quantity == .gpuBusy || quantity == .memoryBusy {
      return "not defined on this GPU (with MIG it is not: GPM and DCGM count per GPU instance)"
    }
    return reason(result)
  }

  private func reason(_ result: Int32) -> String {
    let text = library.functions.nvmlErrorString(result).map { String(cString: $0) } ?? "NVML error \(result)"
    return result == HR_MANAGEMENT_NO_PERMISSION
      ? "\(text): run as root, or set NVreg_RestrictProfilingToAdminUsers=0 for the nvidia module" : text
  }

  private func check(_ result: Int32, _ what: String) throws(DeviceError) {
    if result == 0 { return }
    let remedy = result == HR_MANAGEMENT_DRIVER_NOT_LOADED ? "; the nvidia kernel module is not loaded: modprobe nvidia" : ""
    throw DeviceError(.unsupported, "\(library.path): \(what): \(reason(result))\(remedy)")
  }

  private static func text(_ body: (UnsafeMutablePointer<CChar>?, UInt32) -> Int32) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      buffer.initialize(repeating: 0)
      guard body(buffer.baseAddress, 255) == 0 else { return nil }
      return buffer.baseAddress.map { String(cString: $0) }
    }
  }
}
