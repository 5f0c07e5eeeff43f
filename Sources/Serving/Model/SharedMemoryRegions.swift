import CheckedNumbers
import Glibc
import KServe
import NIOCore
import Synchronization

/// POSIX shared memory that clients registered: inputs are read from it and outputs written to it.
///
/// A client can shrink the object behind a mapping at any time, and touching what is gone would kill the server. So the object's size is
/// checked again at each use, and reads go through `pread` and writes through `pwrite` on its descriptor, which fail instead of trapping.
final class SharedMemoryRegions: Sendable {
  private struct Region {
    var description: SharedMemoryRegion
    var descriptor: Int32
    /// Requests between acceptance and answer that name it.
    var uses = 0
    /// Unregistered while in use: it goes when the last of them is answered.
    var isLeaving = false
  }

  /// Keys that begin so are the reference server's own (server `src/common.h`, kTritonSharedMemoryRegionPrefix).
  private static let reservedPrefix = "triton_python_backend_shm_region_"

  private let regions = Mutex<[String: Region]>([:])
  /// `--allow-client-shm`.
  let isAllowed: Bool

  init(isAllowed: Bool) { self.isAllowed = isAllowed }

  deinit { regions.withLock { for region in $0.values { close(region.descriptor) } } }

  func register(_ region: SharedMemoryRegion) throws(KServeError) {
    try checkAllowed()
    try Self.check(key: region.key, of: region.name)
    let opened = shm_open(region.key, O_RDWR, 0)
    guard opened >= 0 else {
      throw KServeError(.internalError, "Unable to open shared memory region: '\(region.key)'")
    }
    var status = stat()
    let (end, overflow) = region.offset.addingReportingOverflow(region.byteSize)
    guard fstat(opened, &status) == 0, !overflow, end <= UInt64(clamping: max(0, status.st_size)), region.byteSize > 0 else {
      close(opened)
      throw KServeError(
        .invalidArgument,
        "failed to register shared memory region '\(region.name)': invalid args: offset \(region.offset) and byte_size \(region.byteSize) are "
          + "outside of the \(max(0, status.st_size)) bytes of '\(region.key)'")
    }
    let isNew = regions.withLock { regions in
      if regions[region.name] != nil { return false }
      regions[region.name] = Region(description: region, descriptor: opened)
      return true
    }
    if !isNew {
      close(opened)
      throw KServeError(.alreadyExists, "shared memory region '\(region.name)' already in manager")
    }
  }

  private func checkAllowed() throws(KServeError) {
    if isAllowed { return }
    throw KServeError(
      .unsupported, "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable.")
  }

  /// server `src/common.cc`, ValidateSharedMemoryKey.
  private static func check(key: String, of name: String) throws(KServeError) {
    let inner = key.drop { $0 == "/" }
    if inner.isEmpty {
      throw KServeError(.invalidArgument, "cannot register shared memory region '\(name)' - invalid shm key '\(key)'")
    }
    if inner.hasPrefix(reservedPrefix) {
      throw KServeError(
        .invalidArgument,
        "cannot register shared memory region '\(name)' with key '\(key)' as the key contains the reserved prefix '\(reservedPrefix)'")
    }
  }

  /// An empty name: all. A region that requests still use stays, and is found, until the last of them is answered.
  func unregister(_ name: String) throws(KServeError) {
    try checkAllowed()
    let gone = regions.withLock { regions in
      var gone: [Region] = []
      for key in name.isEmpty ? Array(regions.keys) : [name] {
        guard let region = regions[key] else { continue }
        if region.uses > 0 {
          regions[key]?.isLeaving = true
        } else {
          gone.append(region)
          regions[key] = nil
        }
      }
      return gone
    }
    for region in gone { close(region.descriptor) }
  }

  /// Checks the places and keeps their regions until the hold ends.
  func hold(_ places: [SharedMemoryTarget]) throws(KServeError) -> SharedMemoryHold {
    let hold = SharedMemoryHold(self)
    for place in places {
      try check(place)
      // Gone since the check: the transfer will say so.
      let isThere = regions.withLock { regions in
        regions[place.region]?.uses += 1
        return regions[place.region] != nil
      }
      if isThere { hold.add(place.region) }
    }
    return hold
  }

  fileprivate func release(_ names: [String]) {
    let gone = regions.withLock { regions in
      var gone: [Region] = []
      for name in names {
        regions[name]?.uses -= 1
        guard let region = regions[name], region.uses == 0, region.isLeaving else { continue }
        gone.append(region)
        regions[name] = nil
      }
      return gone
    }
    for region in gone { close(region.descriptor) }
  }

  func status(_ name: String) throws(KServeError) -> [SharedMemoryRegion] {
    let all = regions.withLock { $0.values.map(\.description) }.sorted { $0.name < $1.name }
    if name.isEmpty { return all }
    let found = all.filter { $0.name == name }
    if found.isEmpty { throw KServeError(.notFound, "Unable to find system shared memory region: '\(name)'") }
    return found
  }

