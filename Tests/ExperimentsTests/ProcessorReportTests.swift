import Calibration
import DeviceModel
import JSONText
import Simulation
import Testing

/// Batch times of a processor, for people and for programs.
@Suite struct ProcessorReportTests {
  @Test func timesArePerBatchAndPerRow() throws {
    let points = [1, 8].map { rows in
      BatchDurations.Point(rows: rows, nanoseconds: 2e6, quartiles: 1.9e6...2.2e6, batches: 1200)
    }
    let report = ProcessorReport(
      model: "linear",
      processor: ProcessorDevice(name: "a processor, fp32", durations: try #require(BatchDurations(points)), threads: 2, sharedCores: 2),
      disturbedBatches: 7)
    let lines = report.lines
    #expect(lines.first == "linear on a processor, fp32")
    #expect(lines.contains { $0.split(separator: " ").prefix(3) == ["1", "2.00", "ms"] })
    #expect(lines.contains { $0.contains("1.90 ms to 2.20 ms") && $0.contains("250 us") && $0.hasSuffix("1,200") })
    #expect(lines.last?.hasPrefix("left out: 7 batches") == true)
    let json = report.json(version: "9", files: ["x.json"])
    #expect(json["schema"]?.stringValue == "headroom.calibrate-processor/1" && json["disturbedBatches"]?.integerValue == 7)
    #expect(json["files"]?.arrayValue?.first?.stringValue == "x.json")
    #expect(json["processor"]?["points"]?.arrayValue?.count == 2)
  }
}
