import CheckedNumbers
import CZlib
import KServe
import NIOCore

/// gzip and deflate of whole bodies, by zlib, with a bound on what a body may become.
package enum BodyCoding {
  package enum Failure: Error, Hashable {
    /// The bytes are no stream of that coding.
    case malformed
    /// They would become more than the limit.
    case tooLarge
  }

  /// zlib's window bits: 15 and a gzip header, or a zlib header ("deflate" in HTTP, RFC 9110, 8.4.1.2).
  private static func windowBits(_ coding: ContentCoding) -> Int32 { coding == .gzip ? 31 : 15 }

  package static func inflated(_ parts: [ByteBuffer], _ coding: ContentCoding, limit: Int) throws(Failure) -> ByteBuffer {
    var stream = z_stream()
    guard headroom_inflate_init(&stream, windowBits(coding)) == Z_OK else { throw .malformed }
    defer { inflateEnd(&stream) }
    var output = ByteBuffer()
    var hasEnded = false
    var failure: Failure?
    for part in parts where part.readableBytes > 0 {
      part.withUnsafeReadableBytes { input in
        stream.next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
        stream.avail_in = UInt32(clamping: input.count)
        // A full output may hide more behind it, with no input left.
        var isFull = false
        while stream.avail_in > 0 || isFull, failure == nil {
          // gzip may have several members, each a stream (RFC 1952, 2.2); behind a zlib stream there is nothing.
          if hasEnded {
            guard stream.avail_in > 0 else { break }
            guard coding == .gzip, inflateReset(&stream) == Z_OK else {
              failure = .malformed
              break
            }
            hasEnded = false
          }
          // Grows with what comes out, never with what is claimed.
          output.writeWithUnsafeMutableBytes(minimumWritableBytes: 1 << 16) { space in
            stream.next_out = space.bindMemory(to: UInt8.self).baseAddress
            stream.avail_out = UInt32(clamping: space.count)
            let status = inflate(&stream, Z_NO_FLUSH)
            isFull = stream.avail_out == 0
            switch status {
            case Z_STREAM_END: (hasEnded, isFull) = (true, false)
            case Z_OK: break
            // No progress: fine where only the output was full.
            case Z_BUF_ERROR where stream.avail_in == 0: isFull = false
            default: failure = .malformed
            }
            return space.count - Int(stream.avail_out)
          }
          if output.readableBytes > limit { failure = .tooLarge }
        }
      }
      if let failure { throw failure }
    }
    guard hasEnded else { throw .malformed }
    return output
  }

  package static func deflated(_ parts: [ByteBuffer], _ coding: ContentCoding) -> ByteBuffer? {
    var stream = z_stream()
    guard headroom_deflate_init(&stream, Z_DEFAULT_COMPRESSION, windowBits(coding)) == Z_OK else { return nil }
    defer { deflateEnd(&stream) }
    var output = ByteBuffer()
    for (index, part) in parts.enumerated() {
      let isLast = index == parts.count - 1
      part.withUnsafeReadableBytes { input in
        stream.next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
        stream.avail_in = UInt32(clamping: input.count)
        var status = Z_OK
        repeat {
          output.writeWithUnsafeMutableBytes(minimumWritableBytes: 1 << 14) { space in
            stream.next_out = space.bindMemory(to: UInt8.self).baseAddress
            stream.avail_out = UInt32(clamping: space.count)
            status = deflate(&stream, isLast ? Z_FINISH : Z_NO_FLUSH)
            return space.count - Int(stream.avail_out)
          }
        } while stream.avail_in > 0 || isLast && status == Z_OK
      }
    }
    return output
  }
}
