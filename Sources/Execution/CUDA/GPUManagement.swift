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
    /// The same by GPU instance.
    var previousOfInstances: [UInt32: HRCounterSample] = [:]
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
      if device.refusal == nil {
        device.previous = sample(handle)
        for part in parts(handle) { device.previousOfInstances[part.identifier] = sample(handle, instance: part.identifier) }
      }
      devices.append(device)
    }
  }

  deinit {
    for device in devices {
      for sample in Array(device.previousOfInstances.values) + [device.previous].compactMap({ $0 }) { free(sample) }
    }
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
    readInstances(number, &reading)
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

  /// `instance`: a GPU instance's number; nil: the whole GPU.
  private func sample(_ handle: HRManagedDevice?, instance: UInt32? = nil) -> HRCounterSample? {
    var sample: HRCounterSample?
    guard library.functions.nvmlGpmSampleAlloc(&sample) == 0, let sample else { return nil }
    let functions = library.functions
    let result = instance.map { functions.nvmlGpmMigSampleGet(handle, $0, sample) } ?? functions.nvmlGpmSampleGet(handle, sample)
    if result == 0 { return sample }
    free(sample)
    return nil
  }

  private func free(_ sample: HRCounterSample) { _ = library.functions.nvmlGpmSampleFree(sample) }

  private func readCounters(_ number: Int, _ reading: inout GPUReading) {
    let device = devices[number]
    guard device.refusal == nil else { return reading.answers.merge(refused(device.refusal ?? "")) { $1 } }
    guard let now = sample(device.handle) else {
      let reason = "no sample could be taken (nvmlGpmSampleGet)"
      return reading.answers.merge(refused(device.previousOfInstances.isEmpty ? reason : reason + "; its GPU instances have their own")) {
        $1
      }
    }
    devices[number].previous = now
    reading.answers.merge(difference(device.previous, now)) { $1 }
    device.previous.map(free)
  }

  private func refused(_ reason: String) -> [GPUReading.Quantity: GPUReading.Answer] {
    Dictionary(uniqueKeysWithValues: Self.counters.map { ($0.quantity, .refused(reason)) })
  }

  /// GPM's counters between two samples.
  private func difference(_ before: HRCounterSample?, _ now: HRCounterSample) -> [GPUReading.Quantity: GPUReading.Answer] {
    guard let before else { return refused("a first sample: the next one gives a difference") }
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
    if result != 0 { return refused(reason(result)) }
    var answers: [GPUReading.Quantity: GPUReading.Answer] = [:]
    withUnsafeMutableBytes(of: &request.pointee.counters) { bytes in
      let places = bytes.bindMemory(to: HRCounter.self)
      for (place, counter) in Self.counters.enumerated() {
        let (status, value) = (places[place].status, places[place].value)
        answers[counter.quantity] =
          status == 0 && value.isFinite ? .value(value, source: "GPM") : .refused(status == 0 ? "not a number" : reason(status))
      }
    }
    return answers
  }

  // MARK: - GPU instances (MIG)

  /// GPU instances that have a MIG device, with the handles of those: they come and go while this runs.
  private func parts(_ handle: HRManagedDevice?) -> [(identifier: UInt32, devices: [HRManagedDevice])] {
    let functions = library.functions
    var (current, pending, count): (UInt32, UInt32, UInt32) = (0, 0, 0)
    guard functions.nvmlDeviceGetMigMode(handle, &current, &pending) == 0, current == UInt32(clamping: HR_MIG_ENABLED),
      functions.nvmlDeviceGetMaxMigDeviceCount(handle, &count) == 0
    else { return [] }
    var found: [UInt32: [HRManagedDevice]] = [:]
    // Places between them may be empty. A GPU has 7 at most; no more than what a word of flags counts is believed.
    for index in 0..<min(count, 64) {
      var device: HRManagedDevice?
      var identifier: UInt32 = 0
      guard functions.nvmlDeviceGetMigDeviceHandleByIndex(handle, index, &device) == 0, let device,
        functions.nvmlDeviceGetGpuInstanceId(device, &identifier) == 0
      else { continue }
      found[identifier, default: []].append(device)
    }
    return found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  private func readInstances(_ number: Int, _ reading: inout GPUReading) {
    let (functions, device) = (library.functions, devices[number])
    var kept: [UInt32: HRCounterSample] = [:]
    for part in parts(device.handle) {
      var instance = GPUReading.Instance(
        identifier: Int(clamping: part.identifier),
        name: part.devices.first.flatMap { first in Self.text { functions.nvmlDeviceGetName(first, $0, $1) } } ?? "GPU instance",
        uuids: part.devices.compactMap { device in Self.text { functions.nvmlDeviceGetUUID(device, $0, $1) } })
      var memory = HRMemoryUse()
      let result = functions.nvmlDeviceGetMemoryInfo(part.devices.first, &memory)
      instance.answers[.memoryUsed] = result == 0 ? .value(Double(memory.used), source: "NVML") : .refused(reason(result))
      instance.answers[.memoryTotal] = result == 0 ? .value(Double(memory.total), source: "NVML") : .refused(reason(result))
      if let refusal = device.refusal {
        instance.answers.merge(refused(refusal)) { $1 }
      } else if let now = sample(device.handle, instance: part.identifier) {
        instance.answers.merge(difference(device.previousOfInstances[part.identifier], now)) { $1 }
        kept[part.identifier] = now
      } else {
        instance.answers.merge(refused("no sample could be taken (nvmlGpmMigSampleGet)")) { $1 }
      }
      reading.instances.append(instance)
    }
    // An instance that is made anew under an old number begins anew.
    for sample in device.previousOfInstances.values { free(sample) }
    devices[number].previousOfInstances = kept
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
          processes[use.process] = GPUReading.Process(
            process: Int64(use.process), memoryBytes: bytes,
            gpuInstance: use.gpuInstance == HR_NO_GPU_INSTANCE ? nil : Int(clamping: use.gpuInstance))
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
