import CheckedNumbers
import JSONReading

/// A window that moves over a long text. Memory is the window's: it grows only for a value that does not fit, up to a limit.
final class TextWindow {
  private let stream: any ByteStream
  private var buffer: UnsafeMutableRawBufferPointer
  private var count = 0
  /// Offset of the window's first byte in the text.
  private(set) var base = 0
  /// Whether nothing follows the window.
  private(set) var isLast = false
  private let progress: ((Int) -> Void)?

  /// Bytes it grows to.
  private let largest: Int

  init(_ stream: any ByteStream, size: Int, largest: Int, progress: ((Int) -> Void)? = nil) {
    self.stream = stream
    self.largest = largest
    self.progress = progress
    buffer = .allocate(byteCount: size, alignment: 16)
  }

  deinit { buffer.deallocate() }

  /// The window's text. Valid until it moves.
  var text: UnsafeBufferPointer<UInt8> {
    UnsafeRawBufferPointer(rebasing: buffer[..<count]).bindMemory(to: UInt8.self)
  }

  /// Why the text ends early; nil where it does not.
  var cutShort: String? { stream.cutShort }

  /// Drops what lies before `position` and brings more behind it. False when there is no more, or no room for it.
  func advance(from position: Int) throws(TraceImportError) -> Bool {
    if isLast { return false }
    let kept = count - position
    if position > 0 {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[position..<count]))
      base += position
      count = kept
    } else if count == buffer.count {
      if buffer.count >= largest { return false }
      let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: buffer.count * 2, alignment: 16)
      larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      buffer.deallocate()
      buffer = larger
    }
    let before = count
    while count < buffer.count {
      let got = try stream.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
      if got == 0 {
        isLast = true
        break
      }
      count += got
    }
    progress?(stream.consumed)
    return count > before
  }

  /// Drops everything and brings the next window.
  func next() throws(TraceImportError) -> Bool { try advance(from: count) }
}