  /// Whether the place lies in a registered region.
  func check(_ place: SharedMemoryTarget) throws(KServeError) {
    let region = regions.withLock { $0[place.region]?.description }
    guard let region else { throw KServeError(.notFound, "Unable to find shared memory region: '\(place.region)'") }
    // Order and texts: server `src/shared_memory_manager.cc`, GetMemoryInfo.
    guard place.offset >= 0, UInt64(clamping: place.offset) < region.byteSize else {
      throw KServeError(.invalidArgument, "Invalid offset for shared memory region: '\(place.region)'")
    }
    let (end, overflow) = place.offset.addingReportingOverflow(place.byteSize)
    if overflow {
      throw KServeError(
        .invalidArgument,
        "Integer overflow detected: byte_size (\(place.byteSize)) + offset (\(place.offset)) exceeds maximum value (\(Int.max)) for region "
          + "'\(place.region)'")
    }
    guard place.byteSize >= 0, UInt64(clamping: end) <= region.byteSize else {
      throw KServeError(
        .invalidArgument,
        "Invalid offset + byte size for shared memory region: '\(place.region)': \(place.offset) + \(place.byteSize) of \(region.byteSize) bytes"
      )
    }
  }

  func read(_ place: SharedMemoryTarget, into target: UnsafeMutableRawBufferPointer) throws(KServeError) {
    try transfer(place) { descriptor, offset in
      var done = 0
      while done < min(place.byteSize, target.count) {
        let count = pread(descriptor, target.baseAddress.map { $0 + done }, min(place.byteSize, target.count) - done, off_t(offset + done))
        if count <= 0 { return false }
        done += count
      }
      return true
    }
  }

  /// A copy of what is there.
  func bytes(at place: SharedMemoryTarget) throws(KServeError) -> ByteBuffer {
    try check(place)
    // An object may have any size without holding anything.
    guard place.byteSize <= Int32.max else {
      throw KServeError(
        .invalidArgument, "strings in shared memory region '\(place.region)' take \(place.byteSize) bytes; the limit is \(Int32.max)")
    }
    var buffer = ByteBuffer()
    while buffer.readableBytes < place.byteSize {
      let done = buffer.readableBytes
      let part = SharedMemoryTarget(region: place.region, offset: place.offset + done, byteSize: min(1 << 20, place.byteSize - done))
      var failure: KServeError?
      buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: part.byteSize) { target in
        do throws(KServeError) {
          try read(part, into: UnsafeMutableRawBufferPointer(rebasing: target[..<part.byteSize]))
          return part.byteSize
        } catch {
          failure = error
          return 0
        }
      }
      if let failure { throw failure }
    }
    return buffer
  }

  func write(_ bytes: UnsafeRawBufferPointer, to place: SharedMemoryTarget) throws(KServeError) {
    guard bytes.count <= place.byteSize else {
      throw KServeError(
        .invalidArgument,
        "shared memory size specified with the request for output is \(place.byteSize) bytes; the output has \(bytes.count)")
    }
    try transfer(place) { descriptor, offset in
      var done = 0
      while done < bytes.count {
        let count = pwrite(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
        if count <= 0 { return false }
        done += count
      }
      return true
    }
  }

  private func transfer(_ place: SharedMemoryTarget, _ body: (Int32, Int) -> Bool) throws(KServeError) {
    try check(place)
    // A descriptor of its own for the time of the transfer: unregistering meanwhile must not close it, or worse, let it mean another file.
    let opened: (descriptor: Int32, offset: Int)? = regions.withLock { regions in
      regions[place.region].map { (dup($0.descriptor), Int(clamping: $0.description.offset) + place.offset) }
    }
    guard let opened, opened.descriptor >= 0 else {
      throw KServeError(.notFound, "Unable to find shared memory region: '\(place.region)'")
    }
    defer { close(opened.descriptor) }
    if !body(opened.descriptor, opened.offset) {
      throw KServeError(.internalError, "shared memory region '\(place.region)' has become smaller than it was when it was registered")
    }
  }
}

/// Regions that one request uses, from its acceptance to its answer: unregistering them meanwhile waits for it.
final class SharedMemoryHold: Sendable {
  private let regions: SharedMemoryRegions
  private let names = Mutex<[String]>([])

  fileprivate init(_ regions: SharedMemoryRegions) { self.regions = regions }

  deinit { end() }

  fileprivate func add(_ name: String) { names.withLock { $0.append(name) } }

  /// Lets go, once.
  func end() {
    let held = names.withLock { names in
      defer { names = [] }
      return names
    }
    if !held.isEmpty { regions.release(held) }
  }
}
