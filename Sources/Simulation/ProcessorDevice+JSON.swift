public import HostModel
import CheckedNumbers
import DeviceModel
public import JSONText

extension ProcessorDevice {
  /// Version of the file format.
  public static let schema = "headroom.processor/1"

  /// Reads a file's tree.
  public init(json: JSONValue) throws(HostProfileError) {
    guard json["schema"]?.stringValue == Self.schema else {
      throw HostProfileError("\"schema\" is not \"\(Self.schema)\": no measured processor, or one of another version")
    }
    guard let name = json["name"]?.stringValue, !name.isEmpty else { throw HostProfileError("\"name\" is missing") }
    func count(_ key: String, _ range: ClosedRange<Int64>) throws(HostProfileError) -> Int {
      guard let value = json[key]?.integerValue, range.contains(value) else {
        throw HostProfileError("\"\(key)\": a whole number from \(range.lowerBound) to \(range.upperBound) is needed")
      }
      return Int(value)
    }
    let (threads, sharedCores) = (try count("threads", 1...4096), try count("sharedCores", 0...4096))
    guard let list = json["points"]?.arrayValue, list.count <= 10_000 else { throw HostProfileError("\"points\" is missing or no list") }
    var points: [BatchDurations.Point] = []
    for (index, point) in list.enumerated() {
      func time(_ key: String) -> Double? { point[key]?.doubleValue.map { $0 * 1000 } }
      guard let rows = point["rows"]?.integerValue, (1...(1 << 24)).contains(rows), let median = time("microseconds"),
        median.isFinite, median > 0, median < 1e15
      else {
        throw HostProfileError("points[\(index)]: \"rows\" from 1 and \"microseconds\" above 0 are needed")
      }
      let (low, high) = (time("lowerQuartileMicroseconds") ?? median, time("upperQuartileMicroseconds") ?? median)
      guard low.isFinite, high.isFinite, low <= high else { throw HostProfileError("points[\(index)]: its quartiles are no interval") }
      var spread = [1.0]
      if let list = point["spread"]?.arrayValue {
        spread = list.compactMap(\.doubleValue).filter { $0.isFinite && $0 >= 0 && $0 <= 1e6 }
        guard spread.count == list.count, (1...1000).contains(spread.count), spread == spread.sorted() else {
          throw HostProfileError("points[\(index)].spread: multiples of the median that do not fall are needed")
        }
      }
      points.append(
        BatchDurations.Point(
          rows: Int(rows), nanoseconds: median, quartiles: low...high, batches: Int(clamping: point["batches"]?.integerValue ?? 1),
          spread: spread))
    }
    guard let durations = BatchDurations(points) else { throw HostProfileError("\"points\": at least one is needed") }
    self.init(name: name, durations: durations, threads: threads, sharedCores: sharedCores)
  }

  /// The file's tree.
  public var json: JSONValue {
    let points = durations.points.map { point -> JSONValue in
      [
        "rows": JSONValue(point.rows), "microseconds": JSONValue(point.nanoseconds / 1000),
        "lowerQuartileMicroseconds": JSONValue(point.quartiles.lowerBound / 1000),
        "upperQuartileMicroseconds": JSONValue(point.quartiles.upperBound / 1000), "batches": JSONValue(point.batches),
        "spread": .array(point.spread.map { JSONValue(($0 * 10_000).rounded() / 10_000) }),
      ]
    }
    return [
      "schema": .string(Self.schema), "name": .string(name), "threads": JSONValue(threads), "sharedCores": JSONValue(sharedCores),
      "points": .array(points),
    ]
  }
}
