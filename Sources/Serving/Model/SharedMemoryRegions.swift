import Glibc
import KServe
import Synchronization

/// POSIX shared memory that clients registered: inputs are read from it and outputs written to it.
///
/// A client can shrink the object behind a mapping at any time, and touching what is gone would kill the server. So the object's size is
/// checked again at each use, and reads go through `pread` and writes through `pwrite` on its descriptor, which fail instead of trapping.
final class SharedMemoryRegions: Sendable {
  private struct Region {
    var description: SharedMemoryRegion
    var descriptor: Int32
  }

  private let regions = Mutex<[String: Region]>([:])
  /// `--allow-client-shm`.
  let isAllowed: Bool

  init(isAllowed: Bool) { self.isAllowed = isAllowed }

  deinit { regions.withLock { for region in $0.values { close(region.descriptor) } } }

  func register(_ region: SharedMemoryRegion) throws(KServeError) {
    guard isAllowed else {
      throw KServeError(
        .unsupported, "client shared memory is switched off; start the server with --allow-client-shm=true to let clients register it")
    }
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
        "failed to register shared memory region '\(region.name)': offset \(region.offset) and byte_size \(region.byteSize) are outside of the "
          + "\(max(0, status.st_size)) bytes of '\(region.key)'")
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

  /// An empty name: all.
  func unregister(_ name: String) {
    let gone = regions.withLock { regions in
      let gone = name.isEmpty ? Array(regions.values) : [regions[name]].compactMap { $0 }
      if name.isEmpty { regions.removeAll() } else { regions[name] = nil }
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
    guard place.offset >= 0, place.byteSize >= 0, UInt64(clamping: place.offset) <= region.byteSize,
      UInt64(clamping: place.byteSize) <= region.byteSize - UInt64(clamping: place.offset)
    else {
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
