import JSONText

/// A direction of copies and the host memory they use.
public enum CopyKind: String, Sendable, Hashable, CaseIterable {
  /// To the device, from page-locked memory.
  case uploadPinned
  /// To the device, from pageable memory: the driver passes it through a page-locked buffer of its own.
  case uploadPageable
  /// From the device, to page-locked memory.
  case downloadPinned
  /// From the device, to pageable memory.
  case downloadPageable

  /// One direction and one kind of memory.
  public init(isUpload: Bool, isPinned: Bool) {
    self = isUpload ? (isPinned ? .uploadPinned : .uploadPageable) : (isPinned ? .downloadPinned : .downloadPageable)
  }

  var isPinned: Bool { self == .uploadPinned || self == .downloadPinned }
}

/// How long copies of one kind take by their size: measured points, straight lines between them.
public struct CopyCurve: Sendable, Hashable {
  /// A measured size.
  public struct Point: Sendable, Hashable {
    /// Bytes copied.
    public var bytes: Double
    /// From the copy's start on the device to its end.
    public var microseconds: Double

    /// A point with every field stated.
    public init(bytes: Double, microseconds: Double) {
      self.bytes = bytes
      self.microseconds = microseconds
    }
  }

  /// What was measured, by rising size; never empty.
  public let points: [Point]
  /// Where from.
  public var source: HostProfile.Source
  /// Under which conditions.
  public var note: String

  /// A curve; nil without points, or where sizes do not rise, times fall, or a value is negative or not finite.
  public init?(_ points: [Point], _ source: HostProfile.Source, _ note: String) {
    guard !points.isEmpty, points.allSatisfy({ $0.bytes.isFinite && $0.bytes >= 0 && $0.microseconds.isFinite && $0.microseconds >= 0 }),
      zip(points, points.dropFirst()).allSatisfy({ $0.bytes < $1.bytes && $0.microseconds <= $1.microseconds })
    else { return nil }
    self.points = points
    self.source = source
    self.note = note
  }

  /// Time of a copy. Below the first point it takes that point's time, beyond the last the last line goes on.
  public func microseconds(bytes: Double) -> Double {
    guard let first = points.first, let last = points.last else { return 0 }
    if bytes <= first.bytes || points.count == 1 { return first.microseconds }
    let upper = points.firstIndex { $0.bytes >= bytes } ?? points.count - 1
    let (left, right) = (points[max(0, upper - 1)], points[upper])
    let slope = (right.microseconds - left.microseconds) / (right.bytes - left.bytes)
    return bytes > last.bytes ? last.microseconds + (bytes - last.bytes) * slope : left.microseconds + (bytes - left.bytes) * slope
  }

  init(json: JSONValue, place: String) throws(HostProfileError) {
    guard let source = json["source"]?.stringValue.flatMap(HostProfile.Source.init(rawValue:)) else {
      throw HostProfileError("\(place).source: one of measured, literature, fitted, assumed is needed")
    }
    guard let list = json["points"]?.arrayValue, !list.isEmpty, list.count <= 1000 else {
      throw HostProfileError("\(place).points: a list of 1 to 1,000 points is needed")
    }
    var points: [Point] = []
    for (index, entry) in list.enumerated() {
      guard let bytes = entry["bytes"]?.doubleValue, let microseconds = entry["microseconds"]?.doubleValue else {
        throw HostProfileError("\(place).points[\(index)]: \"bytes\" and \"microseconds\" are needed")
      }
      points.append(Point(bytes: bytes, microseconds: microseconds))
    }
    guard let curve = CopyCurve(points, source, json["note"]?.stringValue ?? "") else {
      throw HostProfileError("\(place).points: sizes must rise, times must not fall, and none may be negative")
    }
    self = curve
  }

  var json: JSONValue {
    [
      "points": .array(points.map { ["bytes": JSONValue($0.bytes), "microseconds": JSONValue($0.microseconds)] }),
      "source": .string(source.rawValue), "note": .string(note),
    ]
  }
}

extension HostProfile {
  /// Time of a copy between host and device, microseconds: the measured curve where there is one, else latency + size / bandwidth.
  public func copyMicroseconds(_ kind: CopyKind, bytes: Double) -> Double {
    if let curve = copies[kind] { return curve.microseconds(bytes: bytes) }
    return self[.copyLatency].value + bytes * self[kind.isPinned ? .copyPerByte : .copyPerBytePageable].value * 1e-3
  }
}
