import CheckedNumbers
import JSONReading
import Trace

/// Ids of texts that are met again and again, found by their bytes: a name is made into a `String` once, when it is new.
///
/// An open-addressed table. The hash is keyed per process, so that a file cannot be made to collide; ids do not depend on it.
struct SpanInterner {
  private struct Entry {
    var hash: UInt64
    var first: Int
    var count: Int
    var id: NameID
  }

  private var slots: [Int32] = [Int32](repeating: -1, count: 1 << 10)
  private var entries: [Entry] = []
  private var bytes: [UInt8] = []
  private let key = UInt64.random(in: .min ... .max) | 1

  /// The id of a span's text in `names`, as it reads with escapes resolved.
  mutating func id(of span: JSONCursor.Span, in cursor: JSONCursor, names: inout NameTable) -> NameID {
    let text = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: cursor.text[span.first..<span.first + span.count]))
    let hash = hashed(text, salt: span.isEscaped ? 1 : 0)
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    while slots[slot] >= 0 {
      let entry = entries[Int(slots[slot])]
      if entry.hash == hash, entry.count == text.count, isSame(entry, text) { return entry.id }
      slot = (slot + 1) & mask
    }
    let id = names.intern(cursor.string(span))
    slots[slot] = Int32(clamping: entries.count)
    entries.append(Entry(hash: hash, first: bytes.count, count: text.count, id: id))
    bytes.append(contentsOf: text)
    if entries.count * 2 > slots.count { grow() }
    return id
  }

  private func isSame(_ entry: Entry, _ text: UnsafeRawBufferPointer) -> Bool {
    bytes.withUnsafeBytes { stored in
      UnsafeRawBufferPointer(rebasing: stored[entry.first..<entry.first + entry.count]).elementsEqual(text)
    }
  }

  private mutating func grow() {
    slots = [Int32](repeating: -1, count: slots.count * 4)
    let mask = slots.count - 1
    for (index, entry) in entries.enumerated() {
      var slot = Int(truncatingIfNeeded: entry.hash) & mask
      while slots[slot] >= 0 { slot = (slot + 1) & mask }
      slots[slot] = Int32(clamping: index)
    }
  }

  /// Eight bytes at a time, multiplied and folded (the mixing step of wyhash, W. Yi 2019).
  @inline(__always) private func hashed(_ text: UnsafeRawBufferPointer, salt: UInt64) -> UInt64 {
    var hash = key ^ UInt64(truncatingIfNeeded: text.count) ^ salt << 63
    var index = 0
    @inline(__always) func mix(_ word: UInt64) {
      let (high, low) = (hash ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
      hash = high ^ low
    }
    while index + 8 <= text.count {
      mix(text.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      index += 8
    }
    var rest: UInt64 = 0
    while index < text.count {
      rest = rest << 8 | UInt64(text[index])
      index += 1
    }
    mix(rest ^ key)
    return hash
  }
}
