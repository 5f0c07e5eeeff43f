public import JSONText
public import Simulation
import Reporting

/// What `headroom calibrate --processor` says: how long batches of a model take on this machine's processor.
public struct ProcessorReport: Sendable {
  /// As it was named.
  public var model: String
  /// Batch times, as a simulation takes them.
  public var processor: ProcessorDevice
  /// Batches that are left out, as other programs had the cores meanwhile.
  public var disturbedBatches: Int

  /// A report.
  public init(model: String, processor: ProcessorDevice, disturbedBatches: Int) {
    self.model = model
    self.processor = processor
    self.disturbedBatches = disturbedBatches
  }

  /// For a terminal.
  public var lines: [String] {
    var table = TextTable([.init("rows"), .init("per batch"), .init("quartiles"), .init("per row"), .init("batches timed")])
    for point in processor.durations.points {
      func time(_ value: Double) -> String { NumberText.time(nanoseconds: value) }
      table.add([
        NumberText.grouped(point.rows), time(point.nanoseconds),
        "\(time(point.quartiles.lowerBound)) to \(time(point.quartiles.upperBound))", time(point.nanoseconds / Double(point.rows)),
        NumberText.grouped(point.batches),
      ])
    }
    var lines = ["\(model) on \(processor.name)"] + table.lines
    if disturbedBatches > 0 {
      lines.append("left out: \(NumberText.grouped(disturbedBatches)) batches during which other programs had the cores")
    }
    return lines
  }

  /// `headroom.calibrate-processor`, as its schema says.
  ///
  /// - Parameters:
  ///   - version: the program's.
  ///   - files: that were written.
  public func json(version: String, files: [String]) -> JSONValue {
    [
      "schema": "headroom.calibrate-processor/1", "headroom": .string(version), "mode": "measured", "model": .string(model),
      "processor": processor.json, "disturbedBatches": JSONValue(disturbedBatches), "files": .array(files.map { .string($0) }),
    ]
  }
}
