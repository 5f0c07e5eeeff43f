import CCUDA
import CheckedNumbers
import Glibc
import Threads

/// A device's primary context, and its end: an error that sticks to it (an illegal address, a failed launch) makes everything in it useless.
/// It is then reset and made again, under a new generation; what belongs to an earlier one is never handed to the driver again.
///
/// `@unchecked Sendable`: everything mutable is behind the monitor's lock.
final class CUDAContext: @unchecked Sendable {
  let driver: CUDALibrary<HRDriverTable>
  let device: HRDevice
  private let monitor = Monitor()
  private var context: HRContext?
  private var number = 0
  private var isLost = false
  private var users = 0

  init(_ driver: CUDALibrary<HRDriverTable>, _ device: HRDevice) throws(DeviceError) {
    self.driver = driver
    self.device = device
    try retain()
  }

  deinit { if context != nil { _ = driver.functions.cuDevicePrimaryCtxRelease_v2(device) } }

  private func retain() throws(DeviceError) {
    try driver.check(driver.functions.cuDevicePrimaryCtxRetain(&context, device), "CUDA context")
  }

  /// The generation that new things belong to. Where the context was lost it is made anew first, once nobody uses the old one any more.
  func generation() throws(DeviceError) -> Int {
    monitor.lock()
    defer { monitor.unlock() }
    while isLost && users > 0 { monitor.wait() }
    if isLost {
      _ = driver.functions.cuCtxSetCurrent(nil)
      try driver.check(driver.functions.cuDevicePrimaryCtxReset_v2(device), "reset of the CUDA context")
      _ = driver.functions.cuDevicePrimaryCtxRelease_v2(device)
      context = nil
      try retain()
      number += 1
      isLost = false
    }
    return number
  }

  /// Runs `body` with the context current on this thread, unless what it uses is of an earlier one.
  func use<Result>(_ generation: Int, _ body: () throws(DeviceError) -> Result) throws(DeviceError) -> Result {
    monitor.lock()
    guard generation == number, !isLost, let context else {
      monitor.unlock()
      throw DeviceError(.instanceLost, "the CUDA context was lost by an error in another batch; the next batch gets a new one")
    }
    users += 1
    monitor.unlock()
    var failure: DeviceError?
    defer {
      monitor.lock()
      users -= 1
      if failure?.kind == .instanceLost, generation == number { isLost = true }
      if users == 0 { monitor.broadcast() }
      monitor.unlock()
    }
    do throws(DeviceError) {
      try driver.check(driver.functions.cuCtxSetCurrent(context), "cuCtxSetCurrent")
      return try body()
    } catch {
      failure = error
      throw error
    }
  }

  /// Whether things of this generation may still be freed.
  func owns(_ generation: Int) -> Bool { monitor.withLock { generation == number && !isLost } }

  /// Gives something back, if its context is still there. Errors are the context's, and found by its next user.
  func release(_ generation: Int, _ body: () -> Void) { try? use(generation) { () throws(DeviceError) in body() } }
}

/// Memory of a device, or pinned memory of the host; given back with its owner.
///
/// Pinned memory is this program's own, registered with the driver, and not the driver's (cuMemAllocHost): what an instance gathers into, or takes
/// answers from, while another one's error resets the context they share, must not be freed under its hands, or be the next instance's.
///
/// `@unchecked Sendable`: the address is constant; who may touch what it leads to is its owners' affair.
final class CUDAMemory: @unchecked Sendable {
  let context: CUDAContext
  let generation: Int
  let byteCount: Int
  /// On the device; 0 for pinned memory.
  let address: UInt64
  /// On the host; nil for device memory.
  let host: UnsafeMutableRawPointer?

  /// To be called inside `CUDAContext.use`. `purpose` for the message: "weights of model resnet".
  init(_ context: CUDAContext, _ generation: Int, byteCount: Int, isPinned: Bool = false, for purpose: @autoclosure () -> String)
    throws(DeviceError)
  {
    self.context = context
    self.generation = generation
    self.byteCount = byteCount
    let functions = context.driver.functions
    let result: Int32
    if isPinned {
      // Whole pages: what is registered is pages, and no two registrations may share one.
      let bytes = Self.wholePages(byteCount)
      var memory: UnsafeMutableRawPointer?
      if posix_memalign(&memory, Self.pageBytes, bytes) == 0, let made = memory {
        result = functions.cuMemHostRegister_v2(made, bytes, 0)
        if result != HR_SUCCESS {
          free(made)
          memory = nil
        }
      } else {
        (memory, result) = (nil, Int32(clamping: HR_ERROR_OUT_OF_MEMORY))
      }
      (host, address) = (memory, 0)
    } else {
      var memory: UInt64 = 0
      result = functions.cuMemAlloc_v2(&memory, max(byteCount, 64))
      (host, address) = (nil, memory)
    }
    try context.driver.check(result == HR_ERROR_OUT_OF_MEMORY ? 0 : result, "\(byteCount) bytes for \(purpose())")
    guard result == HR_ERROR_OUT_OF_MEMORY else { return }
    if isPinned { throw DeviceError(.unsupported, "\(purpose()): the host has no \(byteCount) bytes of pinned memory left") }
    var (free, total) = (0, 0)
    _ = functions.cuMemGetInfo_v2(&free, &total)
    throw DeviceError(
      .unsupported,
      "\(purpose()): \(Self.text(byteCount)) do not fit on the GPU, \(Self.text(free)) of \(Self.text(total)) are free; unload a model, lower max_batch_size or the instance count, or use --precision fp16"
    )
  }

  deinit {
    guard address != 0 || host != nil else { return }
    context.release(generation) {
      if let host { _ = context.driver.functions.cuMemHostUnregister(host) } else { _ = context.driver.functions.cuMemFree_v2(address) }
    }
    // Where the context went, its registrations went with it.
    if let host { free(host) }
  }

  private static let pageBytes = max(4096, sysconf(Int32(clamping: _SC_PAGESIZE)))

  private static func wholePages(_ bytes: Int) -> Int {
    let pages = max(1, bytes / pageBytes + (bytes % pageBytes == 0 ? 0 : 1))
    return pages.multipliedSaturated(by: pageBytes)
  }

  private static func text(_ bytes: Int) -> String {
    let tenths = max(0, bytes) / 104_858
    return bytes < 1 << 20 ? "\(bytes) bytes" : "\(tenths / 10).\(tenths % 10) MiB"
  }
}
