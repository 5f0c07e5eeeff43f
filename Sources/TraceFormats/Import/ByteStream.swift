import CheckedNumbers
import CZlib
import Glibc

/// Bytes one behind the other.
protocol ByteStream: AnyObject {
  /// Fills `buffer` from its beginning and returns the bytes; 0 at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(TraceImportError) -> Int
  /// Bytes taken from the file so far.
  var consumed: Int { get }
  /// Why there is no more although there should be; set once `read` has returned 0.
  var cutShort: String? { get }
}

extension ByteStream {
  func read(into bytes: inout [UInt8]) throws(TraceImportError) -> Int {
    let result = bytes.withUnsafeMutableBytes { raw in Result { () throws(TraceImportError) in try read(into: raw) } }
    return try result.get()
  }
}

/// A source's bytes as they are stored.
final class FileStream: ByteStream {
  private let source: TraceSource
  private(set) var consumed = 0
  var cutShort: String? { nil }

  init(_ source: TraceSource) { self.source = source }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(TraceImportError) -> Int {
    // What was looked at first stays at hand: a pipe gives it once.
    if consumed < source.head.count {
      let count = min(buffer.count, source.head.count - consumed)
      buffer.copyBytes(from: source.head[consumed..<consumed + count])
      consumed += count
      return count
    }
    while true {
      let got =
        source.byteCount != nil
        ? pread(source.descriptor, buffer.baseAddress, buffer.count, off_t(consumed))
        : Glibc.read(source.descriptor, buffer.baseAddress, buffer.count)
      if got < 0, errno == EINTR { continue }
      if got < 0 {
        throw TraceImportError(path: source.path, place: "byte \(consumed)", reason: "cannot read: \(String(cString: strerror(errno)))")
      }
      consumed += got
      return got
    }
  }
}

/// What gzip compressed, member after member (RFC 1952, section 2.2).
final class GzipStream: ByteStream {
  private let raw: any ByteStream
  private let path: String
  // zlib keeps the structure's address: it must not move.
  private let state: UnsafeMutablePointer<z_stream>
  private var input = [UInt8](repeating: 0, count: 1 << 17)
  private var inputCount = 0
  private var inputUsed = 0
  private var isInside = false
  private var isDone = false
  private(set) var cutShort: String?
  var consumed: Int { raw.consumed - (inputCount - inputUsed) }

  init(_ raw: any ByteStream, path: String) throws(TraceImportError) {
    self.raw = raw
    self.path = path
    state = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    state.initialize(to: z_stream())
    // 16 and more: gzip's frame alone.
    if headroom_inflate_init(state, 16 + MAX_WBITS) != Z_OK {
      throw TraceImportError(path: path, reason: "no memory to uncompress it")
    }
  }

  deinit {
    inflateEnd(state)
    state.deallocate()
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(TraceImportError) -> Int {
    guard !isDone, !buffer.isEmpty else { return 0 }
    while true {
      if inputUsed == inputCount {
        inputCount = try raw.read(into: &input)
        inputUsed = 0
        if inputCount == 0 {
          isDone = true
          if isInside { cutShort = "the gzip stream ends early, at byte \(raw.consumed) of the file" }
          return 0
        }
      }
      if !isInside {
        // Zeros behind the last member are padding.
        while inputUsed < inputCount, consumedAny, input[inputUsed] == 0 { inputUsed += 1 }
        if inputUsed == inputCount { continue }
        if consumedAny {
          guard input[inputUsed] == 0x1F else {
            isDone = true
            cutShort = "something that is not gzip follows at byte \(consumed) of the file"
            return 0
          }
          inflateReset(state)
        }
        isInside = true
        consumedAny = true
      }
      let (code, produced) = inflateOnce(into: buffer)
      if code == Z_STREAM_END { isInside = false }
      if code != Z_OK, code != Z_STREAM_END, code != Z_BUF_ERROR {
        isDone = true
        let text = state.pointee.msg.map { String(cString: $0) } ?? "error \(code)"
        cutShort = "the gzip stream is damaged near byte \(consumed) of the file (\(text))"
        return produced
      }
      if produced > 0 { return produced }
    }
  }

  private var consumedAny = false

  private func inflateOnce(into buffer: UnsafeMutableRawBufferPointer) -> (code: Int32, produced: Int) {
    let bytes = buffer.bindMemory(to: UInt8.self)
    let used = inputUsed
    let count = inputCount
    let state = state
    let (code, left) = input.withUnsafeMutableBufferPointer { input in
      state.pointee.next_in = input.baseAddress.map { $0 + used }
      state.pointee.avail_in = UInt32(clamping: count - used)
      state.pointee.next_out = bytes.baseAddress
      state.pointee.avail_out = UInt32(clamping: bytes.count)
      let code = inflate(state, Z_NO_FLUSH)
      return (code, Int(state.pointee.avail_in))
    }
    inputUsed = count - left
    return (code, min(bytes.count, Int(UInt32.max)) - Int(state.pointee.avail_out))
  }

  /// The beginning of what a compressed beginning holds; as much of it as can be had.
  static func head(of bytes: [UInt8], limit: Int) -> [UInt8] {
    guard let stream = try? GzipStream(ArrayStream(bytes), path: "") else { return [] }
    var content = [UInt8](repeating: 0, count: limit)
    var count = 0
    while count < limit {
      let from = count
      let got = content.withUnsafeMutableBytes { (try? stream.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[from...]))) ?? 0 }
      if got == 0 { break }
      count += got
    }
    return Array(content[..<count])
  }
}

/// Bytes at hand.
final class ArrayStream: ByteStream {
  private let bytes: [UInt8]
  private(set) var consumed = 0
  var cutShort: String? { nil }

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(buffer.count, bytes.count - consumed)
    buffer.copyBytes(from: bytes[consumed..<consumed + count])
    consumed += count
    return count
  }
}
