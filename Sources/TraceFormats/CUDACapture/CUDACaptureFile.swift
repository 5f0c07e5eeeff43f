import CheckedNumbers

/// The head of one process image's file of a CUDA capture (`Sources/CCUDAInjection/include/CCUDAInjection.h` has the layout): what became of
/// the recording, and what is not in it.
public struct CUDACaptureFile: Sendable, Hashable {
  /// How far a recording came.
  public enum Status: UInt32, Sendable, Hashable {
    /// The library was loaded and waited to be armed.
    case waiting = 0
    /// Recording when the header was last written: the process was killed, or is still there.
    case recording = 1
    /// Everything was flushed.
    case finished = 2
    /// Nothing was recorded; `step` and `result` say why.
    case failed = 3
  }

  /// The system's number of the process.
  public var process: Int64
  /// The one that started it.
  public var parent: Int64
  /// Path of the program.
  public var program: String
  /// When the driver loaded the library, CLOCK_MONOTONIC nanoseconds.
  public var loaded: Int64
  /// The same moment, nanoseconds since 1970.
  public var loadedRealtime: Int64
  /// When CUPTI was asked for records; nil where it never was.
  public var armed: Int64?
  /// Everything that had ended on the device by then is in the file; nil where nothing was flushed.
  public var flushed: Int64?
  /// When the recording ended in order; nil where the process was killed or is still there.
  public var ended: Int64?
  /// See `Status`; nil for a number of a later version.
  public var status: Status?
  /// The step that failed: a function of CUPTI's, "libcupti" or "no driver".
  public var step: String
  /// CUptiResult of what failed or was refused last; 0 for none.
  public var result: Int32
  /// CUPTI_API_VERSION: 1 to 28 up to CUDA 12, 130000 and above from 13 on; 0 where no library was found.
  public var cuptiVersion: Int
  /// 13000 for CUDA 13.0; 0 where not known.
  public var driverVersion: Int
  /// Path of libcupti; empty where none was found.
  public var library: String
  /// Tools among the process's libraries that may hold CUPTI.
  public var holder: String
  /// Activity kinds that were recorded, by bit.
  public var kinds: UInt64
  /// Activity kinds that CUPTI refused, by bit.
  public var refusedKinds: UInt64
  /// Records written.
  public var records: Int64
  /// Records that CUPTI itself dropped.
  public var droppedByCUPTI: Int64
  /// Records for which the file had no room.
  public var droppedForRoom: Int64
  /// Buffers thrown away unread because the writer could not keep up.
  public var discardedBuffers: Int64
  /// Bytes of records in those.
  public var discardedBytes: Int64
  /// Buffers that never came back: another tool registered its own.
  public var lostBuffers: Int64
  /// Records of kinds that nobody asked for.
  public var unknownRecords: Int64
  /// Annotated ranges for which there was no room.
  public var droppedRanges: Int64
  /// Processor time of the library's own thread, nanoseconds.
  public var threadNanoseconds: Int64

  /// Reads a head.
  ///
  /// - Throws: `CUDACaptureFileError` where there is none.
  public init(_ bytes: UnsafeRawBufferPointer) throws(CUDACaptureFileError) {
    let bytes = OSCallBytes(bytes)
    if bytes.count > 0, bytes.isZero(0..<8) { throw .neverBegun }
    guard bytes.count >= Self.headerBytes else { throw .cutShort }
    guard bytes.text(0, limit: 8) == "HRCUCAP1" else { throw .notOne }
    guard bytes.uint32(8) == 0x0102_0304, Int(bytes.uint32(12)) == Self.headerBytes else { throw .otherVersion }
    func moment(_ offset: Int) -> Int64? {
      let value = bytes.int64(offset)
      return value > 0 ? value : nil
    }
    func count(_ offset: Int) -> Int64 { Int64(clamping: bytes.uint64(offset)) }
    process = Int64(bytes.uint32(16))
    parent = Int64(bytes.uint32(20))
    (loaded, loadedRealtime) = (bytes.int64(24), bytes.int64(32))
    (armed, flushed, ended) = (moment(40), moment(48), moment(56))
    status = Status(rawValue: bytes.uint32(64))
    result = Int32(truncatingIfNeeded: bytes.uint32(68))
    (cuptiVersion, driverVersion) = (Int(bytes.uint32(72)), Int(bytes.uint32(76)))
    (kinds, refusedKinds) = (bytes.uint64(80), bytes.uint64(88))
    (records, droppedByCUPTI, droppedForRoom) = (count(96), count(104), count(112))
    (discardedBuffers, discardedBytes, lostBuffers) = (count(120), count(128), count(136))
    (unknownRecords, threadNanoseconds) = (count(144), count(152))
    step = bytes.text(160, limit: 64)
    program = bytes.text(224, limit: 256)
    library = bytes.text(480, limit: 256)
    holder = bytes.text(736, limit: 256)
    droppedRanges = count(992)
  }

  /// Bytes before the first block; the C side asserts it.
  static let headerBytes = 4096
}

/// Why a file of a CUDA capture could not be read at all.
public enum CUDACaptureFileError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Shorter than its head.
  case cutShort
  /// The process was killed before its head was written.
  case neverBegun
  /// Something else.
  case notOne
  /// Of another version, or another machine's byte order.
  case otherVersion

  /// What is wrong, and what to do.
  public var description: String {
    switch self {
    case .cutShort: "shorter than the head of a CUDA capture; the disk may be full"
    case .neverBegun: "an empty head: the process was killed while it started CUDA"
    case .notOne: "not a file of a CUDA capture"
    case .otherVersion: "a CUDA capture of another version or byte order; capture and read with the same headroom"
    }
  }
}
